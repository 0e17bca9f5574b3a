#include "cuda/nn/plan_choice.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <thread>
#include <utility>
#include <vector>

#include "cuda/device/cuda_graph.h"
#include "cuda/nn/plan_compilation.h"

namespace ebm {
namespace {

/// The least time of a few launches of repeated work, captured as it will be in sampling; infinite
/// when it cannot be.
float milliseconds_of(const CudaStream& stream, const std::function<void()>& enqueue) {
  constexpr int kRepeats = 10;
  constexpr int kLaunches = 5;
  float least = std::numeric_limits<float>::infinity();
  try {
    enqueue();  // the first loads the kernels
    const CudaGraph work = CudaGraph::capture(stream, [&] {
      for (int i = 0; i < kRepeats; ++i) {
        enqueue();
      }
    });
    const CudaEvent begin;
    const CudaEvent end;
    work.launch(stream);
    for (int i = 0; i < kLaunches; ++i) {
      stream.record(begin);
      work.launch(stream);
      stream.record(end);
      end.wait();
      least = std::min(least, end.milliseconds_since(begin));
    }
  } catch (const CudaError&) {  // of the plan; a device that is broken fails the next call as well
  }
  return least;
}

std::string current_device_name() {
  int device = 0;
  EBM_CHECK_CUDA(cudaGetDevice(&device));
  cudaDeviceProp properties{};
  EBM_CHECK_CUDA(cudaGetDeviceProperties(&properties, device));
  return properties.name;
}

}  // namespace

PlanChoice::PlanChoice(const CudnnHandle& handle, const ConvolutionPattern& pattern,
                       const PlanCache& cache)
    : handle_(handle),
      pattern_(pattern),
      cache_(cache),
      device_(current_device_name()),
      gpu_(current_gpu_kind()) {}

std::string PlanChoice::key(ConvolutionPass pass) const {
  return choice_key(device_, gpu_, pattern_, pass);
}

bool PlanChoice::is_known(ConvolutionPass pass) const { return cache_.find(key(pass)).has_value(); }

/// Those of a graph that are measured.
std::vector<PassPlan> PlanChoice::candidates(const GraphKind& kind) const {
  std::vector<PassPlan> plans;
  const CudnnGraph graph = make_graph(pattern_, kind);
  if (!propose_plans(*graph, handle_, precision_of(pattern_, kind.pass))) {
    return plans;
  }
  const std::vector<ProposedPlan> proposals = proposed_plans(*graph);
  for (std::size_t i = 0; i < proposals.size() && plans.size() < measured_plans(kind); ++i) {
    std::optional<CudnnPlan> plan;
    if (proposals[i].is_compiled_at_run_time) {
      const auto made = cache_.find(candidate_key(gpu_, pattern_, kind, proposals[i].name));
      plan = made ? CudnnPlan::restore(handle_, *made) : std::nullopt;
    }
    if (!plan) {
      plan = CudnnPlan::compile(graph, static_cast<std::int64_t>(i));
    }
    if (plan) {
      plans.push_back({std::move(*plan), kind.fused});
    }
  }
  return plans;
}

std::optional<PassPlan> PlanChoice::choose(ConvolutionPass pass,
                                           const std::function<void(const PassPlan&)>& run) const {
  if (auto known = restore(pass)) {
    return known;
  }
  std::optional<PassPlan> fastest;
  float least = std::numeric_limits<float>::infinity();
  for (const GraphKind& kind : graph_kinds(pattern_, pass)) {
    for (PassPlan& candidate : candidates(kind)) {
      const float milliseconds = milliseconds_of(handle_.stream(), [&] { run(candidate); });
      if (milliseconds < least) {
        least = milliseconds;
        fastest = std::move(candidate);
      }
    }
  }
  if (!fastest) {
    return std::nullopt;
  }
  keep(pass, *fastest);
  // Another program may have been faster, and chosen otherwise: all that share a cache take the
  // same.
  auto kept = restore(pass);
  return kept ? std::move(kept) : std::move(fastest);
}

// What is kept is a byte that says whether the plan is fused, then the plan.

std::optional<PassPlan> PlanChoice::restore(ConvolutionPass pass) const {
  auto kept = cache_.find(key(pass));
  if (!kept || kept->empty()) {
    return std::nullopt;
  }
  const bool fused = kept->front() != 0;
  kept->erase(kept->begin());
  auto plan = CudnnPlan::restore(handle_, *kept);
  return plan ? std::optional(PassPlan{std::move(*plan), fused}) : std::nullopt;
}

void PlanChoice::keep(ConvolutionPass pass, const PassPlan& chosen) const {
  std::vector<std::uint8_t> bytes = chosen.plan.save();
  bytes.insert(bytes.begin(), chosen.fused ? 1 : 0);
  cache_.keep(key(pass), bytes);
}

void compile_ahead(const CudnnHandle& handle, std::span<const ConvolutionPattern> patterns,
                   PlanCache& cache) {
  std::vector<ConvolutionPattern> unknown;
  std::ranges::copy_if(patterns, std::back_inserter(unknown), [&](const auto& pattern) {
    const PlanChoice choice(handle, pattern, cache);
    return !std::ranges::all_of(kConvolutionPasses,
                                [&](ConvolutionPass pass) { return choice.is_known(pass); });
  });
  if (unknown.empty()) {
    return;
  }
  std::vector<std::pair<std::string, std::vector<std::uint8_t>>> compiled;
  try {
    compile_plans(PlanTarget::current(), unknown, cache,
                  std::max(1U, std::thread::hardware_concurrency()),
                  [&](const std::string& key, std::vector<std::uint8_t> plan) {
                    compiled.emplace_back(key, std::move(plan));
                  });
  } catch (const CudaError&) {
    // Each is tried again as it is needed, with the handle, and that failure is reported.
  }
  for (auto& [key, plan] : compiled) {
    cache.remember(key, std::move(plan));
  }
}

}  // namespace ebm
