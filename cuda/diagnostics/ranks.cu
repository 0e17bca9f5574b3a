#include "cuda/diagnostics/ranks.h"

#include <thrust/iterator/counting_iterator.h>
#include <thrust/iterator/reverse_iterator.h>
#include <thrust/scan.h>
#include <thrust/scatter.h>
#include <thrust/sequence.h>
#include <thrust/sort.h>
#include <thrust/system/omp/execution_policy.h>
#include <thrust/transform.h>
#include <thrust/transform_scan.h>
#ifdef __CUDACC__
#include <thrust/system/cuda/execution_policy.h>
#endif

#include <cmath>
#include <cstddef>

#include "cuda/base/host_device.cuh"
#include "cuda/device/array.h"
#include "cuda/diagnostics/normal_quantile.cuh"

namespace ebm {
namespace {

/// Where Thrust is to work: a device that nvcc has not compiled for (an emulated one) has none.
Queue where_thrust_is([[maybe_unused]] const Queue& queue) {
#ifdef __CUDACC__
  return queue;
#else
  return {};
#endif
}

/// Calls work(policy) with Thrust's system of where the queue computes.
template <class Work>
void with_thrust([[maybe_unused]] const Queue& queue, const Work& work) {
#ifdef __CUDACC__
  if (!queue.on_cpu()) {
    work(thrust::cuda::par.on(queue.stream().get()));
    return;
  }
#endif
  work(thrust::omp::par);
}

/// Values in ascending order come in runs of equal ones, [start, end).
struct RunStart {
  const double* values;
  EBM_HOST_DEVICE std::int64_t operator()(std::int64_t i) const {
    return i == 0 || values[i] != values[i - 1] ? i : 0;
  }
};
struct RunEnd {
  const double* values;
  std::int64_t size;
  EBM_HOST_DEVICE std::int64_t operator()(std::int64_t i) const {
    return i + 1 == size || values[i] != values[i + 1] ? i + 1 : size;
  }
};
struct Larger {
  EBM_HOST_DEVICE std::int64_t operator()(std::int64_t a, std::int64_t b) const {
    return a > b ? a : b;
  }
};
struct Smaller {
  EBM_HOST_DEVICE std::int64_t operator()(std::int64_t a, std::int64_t b) const {
    return a < b ? a : b;
  }
};

/// Twice the mean of ranks start + 1 … end.
struct DoubledRank {
  EBM_HOST_DEVICE std::int64_t operator()(std::int64_t start, std::int64_t end) const {
    return start + end + 1;
  }
};

struct NormalScore {
  double size;
  EBM_HOST_DEVICE double operator()(std::int64_t doubled_rank) const {
    return normal_quantile((static_cast<double>(doubled_rank) / 2 - 0.375) / (size + 0.25));
  }
};

/// The values where the queue computes, to be changed there.
Array<double> copy_of(std::span<const double> values, const Queue& queue) {
  Array<double> there(queue, values.size());
  copy(queue, values.data(), values.size(), there.data());
  return there;
}
template <class Value>
std::vector<Value> read(const Array<Value>& there, const Queue& queue) {
  std::vector<Value> here(there.size());
  copy(queue, there.data(), there.size(), here.data());
  queue.wait();
  return here;
}

Array<std::int64_t> doubled_ranks_there(std::span<const double> values, const Queue& queue) {
  const auto size = static_cast<std::int64_t>(values.size());
  Array<double> ascending = copy_of(values, queue);
  Array<std::int64_t> order(queue, size);
  Array<std::int64_t> starts(queue, size);
  Array<std::int64_t> ends(queue, size);
  Array<std::int64_t> ranks(queue, size);
  with_thrust(queue, [&](const auto& policy) {
    thrust::sequence(policy, order.data(), order.data() + size);
    thrust::stable_sort_by_key(policy, ascending.data(), ascending.data() + size, order.data());
    const thrust::counting_iterator<std::int64_t> first(0);
    thrust::transform_inclusive_scan(policy, first, first + size, starts.data(),
                                     RunStart{ascending.data()}, Larger{});
    thrust::transform_inclusive_scan(policy, thrust::make_reverse_iterator(first + size),
                                     thrust::make_reverse_iterator(first),
                                     thrust::make_reverse_iterator(ends.data() + size),
                                     RunEnd{ascending.data(), size}, Smaller{});
    thrust::transform(policy, starts.data(), starts.data() + size, ends.data(), starts.data(),
                      DoubledRank{});
    thrust::scatter(policy, starts.data(), starts.data() + size, order.data(), ranks.data());
  });
  return ranks;
}

}  // namespace

std::vector<double> sorted(std::span<const double> values, const Queue& given) {
  const Queue queue = where_thrust_is(given);
  Array<double> ascending = copy_of(values, queue);
  with_thrust(queue, [&](const auto& policy) {
    thrust::sort(policy, ascending.data(), ascending.data() + ascending.size());
  });
  return read(ascending, queue);
}

double quantile(std::span<const double> ascending, double p) {
  const double place = p * static_cast<double>(ascending.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const double rest = place - std::floor(place);
  return rest == 0 ? ascending[below]
                   : ascending[below] + rest * (ascending[below + 1] - ascending[below]);
}

std::vector<std::int64_t> doubled_ranks(std::span<const double> values, const Queue& given) {
  const Queue queue = where_thrust_is(given);
  return read(doubled_ranks_there(values, queue), queue);
}

std::vector<double> normal_scores(std::span<const double> values, const Queue& given) {
  const Queue queue = where_thrust_is(given);
  const Array<std::int64_t> ranks = doubled_ranks_there(values, queue);
  Array<double> scores(queue, values.size());
  with_thrust(queue, [&](const auto& policy) {
    thrust::transform(policy, ranks.data(), ranks.data() + ranks.size(), scores.data(),
                      NormalScore{static_cast<double>(values.size())});
  });
  return read(scores, queue);
}

}  // namespace ebm
