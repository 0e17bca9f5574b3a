// The learner of a CUDA device. In builds with CUDA only.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>

#include "cuda/learning/learner.h"
#include "cuda/nn/precision.h"

namespace ebm {

/// How a device is used.
struct CudaLearning {
  Precision precision = Precision::tf32;
  std::filesystem::path plan_cache{};  ///< a folder for cuDNN's plans; empty for none
};

/// Keeps data, bank, θ, optimizer, batches and records on the calling thread's device. The host
/// only enqueues, a few slices of sampling ahead of the device, and reads results back a few
/// hundred iterations at a time. `data` is borrowed; drawing from it on the host is allowed.
std::unique_ptr<Learner> make_cuda_learner(const Network& network, const LearnerSettings& settings,
                                           DataBatches& data, const CudaLearning& learning);

/// The Langevin steps of a run of `steps` that are enqueued between two looks at whether to stop,
/// where each moves `values` values: tens of milliseconds of a published ConvNet's. All of them, or
/// a whole number of graphs.
int sampling_slice(std::int64_t values, int steps);

/// A bound on the device's memory that such a learner takes, bytes: `data_values` are those of the
/// training set, `bank_rows` those of a persistent bank.
std::size_t cuda_learner_bytes(const Network& network, const LearnerSettings& settings, bool adam,
                               std::int64_t data_values, std::int64_t bank_rows,
                               Precision precision);

}  // namespace ebm
