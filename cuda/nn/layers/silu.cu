#include "cuda/nn/layers/silu.cuh"

#include "cuda/base/cpu_clones.h"
#include "cuda/kernels/elementwise.cuh"
#include "cuda/nn/cpu/cpu_operation.h"
#include "cuda/nn/lowering.h"
#ifdef EBM_CUDA
#include "cuda/nn/gpu/gpu_operation.h"
#endif

namespace ebm {
namespace {

EBM_CPU_CLONES void silu_forward(std::int64_t n, const float* x, float* y) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    y[i] = Silu{}(x[i]);
  }
}

EBM_CPU_CLONES void silu_backward(std::int64_t n, const float* x, const float* dy, float* dx) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    dx[i] = Silu{}.gradient(x[i], dy[i]);
  }
}

class CpuSilu final : public CpuOperation {
 public:
  CpuSilu(const Operation& operation, const CpuTile& tile, const CpuMemory& memory)
      : values_(tile.chains * operation.in.size()), memory_(memory) {}

  void forward() override { silu_forward(values_, memory_.x, memory_.y); }
  void backward() override { silu_backward(values_, memory_.x, memory_.dy, memory_.dx); }

 private:
  std::int64_t values_;
  CpuMemory memory_;
};

#ifdef EBM_CUDA
template <class T>
class GpuSilu final : public GpuOperation {
 public:
  GpuSilu(const GpuBatch& batch, const Operation& operation, const GpuMemory<T>& memory)
      : stream_(batch.stream), values_(batch.images * operation.in.size()), memory_(memory) {}

  void forward() override { apply(stream_, Silu{}, values_, memory_.x, memory_.y); }
  void backward() override {
    apply_gradient<T>(stream_, Silu{}, values_, memory_.x, memory_.dy, memory_.dx);
  }

 private:
  const CudaStream& stream_;
  std::int64_t values_;
  GpuMemory<T> memory_;
};

constexpr GpuFactory kGpuSilu = gpu_factory<GpuSilu>();
#endif

void lower_silu(const Layer& layer, const Shape& in, Lowering& to) { to.add(kSilu, layer, in, in); }

Shape same_shape(const Layer& /*layer*/, const Shape& in) { return in; }

}  // namespace

constinit const LayerType kSiluLayer = {
    .name = "silu", .out_shape = same_shape, .lower = lower_silu};

constinit const OperationType kSilu = {
    .name = "silu",
    .plan_for_cpu = plan_without_parameters<CpuSilu>,
#ifdef EBM_CUDA
    .gpu = &kGpuSilu,
#endif
};

}  // namespace ebm
