// Recorded steps of chains on a CUDA device, as captured graphs. In builds with CUDA only.
#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include "cuda/device/cuda_graph.h"
#include "cuda/device/cuda_stream.h"
#include "cuda/device/device_buffer.h"
#include "cuda/kernels/langevin_update.cuh"
#include "cuda/nn/energy.h"

namespace ebm {

/// The graphs of one kind of steps of one batch of chains: what is the same in all calls (numbers,
/// addresses) is part of them.
class RecordedGraphs {
 public:
  /// For steps like those of `kind` of such chains. The energy is borrowed; its θ may change from
  /// call to call.
  RecordedGraphs(Energy& energy, const ChainRun& kind, const Chains& chains);

  /// Whether it was made for such steps and chains.
  bool is_for(const ChainRun& run, const Chains& chains) const;

  /// Runs the chains in parts that the energy takes at once; of each, a graph of all steps.
  void run(const ChainRun& run);

 private:
  void run_part(const ChainRun& run, const Chains& chains);
  void evaluate(const Chains& chains);
  void langevin_step(const Chains& chains, int step);
  void mala_step(const Chains& chains, int step);
  void steps(const Chains& chains, int count);
  void load_kernels(const Chains& chains);
  const CudaGraph& graph(const Chains& chains, int steps);

  Energy& energy_;
  const CudaStream& stream_;
  ChainRun kind_;
  Chains chains_;
  std::int64_t width_;
  DeviceBuffer<ChainCounter> counters_;                        // one a chain
  std::map<std::pair<int, std::uint32_t>, CudaGraph> graphs_;  // of so many steps, first chain
};

}  // namespace ebm
