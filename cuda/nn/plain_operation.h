// Operations without parameters, written once for both devices.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <type_traits>

#include "cuda/device/queue.h"
#include "cuda/nn/cpu/cpu_operation.h"
#include "cuda/nn/operation_memory.h"
#ifdef EBM_CUDA
#include "cuda/nn/gpu/gpu_operation.h"
#endif

namespace ebm {

/// What a plain operation is made of: a class template of one type of values that is constructed
/// from this and has forward(), y from x, and backward(), dx from dy.
template <class T>
struct PlainBatch {
  Queue queue{};
  int images = 0;
  Operation operation{};
  OperationMemory<T> memory{};

  std::int64_t inputs() const { return images * operation.in.size(); }
};

/// Calls enqueue(), of a device's queue enqueue(stream): for kernels that have a launcher for each.
template <class T, class Enqueue>
void launch_on([[maybe_unused]] const Queue& queue, const Enqueue& enqueue) {
#ifdef EBM_CUDA
  if (!queue.on_cpu()) {
    return enqueue(queue.stream());
  }
#endif
  if constexpr (std::is_same_v<T, float>) {  // the CPU's only type
    enqueue();
  }
}

template <template <class> class Plain>
class CpuPlainOperation final : public CpuOperation {
 public:
  explicit CpuPlainOperation(const PlainBatch<float>& batch) : plain_(batch) {}
  void forward() override { plain_.forward(); }
  void backward() override { plain_.backward(); }

 private:
  Plain<float> plain_;
};

template <template <class> class Plain>
class CpuPlainPlan final : public CpuPlan {
 public:
  CpuPlainPlan(const Operation& operation, const CpuTile& tile)
      : operation_(operation), images_(tile.chains) {}
  std::unique_ptr<CpuOperation> bind(const CpuMemory& memory) const override {
    return std::make_unique<CpuPlainOperation<Plain>>(
        PlainBatch<float>{{}, images_, operation_, memory});
  }

 private:
  Operation operation_;
  int images_;
};

template <template <class> class Plain>
std::shared_ptr<CpuPlan> plan_plain(const Operation& operation, const CpuTile& tile) {
  return std::make_shared<CpuPlainPlan<Plain>>(operation, tile);
}

#ifdef EBM_CUDA
template <template <class> class Plain>
struct GpuPlain {
  template <class T>
  class Of final : public GpuOperation {
   public:
    Of(const GpuBatch& batch, const Operation& operation, const OperationMemory<T>& memory)
        : plain_(PlainBatch<T>{batch.stream, batch.images, operation, memory}) {}
    void forward() override { plain_.forward(); }
    void backward() override { plain_.backward(); }

   private:
    Plain<T> plain_;
  };

  static constexpr GpuFactory kFactory = gpu_factory<Of>();
};
#endif

/// Its row. `gpu_bytes` are those of memory of its own.
template <template <class> class Plain>
consteval OperationType plain_operation(std::string_view name,
                                        decltype(OperationType::gpu_bytes) gpu_bytes = nullptr) {
  OperationType type{.name = name, .plan_for_cpu = plan_plain<Plain>, .gpu_bytes = gpu_bytes};
#ifdef EBM_CUDA
  type.gpu = &GpuPlain<Plain>::kFactory;
#endif
  return type;
}

}  // namespace ebm
