// Long chains from a fixed energy on a CUDA device, every step recorded. In builds with CUDA only.
#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include "cuda/device/cuda_graph.h"
#include "cuda/device/cuda_stream.h"
#include "cuda/device/device_buffer.h"
#include "cuda/kernels/langevin_update.cuh"
#include "cuda/nn/device_energy.h"
#include "cuda/nn/sampling_steps.h"

namespace ebm {

/// Memory and captured graphs for one kind of steps: what is the same in all calls is passed to the
/// kernels by value.
class DeviceSampler {
 public:
  /// For steps like those of `run`, of up to `most` chains at once, no more than the energy's
  /// capacity. Stream and energy are borrowed; the energy's θ may change from call to call.
  DeviceSampler(const CudaStream& stream, DeviceEnergy& energy, const SamplingSteps& run,
                std::int64_t most);

  /// Whether it was made for such steps and so many chains.
  bool is_for(const SamplingSteps& run, std::int64_t most) const;

  /// Runs the chains [first, first + chains) of a batch, whose memory is the host's, for
  /// Energy::sample. The host enqueues graphs of many steps, and waits for their records.
  void sample(const SamplingSteps& run, const SamplingChains& batch, std::int64_t first,
              std::int64_t chains);

 private:
  DeviceBuffer<float> given(const float* all, std::int64_t count) const;
  void copy(float* to, const float* from, std::int64_t count) const;
  void evaluate(std::int64_t chains);
  void record_energies(std::int64_t at, std::int64_t chains);
  void langevin_step(std::int64_t at, std::int64_t chains, const float* noise);
  void mala_step(std::int64_t at, std::int64_t chains, const float* noise, const float* uniforms);
  void step(int row, std::int64_t chains, const float* noise, const float* uniforms);
  void load_kernels(std::int64_t chains);
  const CudaGraph& graph(int steps, std::int64_t chains);
  void read_records(const SamplingChains& batch, int done, int steps, std::int64_t first,
                    std::int64_t chains);

  const CudaStream& stream_;
  DeviceEnergy& energy_;
  SamplingSteps kind_;  // what is_for() compares, and kernels get
  std::int64_t most_;
  DeviceBuffer<LangevinPlace> places_;
  DeviceBuffer<float> states_;
  DeviceBuffer<float> f_;
  DeviceBuffer<float> gradients_;
  // MALA.
  DeviceBuffer<float> momenta_;
  DeviceBuffer<float> proposals_;
  DeviceBuffer<float> proposal_f_;
  DeviceBuffer<float> proposal_gradients_;
  DeviceBuffer<float> log_ratios_;
  // Records of a graph's steps, steps × chains.
  DeviceBuffer<float> energies_;
  DeviceBuffer<float> norms_;
  DeviceBuffer<float> accepted_;

  std::map<std::pair<int, std::int64_t>, CudaGraph> graphs_;  // of so many steps and chains
};

}  // namespace ebm
