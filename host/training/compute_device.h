// Where a program computes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "cuda/base/machine_limits.h"
#include "cuda/nn/energy.h"
#include "cuda/nn/features.h"
#include "cuda/nn/network.h"
#include "cuda/nn/precision.h"

namespace ebm {

/// A device that has been chosen, and how it is to compute.
struct ComputeDevice {
  bool on_cuda = false;
  int index = 0;                 ///< of the CUDA device
  std::string name = "the CPU";  ///< "cuda:0 (NVIDIA H100, compute capability 9.0)"
  std::string why_cpu{};  ///< where auto found no CUDA device, though this build could use one
  Precision precision = Precision::fp32;  ///< of ConvNets; on the CPU fp32, or bf16 where it has it
  std::size_t cpu_memory = machine_memory();  ///< that the process may take, bytes
};

/// The device for a network, by a configuration's `device` and `precision`; makes a CUDA device the
/// calling thread's. Throws ConfigurationError, with the reason and the remedy, for one that cannot
/// be used.
ComputeDevice choose_compute_device(const std::string& device, Precision precision,
                                    const Network& network);

/// About what that energy takes of the device's memory, on the CPU with OpenMP's threads now,
/// bytes.
std::size_t energy_bytes(const ComputeDevice& device, const Network& network,
                         std::int64_t capacity);

/// "memory: about 0.8 GiB", of that and `more` bytes, for a log.
std::string describe_memory(const ComputeDevice& device, const Network& network,
                            std::int64_t capacity, std::size_t more);

/// Throws ConfigurationError where the device has not the memory for such an energy and for `more`
/// bytes: before the long work of reading data, say.
void require_energy_memory(const ComputeDevice& device, const Network& network,
                           std::int64_t capacity, std::size_t more);

/// The energy of at most `capacity` states at a time. Throws ConfigurationError where the device
/// has not the memory for it and for `more` bytes, or does not compute such a network.
std::unique_ptr<Energy> make_energy(const ComputeDevice& device, const Network& network,
                                    std::int64_t capacity, std::size_t more = 0);

/// The features of feature_network()'s network, likewise.
std::unique_ptr<Features> make_features(const ComputeDevice& device, const Network& network,
                                        std::int64_t capacity);

}  // namespace ebm
