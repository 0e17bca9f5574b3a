// Compiles the kernels' arithmetic for the device where there is nvcc: every host-device function
// that no CUDA launcher uses yet. Nothing runs; a function that is not fit for a GPU does not
// build.

#include "cuda/kernels/max_pool.cuh"

namespace ebm {

__global__ void pooling_arithmetic(const float* x, float* y, std::uint8_t* places) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  const PoolWindow window{{x[4 * i], x[4 * i + 1], x[4 * i + 2], x[4 * i + 3]}};
  y[i] = pool_maximum(window, places[i]);
}

}  // namespace ebm
