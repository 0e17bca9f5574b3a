#include "host/config/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <stdexcept>
#include <system_error>

#include "cuda/base/errors.h"
#include "host/config/keys.h"
#include "host/config/layers.h"
#include "host/config/published_json.h"
#include "host/config/rules.h"
#include "host/config/yaml_reader.h"
#include "host/config/yaml_tree.h"
#include "host/config/yaml_writer.h"

namespace ebm {
namespace {

constexpr std::size_t kLargestFile = 1 << 20;

std::string read_text(const std::filesystem::path& file) {
  const auto refuse = [&file](std::string_view why) {
    throw ConfigurationError(fmt::format("{}: {}", file.string(), why));
  };
  std::error_code error;
  if (std::filesystem::is_directory(file, error)) {
    refuse("is a directory, not a configuration file");
  }
  std::ifstream stream(file, std::ios::binary);
  if (!stream) {
    refuse(fmt::format("cannot open this configuration file: {}",
                       std::generic_category().message(errno)));
  }
  std::string text;
  std::array<char, 4096> piece{};
  while (stream && text.size() <= kLargestFile) {
    stream.read(piece.data(), std::ssize(piece));
    text.append(piece.data(), static_cast<std::size_t>(stream.gcount()));
  }
  if (stream.bad()) {
    refuse("cannot read this configuration file");
  }
  if (text.size() > kLargestFile) {
    refuse("is larger than 1 MiB, too large for a configuration file");
  }
  return text;
}

/// `divergence: rollback` is short for `divergence: {action: rollback}`.
void write_out_divergence(YamlValue& tree) {
  YamlValue* found = tree.find("divergence");
  if (found != nullptr && found->kind == YamlValue::Kind::scalar) {
    YamlValue action = *found;
    action.key = "action";
    *found = {.kind = YamlValue::Kind::map,
              .place = action.place,
              .key = "divergence",
              .children = {action}};
  }
}

YamlValue read_tree(const std::filesystem::path& file, PublishedUse use) {
  const std::string text = read_text(file);
  if (is_published_json(file)) {
    return parse_published_json(text, file, use);
  }
  YamlValue tree = parse_yaml(text, {.name = file.string()});
  tree.place = file.string();
  return tree;
}

/// The first override of another key than these and those below them.
const std::string* find_other_key(std::span<const std::string> overrides,
                                  std::span<const std::string_view> keys) {
  const auto found = std::ranges::find_if(overrides, [keys](const std::string& text) {
    const std::string_view key = std::string_view(text).substr(0, text.find('='));
    return std::ranges::none_of(keys, [key](std::string_view may_change) {
      return key.starts_with(may_change) &&
             (key.size() == may_change.size() || key[may_change.size()] == '.');
    });
  });
  return found == overrides.end() ? nullptr : &*found;
}

template <class Config, class Visit>
Config load(const std::filesystem::path& file, PublishedUse use,
            std::span<const std::string> overrides, Visit visit_config) {
  YamlValue tree = read_tree(file, use);
  write_out_divergence(tree);
  for (const std::string& override_text : overrides) {
    apply_override(tree, override_text);
    write_out_divergence(tree);
  }
  YamlReader reader(tree);
  Config config;
  visit_config(reader, config);
  reader.finish();
  number_layers(config.network.layers);
  check_rules(config, tree);
  return config;
}

}  // namespace

std::span<const std::string_view> names(DataKind /*type*/) {
  static constexpr std::array<std::string_view, 6> kNames{"mnist",  "cifar10", "flowers102",
                                                          "folder", "gmm",     "rings"};
  return kNames;
}

std::span<const std::string_view> names(NetworkKind /*type*/) {
  static constexpr std::array<std::string_view, 4> kNames{"toy", "vanilla", "nonlocal", "custom"};
  return kNames;
}

std::span<const std::string_view> names(OptimizerKind /*type*/) {
  static constexpr std::array<std::string_view, 2> kNames{"sgd", "adam"};
  return kNames;
}

std::span<const std::string_view> names(InitialStates /*type*/) {
  static constexpr std::array<std::string_view, 4> kNames{"persistent", "data", "uniform",
                                                          "gaussian"};
  return kNames;
}

std::span<const std::string_view> names(SamplingStart /*type*/) {
  static constexpr std::array<std::string_view, 3> kNames{"uniform", "gaussian", "data"};
  return kNames;
}

std::span<const std::string_view> names(DivergenceAction /*type*/) {
  static constexpr std::array<std::string_view, 2> kNames{"stop", "rollback"};
  return kNames;
}

std::span<const std::string_view> names(Precision /*type*/) {
  static constexpr std::array<std::string_view, 3> kNames{"fp32", "tf32", "bf16"};
  return kNames;
}

Network make_network(const NetworkConfig& network) {
  if (network.kind == NetworkKind::custom) {
    return {"custom", {network.channels, network.image_size, network.image_size}, network.layers};
  }
  return published_network(to_string(network.kind), network.channels, network.features);
}

TrainConfig load_train_config(const std::filesystem::path& file,
                              std::span<const std::string> overrides) {
  return load<TrainConfig>(
      file, PublishedUse::training, overrides,
      [](YamlReader& reader, TrainConfig& config) { visit_training(reader, config); });
}

TrainConfig load_resumed_config(const std::filesystem::path& file,
                                std::span<const std::string> overrides) {
  constexpr std::array<std::string_view, 8> kMayChange{
      "train.iterations", "device",     "data.path", "log",
      "checkpoint",       "divergence", "longrun",   "landscape"};
  if (const std::string* refused = find_other_key(overrides, kMayChange)) {
    // The file says optimizer.lr_min, which may not be more.
    constexpr std::string_view kRate = "optimizer.lr=";
    const std::string lr_min =
        refused->starts_with(kRate)
            ? fmt::format(" --set optimizer.lr_min={}", refused->substr(kRate.size()))
            : "";
    throw ConfigurationError(fmt::format(
        "--set {0}: a run that goes on can only change {1}; with other values, start a new run "
        "from its network: ebm_train {2} --from {3} --out DIR --set {0}{4}",
        *refused, fmt::join(kMayChange, ", "), file.string(), file.parent_path().string(), lr_min));
  }
  return load_train_config(file, overrides);
}

SampleConfig load_sample_config(const std::filesystem::path& file,
                                std::span<const std::string> overrides) {
  return load<SampleConfig>(
      file, PublishedUse::sampling, overrides,
      [](YamlReader& reader, SampleConfig& config) { visit_sampling(reader, config); });
}

SampleConfig load_resumed_sample_config(const std::filesystem::path& file,
                                        std::span<const std::string> overrides) {
  constexpr std::array<std::string_view, 4> kMayChange{"sample.steps", "device", "data.path",
                                                       "log"};
  if (const std::string* refused = find_other_key(overrides, kMayChange)) {
    throw ConfigurationError(fmt::format(
        "--set {0}: a run that goes on can only change {1}; for other values, start a new run: "
        "ebm_sample {2} --out DIR --set {0}",
        *refused, fmt::join(kMayChange, ", "), file.string()));
  }
  return load_sample_config(file, overrides);
}

DataConfig load_data_section(const std::filesystem::path& file) {
  const YamlValue tree = read_tree(file, PublishedUse::training);
  YamlReader reader(tree);
  DataConfig data;
  reader.section("data", [&](YamlReader& section) { visit_data(section, data); });
  return data;
}

NetworkConfig load_network(const std::filesystem::path& file) {
  const YamlValue tree = read_tree(file, PublishedUse::sampling);
  if (tree.find("layers") == nullptr) {
    throw ConfigurationError(fmt::format(
        "{}: has no layers; a network is described by the keys layers, a list as network.layers of "
        "a configuration, channels and image_size",
        file.string()));
  }
  YamlReader reader(tree);
  NetworkConfig network;
  visit_saved_network(reader, network);
  reader.finish();
  number_layers(network.layers);
  try {
    make_network(network);
  } catch (const std::invalid_argument& error) {
    throw ConfigurationError(fmt::format("{}: {}", file.string(), error.what()));
  }
  return network;
}

std::string to_yaml(const TrainConfig& config) {
  YamlWriter writer;
  visit_training(writer, config);
  return writer.finish();
}

std::string to_yaml(const SampleConfig& config) {
  YamlWriter writer;
  visit_sampling(writer, config);
  return writer.finish();
}

}  // namespace ebm
