// Reductions of a whole array in the device's memory, outside of any kernel of ours: CUB's. For
// nvcc, and the emulator, which has no CUB and takes the values from the first to the last.
//
// For reductions inside a kernel see block_reduce.cuh.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/device/launch.cuh"
#ifndef EBM_EMULATED_CUDA
#include <cub/device/device_reduce.cuh>
#endif

namespace ebm {

#ifdef EBM_EMULATED_CUDA
template <class In, class Out, class Combine, class Transform>
__global__ void reduce_whole_kernel(std::int64_t n, const In* values, Combine combine,
                                    Transform transform, Out initial, Out* result) {
  for (std::int64_t i = 0; i < n; ++i) {
    initial = combine(initial, transform(values[i]));
  }
  *result = initial;
}
#endif

/// *result = combine(initial, transform(values[0]), ..., transform(values[n - 1])), enqueued on the
/// stream. combine is associative. The order is the same whenever it runs, and depends on n and on
/// the kind of device, so only results that no order changes are the same on every device.
///
/// As CUB's functions, called twice: without `scratch` it only sets `bytes`, the memory that it
/// needs there, which the caller then takes once for all runs.
template <class In, class Out, class Combine, class Transform>
void reduce_whole(const CudaStream& stream, std::byte* scratch, std::size_t& bytes, std::int64_t n,
                  const In* values, Combine combine, Transform transform, Out initial,
                  Out* result) {
#ifndef EBM_EMULATED_CUDA
  EBM_CHECK_CUDA(cub::DeviceReduce::TransformReduce(scratch, bytes, values, result, n, combine,
                                                    transform, initial, stream.get()));
#else
  if (scratch == nullptr) {
    bytes = 1;  // CUB, too, asks for some always
    return;
  }
  launch_kernel(stream, 1, 1, 0, reduce_whole_kernel<In, Out, Combine, Transform>, n, values,
                combine, transform, initial, result);
#endif
}

}  // namespace ebm
