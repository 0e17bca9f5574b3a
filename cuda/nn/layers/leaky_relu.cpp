#include "cuda/nn/layers/leaky_relu.h"

#include "cuda/kernels/leaky_relu.cuh"
#include "cuda/nn/cpu/cpu_operation.h"
#include "cuda/nn/lowering.h"
#ifdef EBM_CUDA
#include "cuda/nn/gpu/gpu_operation.h"
#endif

namespace ebm {
namespace {

class CpuLeakyRelu final : public CpuOperation {
 public:
  CpuLeakyRelu(const Operation& operation, const CpuTile& tile, const CpuMemory& memory)
      : values_(tile.chains * operation.in.size()), memory_(memory) {}

  void forward() override { leaky_relu_forward({}, values_, memory_.x, memory_.y); }
  void backward() override { leaky_relu_backward({}, values_, memory_.y, memory_.dy, memory_.dx); }

 private:
  std::int64_t values_;
  CpuMemory memory_;
};

#ifdef EBM_CUDA
template <class T>
class GpuLeakyRelu final : public GpuOperation {
 public:
  GpuLeakyRelu(const GpuBatch& batch, const Operation& operation, const GpuMemory<T>& memory)
      : stream_(batch.stream), values_(batch.images * operation.in.size()), memory_(memory) {}

  void forward() override { leaky_relu_forward(stream_, {}, values_, memory_.x, memory_.y); }
  void backward() override {
    leaky_relu_backward<T>(stream_, {}, values_, memory_.y, memory_.dy, memory_.dx);
  }

 private:
  const CudaStream& stream_;
  std::int64_t values_;
  GpuMemory<T> memory_;
};

constexpr GpuFactory kGpuLeakyRelu = gpu_factory<GpuLeakyRelu>();
#endif

}  // namespace

constinit const LayerType kLeakyReluLayer = {
    .name = "leaky_relu",
    .out_shape = [](const Layer& /*layer*/, const Shape& in) { return in; },
    .lower = [](const Layer& layer, const Shape& in,
                Lowering& to) { to.add(kLeakyRelu, layer, in, in); }};

constinit const OperationType kLeakyRelu = {
    .name = "leaky_relu",
    .plan_for_cpu = plan_without_parameters<CpuLeakyRelu>,
#ifdef EBM_CUDA
    .gpu = &kGpuLeakyRelu,
#endif
};

}  // namespace ebm
