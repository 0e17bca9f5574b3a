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

void sgd_step(const SgdStep& step, std::int64_t n, const float* gradient, float* parameters) {
  for_each_index(n, SgdBody{step, gradient, parameters});
}

void adam_step(const AdamStep& step, std::int64_t n, const float* gradient, float* parameters,
               float* first, float* second) {
  for_each_index(n, AdamBody{step, gradient, parameters, first, second});
}

#ifdef __CUDACC__
void sgd_step(const CudaStream& stream, const SgdStep& step, std::int64_t n, const float* gradient,
              float* parameters, const std::uint32_t* stopped) {
  for_each_index(stream, n, UnlessStopped<SgdBody>{stopped, {step, gradient, parameters}});
}

void adam_step(const CudaStream& stream, const AdamStep& step, std::int64_t n,
               const float* gradient, float* parameters, float* first, float* second,
               const std::uint32_t* stopped) {
  for_each_index(stream, n,
                 UnlessStopped<AdamBody>{stopped, {step, gradient, parameters, first, second}});
}
#endif

}  // namespace ebm
