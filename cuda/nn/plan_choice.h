// Which of cuDNN's plans a pass of a convolution uses. In builds with cuDNN only.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cuda/nn/cudnn_plan.h"
#include "cuda/nn/plan_cache.h"
#include "cuda/nn/plan_keys.h"

namespace ebm {

/// A plan of a pass, and whether the element-by-element work is part of it.
struct PassPlan {
  CudnnPlan plan;
  bool fused = false;
};

/// Finds plans in a cache, or measures them and keeps the fastest there. What it is made of is
/// borrowed.
class PlanChoice {
 public:
  PlanChoice(const CudnnHandle& handle, const ConvolutionPattern& pattern, const PlanCache& cache);

  /// Whether the cache has the plan of the pass.
  bool is_known(ConvolutionPass pass) const;

  /// The plan for the pass: the fastest, of all its graphs' at run(plan), which enqueues all that
  /// the pass does. Graphs are built only if they are measured, and plans compiled only where the
  /// cache has not got them. None when no graph has a plan.
  std::optional<PassPlan> choose(ConvolutionPass pass,
                                 const std::function<void(const PassPlan&)>& run) const;

 private:
  std::string key(ConvolutionPass pass) const;
  std::vector<PassPlan> candidates(const GraphKind& kind) const;
  std::optional<PassPlan> restore(ConvolutionPass pass) const;
  void keep(ConvolutionPass pass, const PassPlan& chosen) const;

  const CudnnHandle& handle_;
  ConvolutionPattern pattern_;
  const PlanCache& cache_;
  std::string device_;  // its name
  GpuKind gpu_;
};

/// Makes ready for the choice of plans for these patterns on the current device: where the cache
/// has none, compiles in all the processor's threads what would be compiled one plan after the
/// other, and has the cache remember it. Where cuDNN does not take descriptions of devices
/// (before 9.11), does nothing.
void compile_ahead(const CudnnHandle& handle, std::span<const ConvolutionPattern> patterns,
                   PlanCache& cache);

}  // namespace ebm
