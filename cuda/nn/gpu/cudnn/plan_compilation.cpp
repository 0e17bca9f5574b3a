#include "cuda/nn/gpu/cudnn/plan_compilation.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "cuda/device/cuda_status.h"

namespace ebm {
namespace {

using Keep = std::function<void(const std::string&, std::vector<std::uint8_t>)>;

/// A proposal that may be measured.
struct Candidate {
  std::int64_t index = 0;  ///< among the graph's proposals
  ProposedPlan plan;
};

/// A graph, and how far its plans have come.
struct GraphProgress {
  ConvolutionPattern pattern;
  GraphKind kind;
  bool is_proposed = false;
  std::vector<Candidate> candidates{};
  std::size_t next = 0;   ///< candidate to look at
  std::size_t ready = 0;  ///< known, compiled or the library's own
  std::size_t under_way = 0;

  bool has_work() const {
    return is_proposed ? ready + under_way < measured_plans(kind) && next < candidates.size()
                       : under_way == 0;
  }
};

/// Work that threads share: to ask for a graph's proposals, then to compile the first of them.
/// cuDNN's graphs are no thread's but one's, so every plan is compiled from a graph of its own.
class PlanWork {
 public:
  PlanWork(const PlanTarget& target, std::span<const ConvolutionPattern> patterns,
           const PlanCache& known, const Keep& keep);

  /// What each thread does until nothing is left. Failures wait for result().
  void run() noexcept;
  CompiledPlans result() const;

 private:
  CudnnGraph proposed_graph(const GraphProgress& graph) const;
  void propose(GraphProgress& graph, std::unique_lock<std::mutex>& lock) const;
  void compile(GraphProgress& graph, std::unique_lock<std::mutex>& lock);
  void work();

  const PlanTarget& target_;
  const PlanCache& known_;
  const Keep& keep_;
  std::mutex mutex_;  // of all below
  std::condition_variable changed_;
  std::vector<GraphProgress> graphs_;
  CompiledPlans counts_;
  std::exception_ptr failure_;
};

PlanWork::PlanWork(const PlanTarget& target, std::span<const ConvolutionPattern> patterns,
                   const PlanCache& known, const Keep& keep)
    : target_(target), known_(known), keep_(keep) {
  for (const ConvolutionPattern& pattern : patterns) {
    for (const ConvolutionPass pass : kConvolutionPasses) {
      for (const GraphKind& kind : graph_kinds(pattern, pass)) {
        graphs_.push_back({.pattern = pattern, .kind = kind});
      }
    }
  }
  // Fused plans take longest: they come first.
  std::ranges::stable_partition(
      graphs_, [](const GraphProgress& graph) { return graph.kind.form == GraphForm::fused; });
}

/// Null when there is no proposal.
CudnnGraph PlanWork::proposed_graph(const GraphProgress& graph) const {
  CudnnGraph made = make_graph(graph.pattern, graph.kind);
  return propose_plans(*made, target_.properties, precision_of(graph.pattern, graph.kind.pass))
             ? made
             : nullptr;
}

void PlanWork::propose(GraphProgress& graph, std::unique_lock<std::mutex>& lock) const {
  ++graph.under_way;
  lock.unlock();
  std::vector<Candidate> candidates;
  if (const CudnnGraph made = proposed_graph(graph)) {
    std::int64_t index = 0;
    for (ProposedPlan& plan : proposed_plans(*made)) {
      // The library's own are there at once or, refused by the precision say, not at all.
      if (plan.is_compiled_at_run_time || CudnnPlan::compile(made, index)) {
        candidates.push_back({index, std::move(plan)});
      }
      ++index;
    }
  }
  lock.lock();
  --graph.under_way;
  graph.candidates = std::move(candidates);
  graph.is_proposed = true;
}

void PlanWork::compile(GraphProgress& graph, std::unique_lock<std::mutex>& lock) {
  const Candidate& candidate = graph.candidates[graph.next++];
  if (!candidate.plan.is_compiled_at_run_time) {
    ++graph.ready;
    return;
  }
  const std::string key =
      candidate_key(target_.kind, graph.pattern, graph.kind, candidate.plan.name);
  ++graph.under_way;
  lock.unlock();
  const bool is_known = known_.find(key).has_value();
  std::optional<CudnnPlan> plan;
  std::vector<std::uint8_t> saved;
  if (!is_known) {
    const CudnnGraph made = proposed_graph(graph);
    plan = made ? CudnnPlan::compile(made, candidate.index) : std::nullopt;
    saved = plan ? plan->save() : saved;
  }
  lock.lock();
  --graph.under_way;
  graph.ready += is_known || plan ? 1 : 0;
  counts_.known += is_known ? 1 : 0;
  counts_.failed += is_known || plan ? 0 : 1;
  if (plan) {
    ++counts_.compiled;
    keep_(key, std::move(saved));
  }
}

void PlanWork::work() {
  if (target_.device) {
    EBM_CHECK_CUDA(cudaSetDevice(*target_.device));
  }
  std::unique_lock lock(mutex_);
  while (!failure_) {
    const auto graph = std::ranges::find_if(graphs_, &GraphProgress::has_work);
    if (graph != graphs_.end()) {
      graph->is_proposed ? compile(*graph, lock) : propose(*graph, lock);
      changed_.notify_all();
    } else if (std::ranges::any_of(graphs_, [](const auto& g) { return g.under_way > 0; })) {
      changed_.wait(lock);
    } else {
      return;
    }
  }
}

void PlanWork::run() noexcept {
  try {
    work();
  } catch (...) {
    const std::lock_guard lock(mutex_);
    failure_ = failure_ ? failure_ : std::current_exception();
    changed_.notify_all();
  }
}

CompiledPlans PlanWork::result() const {
  if (failure_) {
    std::rethrow_exception(failure_);
  }
  return counts_;
}

}  // namespace

CompiledPlans compile_plans(const PlanTarget& target, std::span<const ConvolutionPattern> patterns,
                            const PlanCache& known, unsigned threads, const Keep& keep) {
  PlanWork work(target, patterns, known, keep);
  {
    std::vector<std::jthread> others;
    for (unsigned i = 1; i < threads; ++i) {
      others.emplace_back([&work] { work.run(); });
    }
    work.run();
  }
  return work.result();
}

}  // namespace ebm
