// What a plan of cuDNN is kept under. In builds with cuDNN only.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "cuda/nn/gpu/cudnn/cudnn_graphs.h"

namespace ebm {

/// What decides, with cuDNN's version, whether a compiled plan can be restored on a GPU: one made
/// for an H100 serves an H200, and neither an A100 nor the H100 that has fewer multiprocessors.
struct GpuKind {
  int compute_capability = 0;  ///< 90 is 9.0
  int multiprocessors = 0;
};

/// Of the calling thread's device.
GpuKind current_gpu_kind();

/// A pattern in words: "100 images 64x16x16, 4x4 convolution of stride 2 to 128 channels, tf32".
std::string describe(const ConvolutionPattern& pattern);

/// The plans of a graph that are measured; those further down cuDNN's list are rarely faster. Of
/// the fused ones in tf32 and bf16 the first three are made for compute capability 8.0, and the
/// fourth is the first that is made for 9.0.
constexpr std::size_t measured_plans(const GraphKind& graph) {
  return graph.form == GraphForm::fused ? 4 : 8;
}

/// Of a compiled plan that waits to be measured; `plan` as plan_names() has it.
std::string candidate_key(const GpuKind& gpu, const ConvolutionPattern& pattern,
                          const GraphKind& graph, std::string_view plan);

/// Of the fastest plan of a pass, as it was measured on a device of that name; for a kernel of 1,
/// beside cuBLASLt's of the version that is here.
std::string choice_key(std::string_view device, const GpuKind& gpu,
                       const ConvolutionPattern& pattern, ConvolutionPass pass);

}  // namespace ebm
