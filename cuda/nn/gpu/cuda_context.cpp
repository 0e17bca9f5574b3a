#include "cuda/nn/gpu/cuda_context.h"

#ifdef EBM_CUDNN
#include "cuda/nn/gpu/cudnn/plan_choice.h"
#endif

namespace ebm {

CudaContext::CudaContext(Precision precision, const std::filesystem::path& plan_cache)
    : precision_(precision),
      plan_cache_(plan_cache.empty() ? PlanCache() : PlanCache(plan_cache)) {}

#ifdef EBM_CUDNN
const ConvolutionLibraries& CudaContext::libraries() {
  if (!libraries_) {
    libraries_ = std::make_unique<ConvolutionLibraries>(stream_);
  }
  return *libraries_;
}

void CudaContext::compile_ahead(std::span<const ConvolutionPattern> patterns) {
  ebm::compile_ahead(libraries(), patterns, plan_cache_);
}
#else
void CudaContext::compile_ahead(std::span<const ConvolutionPattern> /*patterns*/) {}
#endif

void CudaContext::reserve_workspace(std::size_t bytes) {
  if (bytes > workspace_.size()) {
    workspace_ = DeviceBuffer<std::byte>(stream_, bytes);
  }
}

}  // namespace ebm
