#include "cuda/nn/layers/max_pool.h"

#include "cuda/kernels/max_pool.cuh"
#include "cuda/nn/cpu/cpu_operation.h"
#include "cuda/nn/lowering.h"
#ifdef EBM_CUDA
#include "cuda/nn/gpu/gpu_operation.h"
#endif

namespace ebm {
namespace {

Shape halved(const Layer& /*layer*/, const Shape& in) {
  require_fit(in.height % 2 == 0 && in.width % 2 == 0, "needs an even height and width");
  return {in.channels, in.height / 2, in.width / 2};
}

PoolShape pool_shape(const Operation& operation, int images) {
  return {.images = images,
          .height = operation.in.height,
          .width = operation.in.width,
          .channels = operation.in.channels,
          .pixel_stride = operation.in.channels,
          .after = {.slope = operation.leaky_relu ? kLeakySlope : 1}};
}

class CpuMaxPool final : public CpuOperation {
 public:
  CpuMaxPool(const Operation& operation, const CpuTile& tile, const CpuMemory& memory)
      : shape_(pool_shape(operation, tile.chains)),
        memory_(memory),
        argmax_(static_cast<std::size_t>(tile.chains * operation.out.size())) {}

  void forward() override { max_pool_forward(shape_, memory_.x, memory_.y, argmax_.data()); }
  void backward() override {
    max_pool_backward(shape_, memory_.y, memory_.dy, argmax_.data(), memory_.dx);
  }

 private:
  PoolShape shape_;
  CpuMemory memory_;
  Buffer<std::uint8_t> argmax_;
};

#ifdef EBM_CUDA
template <class T>
class GpuMaxPool final : public GpuOperation {
 public:
  GpuMaxPool(const GpuBatch& batch, const Operation& operation, const GpuMemory<T>& memory)
      : stream_(batch.stream),
        shape_(pool_shape(operation, batch.images)),
        memory_(memory),
        argmax_(gpu_values<std::uint8_t>(batch, operation.out.size())) {}

  void forward() override {
    max_pool_forward(stream_, shape_, memory_.x, memory_.y, argmax_.data());
  }
  void backward() override {
    max_pool_backward<T>(stream_, shape_, memory_.y, memory_.dy, argmax_.data(), memory_.dx);
  }

 private:
  const CudaStream& stream_;
  PoolShape shape_;
  GpuMemory<T> memory_;
  DeviceBuffer<std::uint8_t> argmax_;
};

constexpr GpuFactory kGpuMaxPool = gpu_factory<GpuMaxPool>();
#endif

}  // namespace

constinit const LayerType kMaxPoolLayer = {
    .name = "max_pool",
    .out_shape = halved,
    .lower = [](const Layer& layer, const Shape& in, Lowering& to) {
      to.add(kMaxPool, layer, in, halved(layer, in));
    }};

constinit const OperationType kMaxPool = {
    .name = "max_pool",
    .plan_for_cpu = plan_without_parameters<CpuMaxPool>,
#ifdef EBM_CUDA
    .gpu = &kGpuMaxPool,
    .gpu_bytes = [](const Operation& operation, int images, Precision /*precision*/) -> GpuBytes {
      return {.own = images * operation.out.size()};
    },
#endif
};

}  // namespace ebm
