// An operation on a CUDA device, for a batch of fixed size. In builds with CUDA only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "cuda/device/bfloat16.cuh"
#include "cuda/device/device_buffer.h"
#include "cuda/nn/operation_memory.h"

namespace ebm {

class CudaContext;

/// What operations are made for.
struct GpuBatch {
  CudaContext& context;
  const CudaStream& stream;  ///< the context's
  int images = 0;
};

/// Enqueues on the batch's stream; allocates nothing after construction.
class GpuOperation {
 public:
  GpuOperation() = default;
  virtual ~GpuOperation() = default;
  GpuOperation(const GpuOperation&) = delete;
  GpuOperation& operator=(const GpuOperation&) = delete;

  /// Takes its parameters out of θ.
  virtual void set_parameters(const float* /*theta*/) {}
  /// y from x.
  virtual void forward() = 0;
  /// dx from dy.
  virtual void backward() = 0;
  /// Overwrites its part of θ's gradient, after forward() and, unless it is the first operation,
  /// backward() of the same batch.
  virtual void weight_gradient(float* /*theta_gradient*/) {}
};

/// Makes an operation, of activations of either type.
struct GpuFactory {
  template <class T>
  using Make = std::unique_ptr<GpuOperation> (*)(const GpuBatch&, const Operation&,
                                                 const OperationMemory<T>&);
  Make<float> of_float;
  Make<Bfloat16> of_bfloat16;

  std::unique_ptr<GpuOperation> make(const GpuBatch& batch, const Operation& operation,
                                     const OperationMemory<float>& memory) const {
    return of_float(batch, operation, memory);
  }
  std::unique_ptr<GpuOperation> make(const GpuBatch& batch, const Operation& operation,
                                     const OperationMemory<Bfloat16>& memory) const {
    return of_bfloat16(batch, operation, memory);
  }
};

template <class Made, class T>
std::unique_ptr<GpuOperation> make_gpu_operation(const GpuBatch& batch, const Operation& operation,
                                                 const OperationMemory<T>& memory) {
  return std::make_unique<Made>(batch, operation, memory);
}

template <template <class> class Made>
constexpr GpuFactory gpu_factory() {
  return {make_gpu_operation<Made<float>, float>, make_gpu_operation<Made<Bfloat16>, Bfloat16>};
}

/// Values of an operation's own, not initialized.
template <class T>
DeviceBuffer<T> gpu_values(const GpuBatch& batch, std::int64_t per_image) {
  return DeviceBuffer<T>(batch.stream, static_cast<std::size_t>(batch.images * per_image));
}

}  // namespace ebm
