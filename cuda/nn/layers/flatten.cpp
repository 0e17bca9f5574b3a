#include "cuda/nn/layers/flatten.h"

#include "cuda/kernels/channel_order.cuh"
#include "cuda/nn/cpu/cpu_operation.h"
#include "cuda/nn/lowering.h"
#ifdef EBM_CUDA
#include "cuda/nn/gpu/gpu_operation.h"
#endif

namespace ebm {
namespace {

/// Activations are channels last: of more than one pixel they have to be reordered.
void lower_flatten(const Layer& layer, const Shape& in, Lowering& to) {
  if (pixels(in) > 1) {
    to.add(kFlatten, layer, in, layer.type->out_shape(layer, in));
  }
}

class CpuFlatten final : public CpuOperation {
 public:
  CpuFlatten(const Operation& operation, const CpuTile& tile, const CpuMemory& memory)
      : images_(tile.chains), in_(operation.in), memory_(memory) {}

  void forward() override {
    to_channel_major(images_, in_.channels, pixels(in_), memory_.x, memory_.y);
  }
  void backward() override {
    to_channels_last(images_, in_.channels, pixels(in_), memory_.dy, memory_.dx);
  }

 private:
  int images_;
  Shape in_;
  CpuMemory memory_;
};

#ifdef EBM_CUDA
template <class T>
class GpuFlatten final : public GpuOperation {
 public:
  GpuFlatten(const GpuBatch& batch, const Operation& operation, const GpuMemory<T>& memory)
      : batch_(batch), in_(operation.in), memory_(memory) {}

  void forward() override {
    to_channel_major(batch_.stream, batch_.images, in_.channels, pixels(in_), memory_.x, memory_.y);
  }
  void backward() override {
    to_channels_last(batch_.stream, batch_.images, in_.channels, pixels(in_),
                     static_cast<const T*>(memory_.dy), memory_.dx);
  }

 private:
  GpuBatch batch_;
  Shape in_;
  GpuMemory<T> memory_;
};

constexpr GpuFactory kGpuFlatten = gpu_factory<GpuFlatten>();
#endif

}  // namespace

constinit const LayerType kFlattenLayer = {
    .name = "flatten",
    .out_shape = [](const Layer& /*layer*/,
                    const Shape& in) { return Shape{static_cast<int>(in.size())}; },
    .lower = lower_flatten};

constinit const OperationType kFlatten = {
    .name = "flatten",
    .plan_for_cpu = plan_without_parameters<CpuFlatten>,
#ifdef EBM_CUDA
    .gpu = &kGpuFlatten,
#endif
};

}  // namespace ebm
