#include "host/training/checkpoint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>
#include <utility>
#include <vector>

#include "cuda/base/errors.h"
#include "cuda/nn/features.h"
#include "host/config/config.h"
#include "host/config/layers.h"
#include "host/files/checked_tensors.h"
#include "host/files/metadata_number.h"
#include "host/training/foreign_names.h"

namespace ebm {
namespace {

/// A number from the metadata; `fallback` where the key is missing.
template <class Number>
Number number(const TensorFile& file, std::string_view key, Number fallback) {
  return metadata_number<Number>(file, key).value_or(fallback);
}

template <class Value>
void require_agreement(const TensorFile& file, std::string_view what, const Value& said,
                       const Value& stored) {
  if (said != stored) {
    throw ConfigurationError(
        fmt::format("{} {} was asked for, but {} says {}", what, said, file.path.string(), stored));
  }
}

/// The file's tensors. One of torch.save, as the published networks are, gets an answer that helps.
TensorFile read_tensors(const std::filesystem::path& path) {
  try {
    return read_checked_tensors(path);
  } catch (const InputFileError& error) {
    const std::filesystem::path extension = path.extension();
    if ((extension != ".pth" && extension != ".pt") || !std::filesystem::exists(path)) {
      throw;
    }
    throw InputFileError(fmt::format(
        "{}; to convert what torch.save wrote: ebm_convert_checkpoint {} net.safetensors "
        "(tools/user/convert_checkpoint.py of the sources)",
        error.what(), path.string()));
  }
}

Clamp stored_clamp(const TensorFile& file) {
  const auto low = metadata_number<double>(file, "clamp_low");
  const auto high = metadata_number<double>(file, "clamp_high");
  if (!low && !high) {
    return std::nullopt;
  }
  if (!low || !high || !std::isfinite(*low) || !std::isfinite(*high) || *low >= *high) {
    throw InputFileError(fmt::format(
        "{}: its metadata: clamp_low and clamp_high are not two finite numbers in ascending order",
        file.path.string()));
  }
  return {{*low, *high}};
}

CheckpointInfo read_info(const TensorFile& file, const NetworkChoice& choice) {
  CheckpointInfo info;
  const auto network = file.metadata.find("network");
  if (network == file.metadata.end()) {
    const bool toy = choice.network == "toy";  // whose states always have two
    if (choice.network.empty() || (!choice.channels && !toy)) {
      throw ConfigurationError(
          fmt::format("{} does not say which network it is of; give --network NAME (toy, vanilla "
                      "or nonlocal) --channels C [--features N], or --layers FILE.yaml",
                      file.path.string()));
    }
    info.network = choice.network;
    info.channels = choice.channels.value_or(2);
    info.features = choice.features.value_or(32);
    return info;
  }
  info.network = network->second;
  info.channels = number(file, "channels", 1);
  info.features = number(file, "features", 32);
  info.epsilon = number(file, "epsilon", 0.0);
  info.iteration = number(file, "iteration", std::int64_t{0});
  info.steps = number(file, "steps", 0);
  info.clamp = stored_clamp(file);
  info.data_noise = number(file, "data_noise", 0.0);
  if (!choice.network.empty()) {
    require_agreement(file, "network", choice.network, info.network);
  }
  require_agreement(file, "channels", choice.channels.value_or(info.channels), info.channels);
  require_agreement(file, "features", choice.features.value_or(info.features), info.features);
  return info;
}

/// The file's network, a custom one with its layers: as the metadata say, or else as chosen.
NetworkConfig network_config(const TensorFile& file, const CheckpointInfo& info,
                             const NetworkChoice& choice) {
  const std::optional<NetworkKind> kind = from_string<NetworkKind>(info.network);
  if (!kind) {
    throw std::invalid_argument(fmt::format("there is no network '{}'; there are {}", info.network,
                                            fmt::join(names(NetworkKind{}), ", ")));
  }
  NetworkConfig network{.kind = *kind,
                        .features = info.features,
                        .channels = info.channels,
                        .image_size = choice.image_size.value_or(1),
                        .layers = choice.layers};
  const auto stored = file.metadata.find("layers");
  if (*kind == NetworkKind::custom && stored != file.metadata.end()) {
    network.image_size = number(file, "image_size", 1);
    try {
      network.layers = parse_layers(stored->second, file.path.string() + ": its metadata");
    } catch (const ConfigurationError& error) {
      throw InputFileError(error.what());
    }
    require_agreement(file, "image_size", choice.image_size.value_or(network.image_size),
                      network.image_size);
    if (!choice.layers.empty() && choice.layers != network.layers) {
      throw ConfigurationError(fmt::format("network.layers are not those of {}, which are\n  {}",
                                           file.path.string(), stored->second));
    }
  }
  return network;
}

Network network_of(const TensorFile& file, const CheckpointInfo& info,
                   const NetworkChoice& choice) {
  try {
    return make_network(network_config(file, info, choice));
  } catch (const std::invalid_argument& error) {
    if (file.metadata.contains("network")) {
      throw InputFileError(fmt::format("{}: its metadata: {}", file.path.string(), error.what()));
    }
    throw ConfigurationError(error.what());
  }
}

constexpr std::string_view kRemedy =
    "Another network is described as a list of layers (network.layers, or --layers of ebm_score); "
    "other names are changed in PyTorch, before saving net.state_dict()";

/// Throws unless the file has exactly the network's tensors.
void require_tensors_of(const Network& network, const TensorFile& file,
                        const CheckpointInfo& info) {
  for (const ParameterTensor& expected : network.parameters()) {
    const Tensor* found = file.find(expected.name);
    if (found == nullptr) {
      throw InputFileError(fmt::format(
          "{}: there is no tensor '{}', which network {} needs; the file holds {}. {}",
          file.path.string(), expected.name, info.network, listed_names(file), kRemedy));
    }
    if (found->shape != expected.shape) {
      throw InputFileError(fmt::format(
          "{}: tensor '{}' has shape ({}), but network {} with {} channel(s) and {} features needs "
          "({})",
          file.path.string(), expected.name, fmt::join(found->shape, ", "), info.network,
          info.channels, info.features, fmt::join(expected.shape, ", ")));
    }
  }
  for (const Tensor& tensor : file.tensors) {
    const auto known = [&](const ParameterTensor& p) { return p.name == tensor.name; };
    if (std::ranges::none_of(network.parameters(), known)) {
      throw InputFileError(
          fmt::format("{}: tensor '{}' is not one of network {}; the file holds {}. {}",
                      file.path.string(), tensor.name, info.network, listed_names(file), kRemedy));
    }
  }
}

}  // namespace

void save_checkpoint(const std::filesystem::path& path, const CheckpointInfo& info,
                     const Network& network, std::span<const float> parameters) {
  std::vector<TensorView> tensors;
  for (const ParameterTensor& tensor : network.parameters()) {
    tensors.push_back({tensor.name, tensor.shape,
                       parameters.subspan(static_cast<std::size_t>(tensor.offset),
                                          static_cast<std::size_t>(tensor.size))});
  }
  std::map<std::string, std::string> metadata{{"network", info.network},
                                              {"channels", fmt::format("{}", info.channels)},
                                              {"features", fmt::format("{}", info.features)},
                                              {"epsilon", fmt::format("{}", info.epsilon)},
                                              {"iteration", fmt::format("{}", info.iteration)},
                                              {"steps", fmt::format("{}", info.steps)},
                                              {"data_noise", fmt::format("{}", info.data_noise)}};
  if (info.clamp) {
    metadata["clamp_low"] = fmt::format("{}", info.clamp->first);
    metadata["clamp_high"] = fmt::format("{}", info.clamp->second);
  }
  if (info.network == "custom") {
    metadata["image_size"] = fmt::format("{}", network.input().height);
    metadata["layers"] = to_yaml(network.layers());
  }
  write_checked_tensors(path, tensors, metadata);
}

NetworkChoice choice_of(const NetworkConfig& network) {
  NetworkChoice choice{.network = std::string(to_string(network.kind)),
                       .channels = network.channels,
                       .features = std::nullopt};
  if (network.kind == NetworkKind::custom) {
    choice.image_size = network.image_size;
    choice.layers = network.layers;
  } else if (network.kind != NetworkKind::toy) {
    choice.features = network.features;
  }
  return choice;
}

Buffer<float> load_feature_parameters(const std::filesystem::path& path, const Network& network) {
  const TensorFile file = read_tensors(path);
  Buffer<float> parameters(static_cast<std::size_t>(network.parameter_count()));
  for (const ParameterTensor& tensor : network.parameters()) {
    if (tensor.name.starts_with(kFeatureHead)) {
      continue;
    }
    const Tensor* found = file.find(tensor.name);
    if (found == nullptr) {
      throw InputFileError(fmt::format(
          "{}: there is no tensor '{}', which the layers of the features need; the file holds {}. "
          "Layers are named by their place in the list; names are changed in PyTorch, before "
          "saving net.state_dict()",
          path.string(), tensor.name, listed_names(file)));
    }
    if (found->shape != tensor.shape) {
      throw InputFileError(fmt::format(
          "{}: tensor '{}' has shape ({}), but the layers of the features need ({})", path.string(),
          tensor.name, fmt::join(found->shape, ", "), fmt::join(tensor.shape, ", ")));
    }
    std::ranges::copy(found->values, parameters.data() + tensor.offset);
  }
  return parameters;
}

Checkpoint load_checkpoint(const std::filesystem::path& path, const NetworkChoice& choice) {
  TensorFile file = read_tensors(path);
  CheckpointInfo info = read_info(file, choice);
  Network network = network_of(file, info, choice);
  adopt_names(file, network);
  require_tensors_of(network, file, info);
  Buffer<float> parameters(static_cast<std::size_t>(network.parameter_count()));
  for (const ParameterTensor& tensor : network.parameters()) {
    std::ranges::copy(file.at(tensor.name).values, parameters.data() + tensor.offset);
  }
  return {std::move(info), std::move(network), std::move(parameters)};
}

}  // namespace ebm
