// How the GPU's benchmark takes times.
#pragma once

#include <algorithm>
#include <vector>

#include "cuda/device/cuda_stream.h"

namespace ebm {

/// The median seconds of what enqueue() enqueues on the stream, by the device's own clock. Once
/// more before, to warm up.
template <class Enqueue>
double median_seconds(const CudaStream& stream, int repetitions, const Enqueue& enqueue) {
  enqueue();
  stream.wait();
  std::vector<double> seconds;
  for (int i = 0; i < repetitions; ++i) {
    const CudaEvent begin;
    const CudaEvent end;
    stream.record(begin);
    enqueue();
    stream.record(end);
    end.wait();
    seconds.push_back(1e-3 * static_cast<double>(end.milliseconds_since(begin)));
  }
  std::ranges::nth_element(seconds, seconds.begin() + repetitions / 2);
  return seconds[static_cast<std::size_t>(repetitions / 2)];
}

}  // namespace ebm
