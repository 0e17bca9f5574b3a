#include "cuda/device/cudnn_handle.h"

#include <cstdlib>

#include "cuda/device/cuda_library.h"
#include "cuda/device/cudnn_status.h"

// Where cudnn_frontend looks for cuDNN's functions (NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING).
void* cudnn_frontend::cudnn_dlhandle = nullptr;

namespace ebm {
namespace {

constexpr const char* kCudnn = "libcudnn.so.9";
const std::string kCudaRuntime = "libcudart.so." + std::to_string(CUDART_VERSION / 1000);

std::string load_cudnn() {
  for (const std::string& name : {kCudaRuntime, std::string(kCudnn)}) {
    if (open_cuda_library(name) == nullptr) {
      return name + " was not found (" + dlerror() +
             "); install it, or name its folder in LD_LIBRARY_PATH";
    }
  }
  // cudnn_frontend would take another version's, if it finds one first.
  setenv("CUDNN_FRONTEND_CUDART_LIB_NAME", kCudaRuntime.c_str(), 0);
  cudnn_frontend::cudnn_dlhandle = open_cuda_library(kCudnn);
  return {};
}

cudnnHandle_t create() {
  if (const std::string reason = why_no_cudnn(); !reason.empty()) {
    throw CudaError("loading cuDNN", __FILE__, __LINE__, reason);
  }
  cudnnHandle_t handle = nullptr;
  EBM_CHECK_CUDNN(cudnn_frontend::detail::create_handle(&handle));
  return handle;
}

}  // namespace

std::string why_no_cudnn() {
  static const std::string reason = load_cudnn();
  return reason;
}

std::string cudnn_versions() {
  return std::to_string(cudnn_frontend::detail::get_backend_version()) + ", cudnn_frontend " +
         std::to_string(CUDNN_FRONTEND_VERSION);
}

CudnnHandle::CudnnHandle(const CudaStream& stream) : stream_(&stream), handle_(create()) {
  EBM_CHECK_CUDNN(cudnn_frontend::detail::set_stream(get(), stream.get()));
}

void CudnnHandle::release(cudnnContext* handle) {
  static_cast<void>(cudnn_frontend::detail::destroy_handle(handle));
}

}  // namespace ebm
