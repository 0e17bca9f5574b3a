// The one way from a configuration to batches of its data, and to the density that toy data are
// drawn from.
#pragma once

#include <cstdint>
#include <memory>

#include "cuda/diagnostics/density.h"
#include "cuda/mcmc/data_batches.h"
#include "host/config/config.h"
#include "host/data/image_dataset.h"

namespace ebm {

/// Batches, drawn where the queue computes, of the data that `data` describes. `images` are what
/// load_images() has of it, and are borrowed; toy data have none.
std::unique_ptr<DataBatches> make_batches(const Queue& queue, std::uint64_t seed,
                                          const DataConfig& data, const ImageDataset& images);

/// The density of toy data.
ToyDensity toy_density(const DataConfig& data);

}  // namespace ebm
