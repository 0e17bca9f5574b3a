#include "cuda/nn/plan_choice.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "cuda/device/cuda_graph.h"

namespace ebm {
namespace {

/// Plans of each graph that are measured; those further down cuDNN's list are rarely faster. A
/// fused one's kernel is compiled for it, which takes a second.
constexpr std::size_t kMeasured = 8;
constexpr std::size_t kMeasuredFused = 3;

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

std::string device_key() {
  int device = 0;
  EBM_CHECK_CUDA(cudaGetDevice(&device));
  cudaDeviceProp properties{};
  EBM_CHECK_CUDA(cudaGetDeviceProperties(&properties, device));
  return std::string(properties.name) + ", compute capability " + std::to_string(properties.major) +
         "." + std::to_string(properties.minor) + ", " +
         std::to_string(properties.multiProcessorCount) + " multiprocessors, cuDNN " +
         cudnn_versions();
}

std::string pattern_key(const ConvolutionPattern& pattern) {
  const ConvolutionShape& s = pattern.shape;
  std::string key = "convolution";
  for (const int value :
       {s.images, s.in_channels, s.height, s.width, s.out_channels, s.kernel, s.stride, s.padding,
        static_cast<int>(pattern.precision), static_cast<int>(pattern.leaky_relu),
        static_cast<int>(pattern.input_is_leaky)}) {
    key += " " + std::to_string(value);
  }
  return key;
}

}  // namespace

PlanChoice::PlanChoice(const CudnnHandle& handle, const ConvolutionPattern& pattern,
                       const PlanCache& cache)
    : handle_(handle), cache_(cache), key_(device_key() + ", " + pattern_key(pattern)) {}

std::optional<PassPlan> PlanChoice::choose(const std::string& pass, Precision precision,
                                           const std::vector<PassGraph>& graphs,
                                           const std::function<void(const PassPlan&)>& run) const {
  const std::string key = key_ + ", " + pass;
  if (auto known = restore(key)) {
    return known;
  }
  std::optional<PassPlan> fastest;
  float least = std::numeric_limits<float>::infinity();
  for (const auto& [graph, fused] : graphs) {
    const std::size_t most = fused ? kMeasuredFused : kMeasured;
    for (CudnnPlan& plan : CudnnPlan::candidates(handle_, graph, precision, most)) {
      PassPlan candidate{std::move(plan), fused};
      const float milliseconds = milliseconds_of(handle_.stream(), [&] { run(candidate); });
      if (milliseconds < least) {
        least = milliseconds;
        fastest = std::move(candidate);
      }
    }
  }
  if (fastest) {
    keep(key, *fastest);
  }
  return fastest;
}

// What is kept is a byte that says whether the plan is fused, then the plan.

std::optional<PassPlan> PlanChoice::restore(const std::string& key) const {
  auto kept = cache_.find(key);
  if (!kept || kept->empty()) {
    return std::nullopt;
  }
  const bool fused = kept->front() != 0;
  kept->erase(kept->begin());
  auto plan = CudnnPlan::restore(handle_, *kept);
  return plan ? std::optional(PassPlan{std::move(*plan), fused}) : std::nullopt;
}

void PlanChoice::keep(const std::string& key, const PassPlan& chosen) const {
  std::vector<std::uint8_t> bytes = chosen.plan.save();
  bytes.insert(bytes.begin(), chosen.fused ? 1 : 0);
  cache_.keep(key, bytes);
}

}  // namespace ebm
