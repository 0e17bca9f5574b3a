#include "cuda/nn/gpu/cudnn/plan_keys.h"

#include <cuda_runtime_api.h>

#include "cuda/device/cublas_lt_handle.h"
#include "cuda/device/cuda_status.h"
#include "cuda/device/cudnn_handle.h"
#include "cuda/nn/gpu/linear_convolution.h"

namespace ebm {
namespace {

std::string gpu_key(const GpuKind& gpu) {
  return "compute capability " + std::to_string(gpu.compute_capability / 10) + "." +
         std::to_string(gpu.compute_capability % 10) + ", " + std::to_string(gpu.multiprocessors) +
         " multiprocessors, cuDNN " + cudnn_versions();
}

std::string pattern_key(const ConvolutionPattern& pattern) {
  const ConvolutionShape& s = pattern.shape;
  std::string key = ", convolution";
  for (const int value :
       {s.images, s.in_channels, s.height, s.width, s.out_channels, s.kernel, s.stride, s.padding,
        static_cast<int>(pattern.precision), static_cast<int>(pattern.leaky_relu),
        static_cast<int>(pattern.input_is_leaky)}) {
    key += " " + std::to_string(value);
  }
  return key;
}

}  // namespace

GpuKind current_gpu_kind() {
  int device = 0;
  EBM_CHECK_CUDA(cudaGetDevice(&device));
  cudaDeviceProp properties{};
  EBM_CHECK_CUDA(cudaGetDeviceProperties(&properties, device));
  return {.compute_capability = 10 * properties.major + properties.minor,
          .multiprocessors = properties.multiProcessorCount};
}

std::string describe(const ConvolutionPattern& pattern) {
  const char* const precisions[] = {"fp32", "tf32", "bf16"};
  const ConvolutionShape& s = pattern.shape;
  const std::string kernel = std::to_string(s.kernel);
  return std::to_string(s.images) + " images " + std::to_string(s.in_channels) + "x" +
         std::to_string(s.height) + "x" + std::to_string(s.width) + ", " + kernel + "x" + kernel +
         " convolution of stride " + std::to_string(s.stride) + " to " +
         std::to_string(s.out_channels) + " channels, " +
         precisions[static_cast<int>(pattern.precision)];
}

std::string candidate_key(const GpuKind& gpu, const ConvolutionPattern& pattern,
                          const GraphKind& graph, std::string_view plan) {
  return gpu_key(gpu) + pattern_key(pattern) + ", " + graph.name() + ", plan " + std::string(plan);
}

std::string choice_key(std::string_view device, const GpuKind& gpu,
                       const ConvolutionPattern& pattern, ConvolutionPass pass) {
  std::string key = std::string(device) + ", " + gpu_key(gpu) + pattern_key(pattern) +
                    ", fastest " + GraphKind{.pass = pass}.name();
  if (is_linear(pattern.shape)) {
    key += why_no_cublas_lt().empty() ? ", cuBLASLt " + std::to_string(cublas_lt_version())
                                      : std::string(", no cuBLASLt");
  }
  return key;
}

}  // namespace ebm
