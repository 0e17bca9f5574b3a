#include "host/config/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "cuda/base/errors.h"
#include "cuda/nn/features.h"
#include "host/config/config_errors.h"
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
              .position = action.position,
              .key = "divergence",
              .children = {action}};
  }
}

YamlValue read_tree(const std::filesystem::path& file, PublishedUse use, ConfigErrors& errors) {
  const std::string text = read_text(file);
  if (is_published_json(file)) {
    return parse_published_json(text, file, use, errors);
  }
  YamlValue tree = parse_yaml(text, {.name = file.string()}, errors);
  tree.place = file.string();
  tree.position = ConfigErrors::kWholeFile;
  return tree;
}

/// Calls `read`, which throws where there is nothing to go on with: that is an error as others are.
template <class Read>
void collect(ConfigErrors& errors, std::size_t position, Read read) {
  try {
    read();
  } catch (const ConfigurationError& error) {
    errors.add(position, error.what());
  }
}

/// Reads what `read(errors)` returns, with overrides on top of it and then what `complete` adds.
template <class Config, class Read, class Visit>
Config load(Read read, std::span<const std::string> overrides, Visit visit_config,
            ConfigErrors errors, const CompleteTree& complete = {}) {
  std::optional<YamlValue> tree;
  collect(errors, ConfigErrors::kWholeFile, [&] { tree = read(errors); });
  if (!tree) {
    errors.throw_if_any();
  }
  write_out_divergence(*tree);
  for (std::size_t i = 0; i < overrides.size(); ++i) {
    const std::size_t position = ConfigErrors::kFirstOverride + i;
    collect(errors, position, [&] { apply_override(*tree, overrides[i], position, errors); });
    write_out_divergence(*tree);
  }
  if (complete) {
    complete(*tree);
  }
  YamlReader reader(*tree, errors);
  Config config;
  visit_config(reader, config);
  reader.finish();
  number_layers(config.network.layers);
  check_rules(config, *tree, errors);
  errors.throw_if_any();
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
  static constexpr std::array<std::string_view, 4> kNames{"uniform", "gaussian", "data", "states"};
  return kNames;
}

std::span<const std::string_view> names(DivergenceAction /*type*/) {
  static constexpr std::array<std::string_view, 2> kNames{"stop", "rollback"};
  return kNames;
}

std::span<const std::string_view> names(DataSplit /*type*/) {
  static constexpr std::array<std::string_view, 2> kNames{"train", "test"};
  return kNames;
}

std::span<const std::string_view> names(ExifUse /*type*/) {
  static constexpr std::array<std::string_view, 2> kNames{"ignore", "apply"};
  return kNames;
}

