#include "cuda/learning/iteration_numbers.cuh"

#include <bit>

#include "cuda/device/launch.cuh"
#include "cuda/kernels/max_abs.cuh"
#ifdef __CUDACC__
#include "cuda/device/block_reduce.cuh"
#endif

namespace ebm {
namespace {

/// What there is to add up, and the largest sizes.
struct BatchTotals {
  double data;
  double chains;
  double norms;
  float data_largest;
  float chain_largest;
};

/// The iteration's own fault; the flag is raised by the first of a run only.
EBM_HOST_DEVICE void raise(const DivergedFlag& diverged, Fault fault) {
  if (fault != Fault::none && *diverged.there == 0) {
    *diverged.there = 1;
    *diverged.here = 1;
  }
}

EBM_HOST_DEVICE void finish(const IterationSums& sums, const BatchTotals& totals,
                            const LearningLimits& limits, const DivergedFlag& diverged,
                            IterationNumbers* numbers) {
  const auto batch = static_cast<double>(sums.batch);
  const bool data_is_larger =
      totals.data_largest > totals.chain_largest || totals.data_largest != totals.data_largest;
  numbers->mean_f_data = totals.data / batch;
  numbers->mean_f_samples = totals.chains / batch;
  numbers->d_s = sums.factor * (numbers->mean_f_data - numbers->mean_f_samples);
  numbers->r_s = totals.norms / (static_cast<double>(sums.steps) * batch);
  numbers->largest_energy =
      sums.factor *
      static_cast<double>(data_is_larger ? totals.data_largest : totals.chain_largest);
  numbers->largest_weight = 0;
  numbers->fault = limits.check(numbers->d_s, numbers->r_s, numbers->largest_energy);
  raise(diverged, numbers->fault);
}

struct WeightsBody {
  const float* largest;
  LearningLimits limits;
  DivergedFlag diverged;
  IterationNumbers* numbers;

  EBM_HOST_DEVICE void operator()(std::int64_t /*one*/) const {
    numbers->largest_weight = *largest;
    numbers->fault = limits.check_weight(static_cast<double>(*largest));
    raise(diverged, numbers->fault);
  }
};

struct SubtractBody {
  const float* values;
  float* from;

  EBM_HOST_DEVICE void operator()(std::int64_t i) const { from[i] -= values[i]; }
};

BatchTotals totals_on_cpu(const IterationSums& sums) {
  const auto sum = [&](const float* values) {
    double total = 0;
    for (std::int64_t i = 0; i < sums.batch; ++i) {
      total += static_cast<double>(values[i]);
    }
    return total;
  };
  return {sum(sums.data_f), sum(sums.chain_f), sum(sums.norm_sums),
          max_abs(sums.batch, sums.data_f), max_abs(sums.batch, sums.chain_f)};
}

#ifdef __CUDACC__
constexpr unsigned kThreads = 256;

__device__ double block_sum_of(const float* values, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = threadIdx.x; i < n; i += kThreads) {
    sum += static_cast<double>(values[i]);
  }
  return block_sum(sum);
}

/// max |value|, NaN when there is one: sizes order as their bits do, and NaN comes last.
__device__ float block_largest(const float* values, std::int64_t n) {
  __shared__ unsigned largest;
  if (threadIdx.x == 0) {
    largest = 0;
  }
  __syncthreads();
  unsigned mine = 0;
  for (std::int64_t i = threadIdx.x; i < n; i += kThreads) {
    mine = max(mine, size_bits(values[i]));
  }
  atomicMax(&largest, mine);
  __syncthreads();
  const unsigned result = largest;
  __syncthreads();  // before the next call clears it
  return std::bit_cast<float>(result);
}

// One launch for five reductions of a batch: of whole arrays, by CUB, each would be one or two.
__global__ void sum_up_iteration_kernel(IterationSums sums, LearningLimits limits,
                                        DivergedFlag diverged, IterationNumbers* numbers) {
  const BatchTotals totals = {
      block_sum_of(sums.data_f, sums.batch), block_sum_of(sums.chain_f, sums.batch),
      block_sum_of(sums.norm_sums, sums.batch), block_largest(sums.data_f, sums.batch),
      block_largest(sums.chain_f, sums.batch)};
  if (threadIdx.x == 0) {
    finish(sums, totals, limits, diverged, numbers);
  }
}
#endif

}  // namespace

void sum_up_iteration([[maybe_unused]] const Queue& queue, const IterationSums& sums,
                      const LearningLimits& limits, const DivergedFlag& diverged,
                      IterationNumbers* numbers) {
#ifdef __CUDACC__
  if (!queue.on_cpu()) {
    launch_kernel(queue.stream(), 1, kThreads, 0, sum_up_iteration_kernel, sums, limits, diverged,
                  numbers);
    return;
  }
#endif
  finish(sums, totals_on_cpu(sums), limits, diverged, numbers);
}

void sum_up_weights(const Queue& queue, const float* largest, const LearningLimits& limits,
                    const DivergedFlag& diverged, IterationNumbers* numbers) {
  for_each_index(queue, 1, WeightsBody{largest, limits, diverged, numbers}, diverged.there);
}

void subtract(const Queue& queue, std::int64_t n, const float* values, float* from) {
  for_each_index(queue, n, SubtractBody{values, from});
}

}  // namespace ebm
