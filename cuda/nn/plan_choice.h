// Which of cuDNN's plans a pass of a convolution uses. In builds with cuDNN only.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cuda/nn/cudnn_plan.h"
#include "cuda/nn/plan_cache.h"

namespace ebm {

/// A graph of one pass, and whether the element-by-element work is part of it.
struct PassGraph {
  CudnnGraph graph;
  bool fused = false;
};

/// A plan of such a graph.
struct PassPlan {
  CudnnPlan plan;
  bool fused = false;
};

/// Finds plans in a cache, or measures them and keeps the fastest there. What it is made of is
/// borrowed.
class PlanChoice {
 public:
  PlanChoice(const CudnnHandle& handle, const ConvolutionPattern& pattern, const PlanCache& cache);

  /// The plan for the pass of that name: the fastest of the graphs' at run(plan), which enqueues
  /// all that the pass does. Graphs are built only if they are measured. None when no graph has a
  /// plan.
  std::optional<PassPlan> choose(const std::string& pass, Precision precision,
                                 const std::vector<PassGraph>& graphs,
                                 const std::function<void(const PassPlan&)>& run) const;

 private:
  std::optional<PassPlan> restore(const std::string& key) const;
  void keep(const std::string& key, const PassPlan& chosen) const;

  const CudnnHandle& handle_;
  const PlanCache& cache_;
  std::string key_;  ///< of the device, its libraries and the pattern
};

}  // namespace ebm
