// An operation on the CPU, for tiles of chains: what the threads share, and what each has of its
// own.
#pragma once

#include <cstdint>
#include <memory>

#include "cuda/nn/operation.h"

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

/// The two ends of a network: what goes into a tile's first operation and comes out of its last.
/// Arrays are the caller's, of `chains` chains; what a tile has beyond these are zeros.
struct CpuEnds {
  int chains = 0;
  const float* states = nullptr;  ///< channel-major
  float* gradients = nullptr;     ///< ∇ₓ of the states
  float* f = nullptr;             ///< energies
  float df = 1;                   ///< what the gradients are of: Σ df·f

  /// The states as activations of so many images, channels last.
  void bring_states(const Shape& shape, int images, float* x) const;
  /// The gradients from those of such activations.
  void give_gradients(const Shape& shape, const float* dx) const;
};

/// A tile's memory for one operation: arrays of images × pixels × channels, borrowed.
struct CpuMemory {
  CpuEnds* ends = nullptr;
  float* x = nullptr;
  float* y = nullptr;
  float* dx = nullptr;
  float* dy = nullptr;
  const float* skip = nullptr;     ///< of a join
  const float* skip_dy = nullptr;  ///< of a fork
  float* scratch = nullptr;        ///< CpuPlan::scratch_values(), shared by a tile's operations
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

/// Of an operation that has no parameters.
template <class Bound>
std::shared_ptr<CpuPlan> plan_without_parameters(const Operation& operation, const CpuTile& tile) {
  class Plan final : public CpuPlan {
   public:
    Plan(const Operation& operation, const CpuTile& tile) : operation_(operation), tile_(tile) {}
    std::unique_ptr<CpuOperation> bind(const CpuMemory& memory) const override {
      return std::make_unique<Bound>(operation_, tile_, memory);
    }

   private:
    Operation operation_;
    CpuTile tile_;
  };
  return std::make_shared<Plan>(operation, tile);
}

}  // namespace ebm
