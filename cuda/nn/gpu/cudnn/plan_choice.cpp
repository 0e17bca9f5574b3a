#include "cuda/nn/gpu/cudnn/plan_choice.h"

#include <omp.h>

#include <algorithm>
#include <exception>
#include <iterator>
#include <limits>
#include <utility>
#include <vector>

#include "cuda/device/cuda_graph.h"
#include "cuda/nn/gpu/cudnn/plan_compilation.h"
#include "cuda/nn/gpu/linear_convolution.h"

namespace ebm {
namespace {

/// Of cuBLASLt's plans, which are proposed by what they are expected to take.
constexpr std::size_t kMeasuredLinear = 8;

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

PlanChoice::PlanChoice(const ConvolutionLibraries& libraries, const ConvolutionPattern& pattern,
                       const PlanCache& cache)
    : libraries_(libraries),
      pattern_(pattern),
      cache_(cache),
      device_(current_device_name()),
      gpu_(current_gpu_kind()) {}

std::string PlanChoice::key(ConvolutionPass pass) const {
  return choice_key(device_, gpu_, pattern_, pass);
}

bool PlanChoice::is_known(ConvolutionPass pass) const { return cache_.find(key(pass)).has_value(); }

/// Adds those of a graph of cuDNN's that are measured.
void PlanChoice::add_candidates(const GraphKind& kind, std::vector<PassPlan>& plans) const {
  const CudnnGraph graph = make_graph(pattern_, kind);
  if (!propose_plans(*graph, libraries_.cudnn, precision_of(pattern_, kind.pass))) {
    return;
  }
  const std::vector<ProposedPlan> proposals = proposed_plans(*graph);
  std::size_t left = measured_plans(kind);
  for (std::size_t i = 0; i < proposals.size() && left > 0; ++i) {
    std::optional<CudnnPlan> plan;
    if (proposals[i].is_compiled_at_run_time) {
      const auto made = cache_.find(candidate_key(gpu_, pattern_, kind, proposals[i].name));
      plan = made ? CudnnPlan::restore(libraries_.cudnn, *made) : std::nullopt;
    }
    if (!plan) {
      plan = CudnnPlan::compile(graph, static_cast<std::int64_t>(i));
    }
    if (plan) {
      plans.push_back({std::move(*plan), kind.form});
      --left;
    }
  }
}

/// Those of a pass that are measured.
std::vector<PassPlan> PlanChoice::candidates(ConvolutionPass pass) const {
  std::vector<PassPlan> plans;
  for (const GraphKind& kind : graph_kinds(pattern_, pass)) {
    add_candidates(kind, plans);
  }
  if (libraries_.cublas_lt && is_linear(pattern_.shape)) {
    for (LtPlan& plan :
         lt_candidates(*libraries_.cublas_lt, linear_problem(pattern_, pass), kMeasuredLinear)) {
      plans.push_back({std::move(plan)});
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
  for (PassPlan& candidate : candidates(pass)) {
    const float milliseconds = milliseconds_of(libraries_.cudnn.stream(), [&] { run(candidate); });
    if (milliseconds < least) {
      least = milliseconds;
      fastest = std::move(candidate);
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

// What is kept is a byte that says what it is, then the plan.

namespace {
enum KeptKind : std::uint8_t { kCudnn, kFusedCudnn, kCublasLt, kSubpixelsCudnn };
}  // namespace

std::optional<PassPlan> PlanChoice::restored(ConvolutionPass pass,
                                             std::vector<std::uint8_t> kept) const {
  const std::uint8_t kind = kept.front();
  kept.erase(kept.begin());
  if (kind == kCublasLt) {
    auto plan = libraries_.cublas_lt
                    ? LtPlan::restore(*libraries_.cublas_lt, linear_problem(pattern_, pass), kept)
                    : std::nullopt;
    return plan ? std::optional(PassPlan{std::move(*plan)}) : std::nullopt;
  }
  auto plan = CudnnPlan::restore(libraries_.cudnn, std::move(kept));
  const GraphForm form = kind == kFusedCudnn       ? GraphForm::fused
                         : kind == kSubpixelsCudnn ? GraphForm::subpixels
                                                   : GraphForm::plain;
  return plan ? std::optional(PassPlan{std::move(*plan), form}) : std::nullopt;
}

std::optional<PassPlan> PlanChoice::restore(ConvolutionPass pass) const {
  const auto kept = cache_.find(key(pass));
  if (!kept || kept->empty()) {
    return std::nullopt;
  }
  auto plan = restored(pass, *kept);
  if (!plan) {  // another driver's, say: it would be in the way of the next choice
    cache_.discard(key(pass), *kept);
  }
  return plan;
}

void PlanChoice::keep(ConvolutionPass pass, const PassPlan& chosen) const {
  std::vector<std::uint8_t> bytes =
      std::visit([](const auto& plan) { return plan.save(); }, chosen.plan);
  const bool is_linear = std::holds_alternative<LtPlan>(chosen.plan);
  bytes.insert(bytes.begin(), is_linear                             ? kCublasLt
                              : chosen.form == GraphForm::fused     ? kFusedCudnn
                              : chosen.form == GraphForm::subpixels ? kSubpixelsCudnn
                                                                    : kCudnn);
  cache_.keep(key(pass), bytes);
}

/// As many as the process may use, but no more than the compiler's memory and a network's few dozen
/// plans are worth.
unsigned compiling_threads() {
  return static_cast<unsigned>(std::clamp(omp_get_num_procs(), 1, 16));
}

void compile_ahead(const ConvolutionLibraries& libraries,
                   std::span<const ConvolutionPattern> patterns, PlanCache& cache) {
  std::vector<ConvolutionPattern> unknown;
  std::ranges::copy_if(patterns, std::back_inserter(unknown), [&](const auto& pattern) {
    const PlanChoice choice(libraries, pattern, cache);
    return !std::ranges::all_of(kConvolutionPasses,
                                [&](ConvolutionPass pass) { return choice.is_known(pass); });
  });
  if (unknown.empty()) {
    return;
  }
  std::vector<std::pair<std::string, std::vector<std::uint8_t>>> compiled;
  try {
    compile_plans(PlanTarget::current(), unknown, cache, compiling_threads(),
                  [&](const std::string& key, std::vector<std::uint8_t> plan) {
                    compiled.emplace_back(key, std::move(plan));
                  });
  } catch (const std::exception&) {
    // Each is tried again as it is needed, with the handle, and that failure is reported.
  }
  for (auto& [key, plan] : compiled) {
    cache.remember(key, std::move(plan));
  }
}

}  // namespace ebm
