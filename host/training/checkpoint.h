// A network on disk: safetensors with PyTorch's parameter names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cuda/base/buffer.h"
#include "cuda/nn/network.h"
#include "host/config/clamp.h"

namespace ebm {

struct NetworkConfig;

/// What a checkpoint says of itself besides its weights.
struct CheckpointInfo {
  std::string network;  ///< toy, vanilla, nonlocal or custom
  int channels = 1;
  int features = 32;
  double epsilon = 0;          ///< of the training run: U = f/(ε²/2)
  std::int64_t iteration = 0;  ///< weight updates made
  int steps = 0;  ///< of its short runs; 0 where the file says neither this nor what follows
  Clamp clamp{};  ///< of its chains
  double data_noise = 0;  ///< standard deviation of the noise that was put on the data
};

struct Checkpoint {
  CheckpointInfo info;
  Network network;
  Buffer<float> parameters;
};

/// Writes θ under the network's parameter names, so that PyTorch's load_state_dict takes it; `info`
/// becomes the metadata, with a digest. The file appears whole or not at all. Throws OutputError.
void save_checkpoint(const std::filesystem::path& path, const CheckpointInfo& info,
                     const Network& network, std::span<const float> parameters);

/// Which network a file is of, where its metadata do not say.
struct NetworkChoice {
  std::string network;
  std::optional<int> channels;
  std::optional<int> features;
  std::optional<int> image_size{};
  std::vector<Layer> layers{};
};

/// A configuration's network, of which the file must be.
NetworkChoice choice_of(const NetworkConfig& network);

/// Reads a checkpoint. Without metadata (a file that another program wrote), `choice` must name the
/// network; where both speak they must agree. Names are the network's, or what adopt_names() makes
/// its. Throws InputFileError naming file, tensor and shapes
/// when the file is damaged or not that network's; ConfigurationError when the network is not
/// known.
Checkpoint load_checkpoint(const std::filesystem::path& path, const NetworkChoice& choice);

/// θ of feature_network()'s network from a file of any program's: every tensor that its layers
/// name, of their shapes. Other tensors, as of a classifier's last layers, are left alone. Throws
/// InputFileError naming file, tensor and shapes.
Buffer<float> load_feature_parameters(const std::filesystem::path& path, const Network& network);

}  // namespace ebm
