// What energies on a CUDA device have in common. In builds with CUDA only.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "cuda/nn/energy.h"
#include "cuda/nn/gpu/cuda_context.h"
#include "cuda/nn/gpu/recorded_graphs.h"

namespace ebm {

/// An energy in the order of one stream. Nothing is allocated and nobody waits after construction,
/// but where a run is the first of its kind and is captured.
class DeviceEnergy : public Energy {
 public:
  explicit DeviceEnergy(std::shared_ptr<CudaContext> context)
      : context_(std::move(context)), queue_(context_->stream()) {}

  const Queue& queue() const final { return queue_; }
  void run(const ChainRun& run, const Chains& chains) final;

 protected:
  CudaContext& context() const { return *context_; }
  /// Langevin steps that are not recorded, of at most capacity() chains.
  virtual void langevin(const ChainRun& run, const Chains& chains) = 0;

 private:
  std::shared_ptr<CudaContext> context_;  // outlives what is in its stream's order
  Queue queue_;
  std::optional<RecordedGraphs> recorded_;  // of the last kind of recorded steps
};

}  // namespace ebm
