// Compiles cuDNN's plans in many threads, for a GPU that is there or for one that is only
// described. In builds with cuDNN only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cuda/nn/gpu/cudnn/cudnn_plan.h"
#include "cuda/nn/gpu/cudnn/plan_cache.h"
#include "cuda/nn/gpu/cudnn/plan_keys.h"

namespace ebm {

/// A GPU, by what cuDNN wants to know of it.
struct DescribedGpu {
  const char* name;   ///< as people ask for it
  const char* model;  ///< as CUDA calls it
  GpuKind kind;
  int shared_memory;  ///< bytes that a block may ask for
  long long memory;   ///< bytes
  int clock;          ///< kHz
  int memory_clock;
  int l2_cache;  ///< bytes
};

/// Those that plans can be made for without having one.
std::span<const DescribedGpu> described_gpus();

/// What plans are compiled for.
struct PlanTarget {
  GpuKind kind;
  CudnnDevice properties;
  std::optional<int> device = std::nullopt;  ///< CUDA's number of it; none where it is not there

  /// Throws CudaError, with the reason, where cuDNN does not take descriptions (before 9.8).
  static PlanTarget described(const DescribedGpu& gpu);
  /// The calling thread's device. Throws as above.
  static PlanTarget current();
};

/// What compile_plans() did.
struct CompiledPlans {
  int known = 0;     ///< were in the cache
  int compiled = 0;  ///< were not, and are now
  int failed = 0;    ///< proposals that the precision refuses, or cuDNN cannot compile
};

/// Compiles, of the plans that CudnnConvolution would measure for these patterns, those that
/// `known` does not have, and hands each to `keep`, with its key, one at a time. Fused plans need a
/// libcuda.so.1 that loads kernels; what cannot be compiled is left out. Throws CudaError when
/// cuDNN fails, and what `keep` throws.
CompiledPlans compile_plans(
    const PlanTarget& target, std::span<const ConvolutionPattern> patterns, const PlanCache& known,
    unsigned threads,
    const std::function<void(const std::string& key, std::vector<std::uint8_t> plan)>& keep);

}  // namespace ebm
