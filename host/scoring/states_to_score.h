// The states that ebm_score is given: arrays, pictures and data sets.
#pragma once

#include <filesystem>

#include "host/config/config.h"
#include "host/data/prepare_images.h"
#include "host/data/state_array.h"

namespace ebm {

/// The states in `input`, for a network that takes `state`, in the order in which they are there:
/// - a .npy file, as read_state_array() reads it;
/// - of images, prepared as in training, in the network's size and channels: a folder of pictures,
/// a
///   picture, an IDX file (MNIST), a batch of CIFAR-10, or a configuration (.yaml, .yml, .json)
///   whose `data` section says them.
/// Pictures are read as `training` says of them beside size and channels. `note` is told of what
/// was passed over or left out.
///
/// Throws InputFileError when there is nothing of this; ConfigurationError for a configuration.
StateArray read_states_to_score(const std::filesystem::path& input, const Shape& state,
                                const DataConfig& training, const LoadNote& note);

/// The images that `data` describes, in the network's size and channels.
StateArray load_data_to_score(const DataConfig& data, const Shape& state, const LoadNote& note);

}  // namespace ebm
