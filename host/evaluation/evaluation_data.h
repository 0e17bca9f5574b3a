// The data that a network is held against.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "cuda/device/queue.h"
#include "cuda/mcmc/data_batches.h"
#include "cuda/mcmc/recorded_sampler.h"
#include "host/config/config.h"
#include "host/data/image_dataset.h"
#include "host/training/run_log.h"

namespace ebm {

/// Draws of the law that was to be learned, with the noise that training adds to data.
struct EvaluationData {
  ImageDataset images;                   ///< borrowed by the batches; none of toy data
  std::unique_ptr<DataBatches> batches;  ///< of the training data
  std::vector<float> train;              ///< evaluate.samples of them, or all there are
  std::vector<float> held_out;           ///< as many that training has not seen; may be none
};

/// A function of the configuration and the data alone. Throws InputFileError for images that cannot
/// be read, ConfigurationError when they are fewer than the chains.
EvaluationData load_evaluation_data(const EvaluateConfig& config, const Queue& queue, RunLog& log);

/// The support on which the energy is normalized, and why it is this.
struct Support {
  std::pair<float, float> box;
  std::string why;
};

/// evaluate.box; else langevin.clamp, or 1.5 times as far as the data reach from 0. It holds the
/// data. Throws ConfigurationError when a box that was given does not.
Support choose_support(const EvaluateConfig& config, std::span<const float> data);

}  // namespace ebm