std::span<const std::string_view> names(Unreadable /*type*/) {
  static constexpr std::array<std::string_view, 2> kNames{"error", "skip"};
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

namespace {

/// An error for each override of another key than these and those below them; `advice` on it.
template <class Advice>
ConfigErrors changes_of_others(std::span<const std::string> overrides,
                               std::span<const std::string_view> keys, Advice advice) {
  ConfigErrors errors;
  for (std::size_t i = 0; i < overrides.size(); ++i) {
    const std::string_view key = std::string_view(overrides[i]).substr(0, overrides[i].find('='));
    if (std::ranges::none_of(keys, [key](std::string_view may_change) {
          return key.starts_with(may_change) &&
                 (key.size() == may_change.size() || key[may_change.size()] == '.');
        })) {
      errors.add(ConfigErrors::kFirstOverride + i,
                 fmt::format("--set {}: a run that goes on can only change {}; {}", overrides[i],
                             fmt::join(keys, ", "), advice(overrides[i])));
    }
  }
  return errors;
}

TrainConfig load_training(const std::filesystem::path& file, std::span<const std::string> overrides,
                          ConfigErrors errors) {
  return load<TrainConfig>(
      [&](ConfigErrors& found) { return read_tree(file, PublishedUse::training, found); },
      overrides, [](YamlReader& reader, TrainConfig& config) { visit_training(reader, config); },
      std::move(errors));
}

template <class Read>
SampleConfig load_sampling(Read read, std::span<const std::string> overrides, ConfigErrors errors,
                           const CompleteTree& complete = {}) {
  return load<SampleConfig>(
      read, overrides,
      [](YamlReader& reader, SampleConfig& config) { visit_sampling(reader, config); },
      std::move(errors), complete);
}

template <class Read>
EvaluateConfig load_evaluation(Read read, std::span<const std::string> overrides,
                               ConfigErrors errors, const CompleteTree& complete = {}) {
  return load<EvaluateConfig>(
      read, overrides,
      [](YamlReader& reader, EvaluateConfig& config) { visit_evaluation(reader, config); },
      std::move(errors), complete);
}

/// The tree of what `visit` writes.
template <class Config, class Visit>
YamlValue tree_of(const Config& config, const std::string& place, Visit visit) {
  YamlWriter writer;
  visit(writer, config);
  ConfigErrors none;
  return parse_yaml(writer.finish(), {.name = place, .has_lines = false}, none);
}

}  // namespace

TrainConfig load_train_config(const std::filesystem::path& file,
                              std::span<const std::string> overrides) {
  return load_training(file, overrides, {});
}

TrainConfig load_resumed_config(const std::filesystem::path& file,
                                std::span<const std::string> overrides) {
  constexpr std::array<std::string_view, 8> kMayChange{
      "train.iterations", "device",     "data.path", "log",
      "checkpoint",       "divergence", "longrun",   "landscape"};
  ConfigErrors errors = changes_of_others(overrides, kMayChange, [&file](const std::string& text) {
    // The file says optimizer.lr_min, which may not be more.
    constexpr std::string_view kRate = "optimizer.lr=";
    return fmt::format(
        "with other values, start a new run from its network: ebm_train {} --from {} --out DIR "
        "--set {}{}",
        file.string(), file.parent_path().string(), text,
        text.starts_with(kRate)
            ? fmt::format(" --set optimizer.lr_min={}", text.substr(kRate.size()))
            : "");
  });
  return load_training(file, overrides, std::move(errors));
}

SampleConfig load_sample_config(const std::filesystem::path& file,
                                std::span<const std::string> overrides,
                                const CompleteTree& complete) {
  return load_sampling(
      [&](ConfigErrors& errors) { return read_tree(file, PublishedUse::sampling, errors); },
      overrides, {}, complete);
}

SampleConfig sample_config_of(const YamlValue& tree, std::span<const std::string> overrides,
                              const CompleteTree& complete) {
  return load_sampling([&](ConfigErrors& /*errors*/) { return tree; }, overrides, {}, complete);
}

SampleConfig load_resumed_sample_config(const std::filesystem::path& file,
                                        std::span<const std::string> overrides) {
  constexpr std::array<std::string_view, 4> kMayChange{"sample.steps", "device", "data.path",
                                                       "log"};
  return load_sampling(
      [&](ConfigErrors& errors) { return read_tree(file, PublishedUse::sampling, errors); },
      overrides, changes_of_others(overrides, kMayChange, [&file](const std::string& text) {
        return fmt::format("for other values, start a new run: ebm_sample {} --out DIR --set {}",
                           file.string(), text);
      }));
}

EvaluateConfig load_evaluate_config(const std::filesystem::path& file,
                                    std::span<const std::string> overrides,
                                    const CompleteTree& complete) {
  return load_evaluation(
      [&](ConfigErrors& errors) { return read_tree(file, PublishedUse::sampling, errors); },
      overrides, {}, complete);
}

EvaluateConfig evaluate_config_of(const YamlValue& tree, std::span<const std::string> overrides,
                                  const CompleteTree& complete) {
  return load_evaluation([&](ConfigErrors& /*errors*/) { return tree; }, overrides, {}, complete);
}

EvaluateConfig load_resumed_evaluate_config(const std::filesystem::path& file,
                                            std::span<const std::string> overrides) {
  constexpr std::array<std::string_view, 3> kMayChange{"device", "data.path", "log"};
  return load_evaluation(
      [&](ConfigErrors& errors) { return read_tree(file, PublishedUse::sampling, errors); },
      overrides, changes_of_others(overrides, kMayChange, [&file](const std::string& text) {
        return fmt::format(
            "for other values, start a new evaluation: ebm_evaluate {} --out DIR --set {}",
            file.string(), text);
      }));
}

YamlValue tree_of(const DataConfig& data, const std::string& place) {
  return tree_of(data, place, [](auto& io, auto& config) { visit_data(io, config); });
}

YamlValue tree_of(const LangevinConfig& langevin, bool toy, const std::string& place) {
  return tree_of(langevin, place,
                 [toy](auto& io, auto& config) { visit_langevin(io, config, toy); });
}

YamlValue tree_of(const NetworkConfig& network, const std::string& place) {
  return tree_of(network, place, [](auto& io, auto& config) { visit_saved_network(io, config); });
}

DataConfig load_data_section(const std::filesystem::path& file) {
  ConfigErrors errors;
  const YamlValue tree = read_tree(file, PublishedUse::training, errors);
  YamlReader reader(tree, errors);
  DataConfig data;
  reader.section("data", [&](YamlReader& section) { visit_data(section, data); });
  errors.throw_if_any();
  return data;
}

namespace {

/// A list of layers in a file, of which `make` makes what it is meant to be.
template <class Make>
NetworkConfig load_layer_list(const std::filesystem::path& file, Make make) {
  ConfigErrors errors;
  const YamlValue tree = read_tree(file, PublishedUse::sampling, errors);
  if (tree.find("layers") == nullptr) {
    throw ConfigurationError(fmt::format(
        "{}: has no layers; a network is described by the keys layers, a list as network.layers of "
        "a configuration, channels and image_size",
        file.string()));
  }
  YamlReader reader(tree, errors);
  NetworkConfig network;
  visit_saved_network(reader, network);
  reader.finish();
  errors.throw_if_any();
  number_layers(network.layers);
  try {
    make(network);
  } catch (const std::invalid_argument& error) {
    throw ConfigurationError(fmt::format("{}: {}", file.string(), error.what()));
  }
  return network;
}

}  // namespace

NetworkConfig load_network(const std::filesystem::path& file) {
  return load_layer_list(file, [](const NetworkConfig& network) { make_network(network); });
}

NetworkConfig load_feature_layers(const std::filesystem::path& file) {
  return load_layer_list(file, [](const NetworkConfig& network) {
    feature_network({network.channels, network.image_size, network.image_size}, network.layers);
  });
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

std::string to_yaml(const EvaluateConfig& config) {
  YamlWriter writer;
  visit_evaluation(writer, config);
  return writer.finish();
}

}  // namespace ebm
