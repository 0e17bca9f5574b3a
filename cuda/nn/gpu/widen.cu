#include "cuda/nn/gpu/widen.cuh"

#include "cuda/device/launch.cuh"

namespace ebm {
#ifdef __CUDACC__
namespace {

struct WidenBody {
  const Bfloat16* x;
  float* y;

  EBM_HOST_DEVICE void operator()(std::int64_t i) const { y[i] = static_cast<float>(x[i]); }
};

}  // namespace

void widen(const CudaStream& stream, std::int64_t n, const Bfloat16* x, float* y) {
  for_each_index(stream, n, WidenBody{x, y});
}

#endif
}  // namespace ebm
