// Where a program computes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "cuda/learning/learner.h"
#include "cuda/nn/energy.h"
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
};

/// The device for a network, by a configuration's `device` and `precision`; makes a CUDA device the
/// calling thread's. Throws ConfigurationError, with the reason and the remedy, for one that cannot
/// be used.
ComputeDevice choose_compute_device(const std::string& device, Precision precision,
                                    const Network& network);

/// A training run's sizes besides those of its settings.
struct LearnerSizes {
  bool adam = false;
  std::int64_t data_values = 0;  ///< of the training images, all together
  std::int64_t bank_rows = 0;
};

/// Throws ConfigurationError where the device has not the memory, or does not compute such a
/// network.
std::unique_ptr<Learner> make_learner(const ComputeDevice& device, const Network& network,
                                      const LearnerSettings& settings, const LearnerSizes& sizes,
                                      DataBatches& data);

/// The energy of at most `capacity` states at a time, or of more, in parts. Throws
/// ConfigurationError as make_learner does.
std::unique_ptr<Energy> make_energy(const ComputeDevice& device, const Network& network,
                                    std::int64_t capacity);

}  // namespace ebm
