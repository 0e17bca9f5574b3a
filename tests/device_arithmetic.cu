// Compiles the kernels' arithmetic for the device where there is nvcc: every host-device function
// that no CUDA launcher uses yet. Nothing runs; a function that is not fit for a GPU does not
// build.

#include "cuda/kernels/langevin_update.cuh"
#include "cuda/kernels/leaky_relu.cuh"
#include "cuda/kernels/max_pool.cuh"
#include "cuda/kernels/softmax.cuh"

namespace ebm {

__global__ void langevin_update_arithmetic(LangevinUpdate update, const float* gradient, float* x) {
  const Floats4 z = update.noise_of(blockIdx.x, threadIdx.x);
  for (int k = 0; k < 4; ++k) {
    const unsigned i = 4 * (blockIdx.x * blockDim.x + threadIdx.x) + k;
    x[i] = update(x[i], gradient[i], z.v[k]);
  }
}

__global__ void activation_arithmetic(LeakyRelu relu, const float* x, float* y,
                                      std::uint8_t* places) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  const PoolWindow window{{x[4 * i], x[4 * i + 1], x[4 * i + 2], x[4 * i + 3]}};
  y[i] = relu.gradient(relu(x[i]), pool_maximum(window, places[i]));
  y[i] += exp_nonpositive(x[i]);
}

}  // namespace ebm
