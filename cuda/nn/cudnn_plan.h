// One of cuDNN's ways to compute a graph of operations. In builds with cuDNN only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "cuda/device/cudnn_handle.h"
#include "cuda/nn/cudnn_graphs.h"
#include "cuda/nn/precision.h"

namespace ebm {

/// Makes a graph ask cuDNN which of its plans the precision allows: those that give the same bits
/// every time, need at most CudnnConvolution::kLargestWorkspace and, in fp32, do float's products
/// and sums only. Without a handle, plans are for the graph's own device properties.
/// False when there is none; those there are may still fail to compile. Throws CudaError when the
/// graph is none of cuDNN's.
bool propose_plans(cudnn_frontend::graph::Graph& graph, cudnnContext* handle, Precision precision);

/// A compiled plan.
class CudnnPlan {
 public:
  /// The first `most` of the plans that cuDNN proposes and can compile, best guess first.
  static std::vector<CudnnPlan> candidates(const CudnnHandle& handle, const CudnnGraph& graph,
                                           Precision precision, std::size_t most);

  /// The plan that was saved; none when this version of cuDNN does not take it for this device.
  static std::optional<CudnnPlan> restore(const CudnnHandle& handle,
                                          const std::vector<std::uint8_t>& saved);
  std::vector<std::uint8_t> save() const;

  std::size_t workspace_bytes() const;

  /// Enqueues the work on the device's arrays of the names in the graph.
  void run(const CudnnHandle& handle, const std::unordered_map<std::int64_t, const void*>& tensors,
           void* workspace) const;

 private:
  CudnnPlan(CudnnGraph graph, std::int64_t index) : graph_(std::move(graph)), index_(index) {}

  CudnnGraph graph_;
  std::int64_t index_;
};

}  // namespace ebm
