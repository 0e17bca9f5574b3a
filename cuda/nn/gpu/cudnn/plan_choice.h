// Which of the libraries' plans a pass of a convolution uses. In builds with cuDNN only.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "cuda/nn/gpu/cudnn/convolution_libraries.h"
#include "cuda/nn/gpu/cudnn/cudnn_plan.h"
#include "cuda/nn/gpu/cudnn/plan_cache.h"
#include "cuda/nn/gpu/cudnn/plan_keys.h"
#include "cuda/nn/gpu/lt_linear.h"

namespace ebm {

/// A plan of a pass.
struct PassPlan {
  std::variant<CudnnPlan, LtPlan> plan;
  GraphForm form = GraphForm::plain;  ///< of cuDNN's

  std::size_t workspace_bytes() const {
    return std::visit([](const auto& of) { return of.workspace_bytes(); }, plan);
  }
};

/// Finds plans in a cache, or measures them and keeps the fastest there. What it is made of is
/// borrowed.
class PlanChoice {
 public:
  PlanChoice(const ConvolutionLibraries& libraries, const ConvolutionPattern& pattern,
             const PlanCache& cache);

  /// Whether the cache has the plan of the pass.
  bool is_known(ConvolutionPass pass) const;

  /// The plan for the pass: the fastest at run(plan), which enqueues all that the pass does. Graphs
  /// are built only if they are measured, and plans compiled only where the cache has not got them.
  /// None when there is no plan.
  std::optional<PassPlan> choose(ConvolutionPass pass,
                                 const std::function<void(const PassPlan&)>& run) const;

 private:
  std::string key(ConvolutionPass pass) const;
  void add_candidates(const GraphKind& kind, std::vector<PassPlan>& plans) const;
  std::vector<PassPlan> candidates(ConvolutionPass pass) const;
  std::optional<PassPlan> restore(ConvolutionPass pass) const;
  std::optional<PassPlan> restored(ConvolutionPass pass, std::vector<std::uint8_t> kept) const;
  void keep(ConvolutionPass pass, const PassPlan& chosen) const;

  const ConvolutionLibraries& libraries_;
  ConvolutionPattern pattern_;
  const PlanCache& cache_;
  std::string device_;  // its name
  GpuKind gpu_;
};

/// Makes ready for the choice of plans for these patterns on the current device: where the cache
/// has none, compiles in threads, up to 16, what would be compiled one plan after the
/// other, and has the cache remember it. Where cuDNN does not take descriptions of devices
/// (before 9.8), does nothing.
void compile_ahead(const ConvolutionLibraries& libraries,
                   std::span<const ConvolutionPattern> patterns, PlanCache& cache);

}  // namespace ebm
