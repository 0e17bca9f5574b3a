#include "cuda/kernels/optimizer.cuh"

#include "cuda/device/launch.cuh"

namespace ebm {
namespace {

struct SgdBody {
  SgdStep step;
  const float* gradient;
  float* parameters;

  EBM_HOST_DEVICE void operator()(std::int64_t i) const {
    parameters[i] = step(parameters[i], gradient[i]);
  }
};

struct AdamBody {
  AdamStep step;
  const float* gradient;
  float* parameters;
  float* first;
  float* second;

  EBM_HOST_DEVICE void operator()(std::int64_t i) const {
    parameters[i] = step(parameters[i], gradient[i], first[i], second[i]);
  }
};

}  // namespace

void sgd_step(const Queue& queue, const SgdStep& step, std::int64_t n, const float* gradient,
              float* parameters, const std::uint32_t* stopped) {
  for_each_index(queue, n, SgdBody{step, gradient, parameters}, stopped);
}

void adam_step(const Queue& queue, const AdamStep& step, std::int64_t n, const float* gradient,
               float* parameters, float* first, float* second, const std::uint32_t* stopped) {
  for_each_index(queue, n, AdamBody{step, gradient, parameters, first, second}, stopped);
}

}  // namespace ebm
