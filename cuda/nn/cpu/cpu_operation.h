// An operation on the CPU, for tiles of chains: what the threads share, and what each has of its
// own.
#pragma once

#include <cstdint>
#include <memory>

#include "cuda/nn/operation_memory.h"

namespace ebm {

/// What the forward and the backward pass multiply. Everything else is float: sums, what comes out,
/// and the weight gradient with all that goes into it.
enum class OperandType {
  float32,
  bfloat16,  ///< weights and inputs are rounded to it; the processor must have_bfloat16()
};

/// What tiles are made for.
struct CpuTile {
  int chains = 1;
  OperandType factors = OperandType::float32;
};

/// A tile's memory for one operation.
struct CpuMemory : OperationMemory<float> {
  float* scratch = nullptr;  ///< CpuPlan::scratch_values(), shared by a tile's operations
};

/// One thread's operation. Allocates nothing after construction.
class CpuOperation {
 public:
  CpuOperation() = default;
  virtual ~CpuOperation() = default;
  CpuOperation(const CpuOperation&) = delete;
  CpuOperation& operator=(const CpuOperation&) = delete;

  /// y from x.
  virtual void forward() = 0;
  /// dx from dy.
  virtual void backward() = 0;
  /// gradient = its parameters', gradient_values() values in an order of its own, after forward()
  /// and, unless it is the first operation, backward() of the same chains.
  virtual void weight_gradient(float* /*gradient*/) {}
  virtual std::int64_t gradient_values() const { return 0; }
  /// theta_gradient, in θ's order, += such a gradient, or a sum of them.
  virtual void add_gradient(float* /*gradient*/, float* /*theta_gradient*/) {}
};

/// What all threads share of an operation: its parameters, in the layouts that computing wants.
/// Changed only by set_parameters(), while no thread computes.
class CpuPlan {
 public:
  CpuPlan() = default;
  virtual ~CpuPlan() = default;
  CpuPlan(const CpuPlan&) = delete;
  CpuPlan& operator=(const CpuPlan&) = delete;

  /// Takes its parameters out of θ.
  virtual void set_parameters(const float* /*theta*/) {}
  /// One thread's operation, which borrows this.
  virtual std::unique_ptr<CpuOperation> bind(const CpuMemory& memory) const = 0;
  virtual std::int64_t scratch_values() const { return 0; }
};

}  // namespace ebm
