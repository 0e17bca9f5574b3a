// One of cuDNN's ways to compute a graph of operations. In builds with cuDNN only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cuda/device/cudnn_handle.h"
#include "cuda/nn/gpu/cudnn/cudnn_graphs.h"
#include "cuda/nn/precision.h"

namespace cudnn_frontend {
class DeviceProperties;
}

namespace ebm {

/// What cuDNN knows of a GPU, which need not be there.
using CudnnDevice = std::shared_ptr<const cudnn_frontend::DeviceProperties>;

/// No plan needs more bytes of workspace.
inline constexpr std::size_t kLargestWorkspace = std::size_t{256} << 20;

/// Makes a graph ask cuDNN which of its plans for a device the precision allows: those that give
/// the same bits every time, need at most kLargestWorkspace and, in fp32, do float's products and
/// sums only. False when there is none; those there are may still fail to compile. Throws CudaError
/// when the graph is none of cuDNN's.
bool propose_plans(cudnn_frontend::graph::Graph& graph, const CudnnHandle& device,
                   Precision precision);
/// The same for a device that is only described.
bool propose_plans(cudnn_frontend::graph::Graph& graph, const CudnnDevice& device,
                   Precision precision);

/// A compiled plan.
class CudnnPlan {
 public:
  /// The plan of that number among those that a graph proposes; none when it was refused or fails
  /// to compile.
  static std::optional<CudnnPlan> compile(const CudnnGraph& graph, std::int64_t index);

  /// The plan that was saved; none when this version of cuDNN does not take it for this device.
  static std::optional<CudnnPlan> restore(const CudnnHandle& device,
                                          std::vector<std::uint8_t> saved);
  /// The same for a device that is only described, where it cannot be run.
  static std::optional<CudnnPlan> restore(const CudnnDevice& device,
                                          std::vector<std::uint8_t> saved);
  std::vector<std::uint8_t> save() const;

  std::size_t workspace_bytes() const;

  /// Enqueues the work on the device's arrays of the names in the graph.
  void run(const CudnnHandle& handle, const std::unordered_map<std::int64_t, const void*>& tensors,
           void* workspace) const;

 private:
  CudnnPlan(CudnnGraph graph, std::int64_t index, std::vector<std::uint8_t> saved = {})
      : graph_(std::move(graph)), index_(index), saved_(std::move(saved)) {}

  CudnnGraph graph_;
  std::int64_t index_;
  std::vector<std::uint8_t> saved_;  // what it was restored from
};

/// What a graph proposes.
struct ProposedPlan {
  std::string name;  ///< its engine and settings, which are the same plan on every GPU of a kind
  bool is_compiled_at_run_time = false;  ///< takes seconds; other plans' kernels are the library's
};

/// A graph's proposals, in cuDNN's order, best guess first.
std::vector<ProposedPlan> proposed_plans(const cudnn_frontend::graph::Graph& graph);

}  // namespace ebm
