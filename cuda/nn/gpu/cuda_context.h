// What everything that computes on one CUDA device shares. In builds with CUDA only.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

#include "cuda/device/cuda_stream.h"
#include "cuda/device/device_buffer.h"
#include "cuda/nn/gpu/convolution_pattern.h"
#include "cuda/nn/gpu/cudnn/plan_cache.h"
#include "cuda/nn/precision.h"
#ifdef EBM_CUDNN
#include "cuda/nn/gpu/cudnn/convolution_libraries.h"
#endif

namespace ebm {

/// The stream that all work is enqueued on, the memory that convolutions share while they run, and
/// how precisely they compute.
class CudaContext {
 public:
  /// On the calling thread's device. `plan_cache` is a folder for cuDNN's plans; empty for none.
  CudaContext(Precision precision, const std::filesystem::path& plan_cache);

  const CudaStream& stream() const { return stream_; }
  Precision precision() const { return precision_; }
  const PlanCache& plan_cache() const { return plan_cache_; }
#ifdef EBM_CUDNN
  /// Made when first asked for. Throws CudaError where cuDNN cannot be used.
  const ConvolutionLibraries& libraries();
#endif

  /// Makes ready for convolutions that are about to be made: compiles, in threads, the
  /// plans that would otherwise be compiled one after the other. Nothing in builds
  /// without cuDNN.
  void compile_ahead(std::span<const ConvolutionPattern> patterns);
  /// Gives back the memory of plans that were made ready, once the convolutions are made.
  void forget_compiled() { plan_cache_.forget(); }

  /// Makes workspace() at least so large. Not while work is enqueued or captured that uses it.
  void reserve_workspace(std::size_t bytes);
  /// Memory that holds nothing from one call of a library to the next.
  std::byte* workspace() { return workspace_.data(); }

 private:
  CudaStream stream_;
  Precision precision_;
  PlanCache plan_cache_;
#ifdef EBM_CUDNN
  std::unique_ptr<ConvolutionLibraries> libraries_;
#endif
  DeviceBuffer<std::byte> workspace_;
};

}  // namespace ebm
