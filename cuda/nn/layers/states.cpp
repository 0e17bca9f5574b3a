#include "cuda/nn/layers/states.h"

#include "cuda/kernels/channel_order.cuh"
#include "cuda/nn/cpu/cpu_operation.h"
#ifdef EBM_CUDA
#include "cuda/nn/gpu/gpu_operation.h"
#endif

namespace ebm {
namespace {

class CpuStatesOperation final : public CpuOperation {
 public:
  CpuStatesOperation(const Operation& operation, const CpuTile& tile, const CpuMemory& memory)
      : shape_(operation.in), images_(tile.chains), memory_(memory) {}

  void forward() override { memory_.ends->bring_states(shape_, images_, memory_.y); }
  void backward() override { memory_.ends->give_gradients(shape_, memory_.dy); }

 private:
  Shape shape_;
  int images_;
  CpuMemory memory_;
};

#ifdef EBM_CUDA
template <class T>
class GpuStatesOperation final : public GpuOperation {
 public:
  GpuStatesOperation(const GpuBatch& batch, const Operation& operation, const GpuMemory<T>& memory)
      : batch_(batch), shape_(operation.in), memory_(memory) {}

  void forward() override {
    to_channels_last(batch_.stream, batch_.images, shape_.channels, pixels(shape_),
                     memory_.ends->states, memory_.y);
  }
  void backward() override {
    to_channel_major(batch_.stream, batch_.images, shape_.channels, pixels(shape_),
                     static_cast<const T*>(memory_.dy), memory_.ends->gradients);
  }

 private:
  GpuBatch batch_;
  Shape shape_;
  GpuMemory<T> memory_;
};

constexpr GpuFactory kGpuStates = gpu_factory<GpuStatesOperation>();
#endif

}  // namespace

constinit const OperationType kStates = {
    .name = "states",
    .plan_for_cpu = plan_without_parameters<CpuStatesOperation>,
#ifdef EBM_CUDA
    .gpu = &kGpuStates,
#endif
};

}  // namespace ebm
