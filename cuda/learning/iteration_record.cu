#include "cuda/learning/iteration_record.cuh"

#include <bit>

#include "cuda/device/launch.cuh"
#include "cuda/kernels/largest.cuh"
#ifdef __CUDACC__
#include "cuda/device/block_reduce.cuh"
#endif

#ifdef __CUDACC__
namespace ebm {
namespace {

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

/// The iteration's own fault; the alarm sounds for the first of a run only.
__device__ void sound(const LearningAlarm& alarm, Fault fault) {
  if (fault != Fault::none && *alarm.stopped == 0) {
    *alarm.stopped = 1;
    *alarm.heard = 1;
  }
}

// One launch for five reductions of a batch: of whole arrays, by CUB, each would be one or two.
__global__ void record_iteration_kernel(IterationSums sums, LearningLimits limits,
                                        LearningAlarm alarm, IterationRecord* record) {
  const double data = block_sum_of(sums.data_f, sums.batch);
  const double chains = block_sum_of(sums.chain_f, sums.batch);
  const double norms = block_sum_of(sums.norm_sums, sums.batch);
  const float data_largest = block_largest(sums.data_f, sums.batch);
  const float chain_largest = block_largest(sums.chain_f, sums.batch);
  if (threadIdx.x != 0) {
    return;
  }
  const auto batch = static_cast<double>(sums.batch);
  const bool data_is_larger = data_largest > chain_largest || data_largest != data_largest;
  record->d_s = sums.factor * (data / batch - chains / batch);
  record->r_s = norms / (static_cast<double>(sums.steps) * batch);
  record->largest_energy =
      sums.factor * static_cast<double>(data_is_larger ? data_largest : chain_largest);
  record->largest_weight = 0;
  record->fault = limits.check(record->d_s, record->r_s, record->largest_energy);
  sound(alarm, record->fault);
}

__global__ void record_weights_kernel(const float* largest, LearningLimits limits,
                                      LearningAlarm alarm, IterationRecord* record) {
  if (*alarm.stopped != 0) {  // there was no step
    return;
  }
  record->largest_weight = *largest;
  record->fault = limits.check_weight(static_cast<double>(*largest));
  sound(alarm, record->fault);
}

struct SubtractBody {
  const float* chain_gradient;
  float* data_gradient;

  EBM_HOST_DEVICE void operator()(std::int64_t i) const { data_gradient[i] -= chain_gradient[i]; }
};

}  // namespace

void record_iteration(const CudaStream& stream, const IterationSums& sums,
                      const LearningLimits& limits, const LearningAlarm& alarm,
                      IterationRecord* record) {
  launch_kernel(stream, 1, kThreads, 0, record_iteration_kernel, sums, limits, alarm, record);
}

void record_weights(const CudaStream& stream, const float* largest, const LearningLimits& limits,
                    const LearningAlarm& alarm, IterationRecord* record) {
  launch_kernel(stream, 1, 1, 0, record_weights_kernel, largest, limits, alarm, record);
}

void subtract(const CudaStream& stream, std::int64_t n, const float* chain_gradient,
              float* data_gradient) {
  for_each_index(stream, n, SubtractBody{chain_gradient, data_gradient});
}

}  // namespace ebm
#endif
