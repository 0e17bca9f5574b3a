#include "cuda/nn/gpu/nonlocal_block.cuh"

#include <bit>
#include <cstddef>

#include "cuda/device/bfloat16.cuh"
#include "cuda/device/launch.cuh"
#include "cuda/nn/gpu/nonlocal_backward.cuh"
#include "cuda/nn/gpu/nonlocal_forward.cuh"

// Keys and values are taken less those of the image's first window, as in attention.cu.

namespace ebm {
namespace {

using nonlocal::BackwardRoom;
using nonlocal::ForwardRoom;
using nonlocal::SharedRoom;
using nonlocal::Sizes;

int most_shared_bytes() {
  int device = 0;
  int bytes = 0;
  EBM_CHECK_CUDA(cudaGetDevice(&device));
  EBM_CHECK_CUDA(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
  return bytes;
}

/// With as much of the attention at a time as there is room for.
BackwardRoom backward_room(const Sizes& sizes) {
  const int most = most_shared_bytes();
  for (const int argmax : {4, 2}) {
    if (const BackwardRoom at(sizes, argmax); at.room.bytes() <= most) {
      return at;
    }
  }
  return {sizes, 1};
}

template <class... Parameters, class... Arguments>
void launch_images(const CudaStream& stream, std::int64_t images, const SharedRoom& room,
                   void (*kernel)(Parameters...), const Arguments&... arguments) {
  // The most there is, and not this shape's: a graph's kernels are held to what was set last.
  EBM_CHECK_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      most_shared_bytes()));
  launch_kernel(stream, static_cast<unsigned>(images), nonlocal::kThreads,
                static_cast<std::size_t>(room.bytes()), kernel, arguments...);
}

}  // namespace

bool nonlocal_fits_a_kernel(const NonlocalShape& shape) {
  constexpr int kMostWindows = 4 * static_cast<int>(kWarp);  // a row's scores are a warp's
  constexpr int kMostHalf = 1024;                            // long before the memory's end
  const std::int64_t windows = std::int64_t{shape.height / 2} * (shape.width / 2);
  if (shape.half % 4 != 0 || shape.half > kMostHalf || windows < 4 || windows > kMostWindows ||
      !std::has_single_bit(static_cast<unsigned>(windows))) {
    return false;
  }
  const Sizes sizes(shape);
  return ForwardRoom(sizes).room.bytes() <= most_shared_bytes() &&
         backward_room(sizes).room.bytes() <= most_shared_bytes();
}

template <class T>
void nonlocal_forward(const CudaStream& stream, const NonlocalShape& shape,
                      const NonlocalParameters& parameters, const T* x,
                      const NonlocalMemory<T>& memory, T* y) {
  const Sizes sizes(shape);
  const ForwardRoom at(sizes);
  launch_images(stream, shape.images, at.room, nonlocal::forward_kernel<T>, sizes, at, parameters,
                x, memory, y);
}

template <class T>
void nonlocal_backward(const CudaStream& stream, const NonlocalShape& shape,
                       const NonlocalParameters& parameters, const T* dy,
                       const NonlocalMemory<T>& memory, T* dx) {
  const Sizes sizes(shape);
  const BackwardRoom at = backward_room(sizes);
  launch_images(stream, shape.images, at.room, nonlocal::backward_kernel<T>, sizes, at, parameters,
                dy, memory, dx);
}

template void nonlocal_forward(const CudaStream&, const NonlocalShape&, const NonlocalParameters&,
                               const float*, const NonlocalMemory<float>&, float*);
template void nonlocal_forward(const CudaStream&, const NonlocalShape&, const NonlocalParameters&,
                               const Bfloat16*, const NonlocalMemory<Bfloat16>&, Bfloat16*);
template void nonlocal_backward(const CudaStream&, const NonlocalShape&, const NonlocalParameters&,
                                const float*, const NonlocalMemory<float>&, float*);
template void nonlocal_backward(const CudaStream&, const NonlocalShape&, const NonlocalParameters&,
                                const Bfloat16*, const NonlocalMemory<Bfloat16>&, Bfloat16*);

}  // namespace ebm
