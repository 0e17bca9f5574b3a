// Operations without parameters, written once for both devices.
#pragma once

#include <memory>
#include <string_view>
#include <utility>

#include "cuda/nn/cpu/cpu_operation.h"
#include "cuda/nn/plain_batch.h"
#ifdef EBM_CUDA
#include "cuda/nn/gpu/gpu_operation.h"
#endif

namespace ebm {

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
  CpuPlainPlan(Operation operation, const CpuTile& tile)
      : operation_(std::move(operation)), images_(tile.chains) {}
  std::unique_ptr<CpuOperation> bind(const CpuMemory& memory) const override {
    return std::make_unique<CpuPlainOperation<Plain>>(
        PlainBatch<float>{{}, images_, operation_, memory});
  }

 private:
  Operation operation_;
  int images_;
};

template <template <class> class Plain>
std::unique_ptr<CpuPlan> plan_plain(const Operation& operation, const CpuTile& tile) {
  return std::make_unique<CpuPlainPlan<Plain>>(operation, tile);
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

/// Its row, with the bytes of memory of its own.
template <template <class> class Plain>
consteval OperationType plain_operation(std::string_view name,
                                        decltype(OperationType::cpu_bytes) cpu_bytes = nullptr,
                                        decltype(OperationType::gpu_bytes) gpu_bytes = nullptr) {
  OperationType type{.name = name,
                     .plan_for_cpu = plan_plain<Plain>,
                     .cpu_bytes = cpu_bytes,
                     .gpu_bytes = gpu_bytes};
#ifdef EBM_CUDA
  type.gpu = &GpuPlain<Plain>::kFactory;
#endif
  return type;
}

}  // namespace ebm
