#include "host/sampling/sampling_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "cuda/base/errors.h"
#include "host/config/yaml_tree.h"
#include "host/training/checkpoint.h"
#include "host/training/saved_run.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

YamlValue text(std::string key, std::string value, const std::string& place) {
  return {.kind = YamlValue::Kind::scalar,
          .place = place,
          .key = std::move(key),
          .text = std::move(value),
          .quoted = true};
}

YamlValue number(std::string key, std::string value, const std::string& place) {
  YamlValue found = text(std::move(key), std::move(value), place);
  found.quoted = false;
  return found;
}

void add_if_missing(YamlValue& map, YamlValue value) {
  if (map.find(value.key) == nullptr) {
    map.children.push_back(std::move(value));
  }
}

/// The section of that name, made where it is missing; none where it is not a map.
YamlValue* section(YamlValue& tree, std::string_view name) {
  add_if_missing(tree,
                 {.kind = YamlValue::Kind::map, .place = tree.place, .key = std::string(name)});
  YamlValue* found = tree.find(name);
  return found->kind == YamlValue::Kind::map ? found : nullptr;
}

std::string_view text_of(const YamlValue* value) {
  return value == nullptr ? std::string_view() : std::string_view(value->text);
}

/// What a section `network` or `data` is of.
std::string_view kind_of(const YamlValue& section) {
  return section.find("layers") != nullptr ? "custom" : text_of(section.find("kind"));
}

/// Adds the keys that a section does not have, but to one of another kind, of which the defaults
/// say nothing.
void complete_section(YamlValue& tree, std::string_view name, const YamlValue& defaults) {
  YamlValue* const found = section(tree, name);
  if (found == nullptr || (!kind_of(*found).empty() && kind_of(*found) != kind_of(defaults))) {
    return;
  }
  for (const YamlValue& value : defaults.children) {
    add_if_missing(*found, value);
  }
}

/// The checkpoint, where it says itself what it is.
std::optional<Checkpoint> described(const fs::path& network) {
  try {
    return load_checkpoint(network, {});
  } catch (const ConfigurationError&) {  // which network it is has to be said
    return std::nullopt;
  }
}

NetworkConfig network_of(const Checkpoint& checkpoint) {
  const Network& network = checkpoint.network;
  NetworkConfig config{
      .kind = from_string<NetworkKind>(checkpoint.info.network).value_or(NetworkKind::custom),
      .features = checkpoint.info.features,
      .channels = network.input().channels,
      .image_size = network.input().height};
  if (config.kind == NetworkKind::custom) {
    config.layers = network.layers();
  }
  return config;
}

/// Throws where another network is asked for, of which the checkpoint's sizes say nothing.
void require_kind(const YamlValue& tree, std::string_view kind, const fs::path& network) {
  const YamlValue* const asked = tree.find("network");
  if (asked != nullptr && !kind_of(*asked).empty() && kind_of(*asked) != kind) {
    throw ConfigurationError(fmt::format("{}: network {} was asked for, but {} says {}",
                                         asked->place, kind_of(*asked), network.string(), kind));
  }
}

/// Whether there is nothing that only the checkpoint or its run could say.
bool says_all(const YamlValue& tree) {
  const YamlValue* const network = tree.find("network");
  const YamlValue& sample = *tree.find("sample");
  return network != nullptr &&
         (network->find("kind") != nullptr || network->find("layers") != nullptr) &&
         sample.find("train_epsilon") != nullptr && sample.find("epsilon") != nullptr &&
         (text_of(tree.find("start")) != "data" || tree.find("data") != nullptr);
}

/// Adds what the checkpoint that the tree names, and its run, say.
void complete(YamlValue& tree) {
  YamlValue* const sample = tree.find("sample");
  YamlValue* const file = sample == nullptr ? nullptr : sample->find("checkpoint");
  if (file == nullptr || file->kind != YamlValue::Kind::scalar) {
    return;  // which is an error of the configuration
  }
  std::error_code none;
  if (says_all(tree) && !fs::exists(file->text, none)) {
    return;  // what is wrong in the configuration comes first
  }
  const SavedRun saved = find_saved_run(file->text);
  file->text = saved.network.string();
  if (const std::optional<Checkpoint> checkpoint = described(saved.network)) {
    const std::string place = saved.network.string() + ": its metadata";
    require_kind(tree, checkpoint->info.network, saved.network);
    complete_section(tree, "network", tree_of(network_of(*checkpoint), place));
    const CheckpointInfo& info = checkpoint->info;
    if (info.epsilon > 0 || info.steps > 0) {
      const std::string epsilon = fmt::format("{}", info.epsilon);
      YamlValue& keys = *tree.find("sample");
      add_if_missing(keys, number("train_epsilon", epsilon, place));
      add_if_missing(keys, number("epsilon", epsilon, place));
    }
  } else if (tree.find("network") == nullptr) {
    throw ConfigurationError(fmt::format(
        "{}: does not say which network it is of; give --set network.kind=NAME (toy, vanilla or "
        "nonlocal), network.channels and network.features, and sample.train_epsilon and "
        "sample.epsilon",
        saved.network.string()));
  }
  if (saved.config && text_of(tree.find("start")) == "data") {
    complete_section(tree, "data",
                     tree_of(saved.config->data, (saved.folder / "config.yaml").string()));
  }
}

/// A folder, or a file that a network may be in.
bool is_saved(const fs::path& what) {
  std::error_code none;
  const fs::path extension = what.extension();
  return fs::is_directory(what, none) || extension == ".safetensors" || extension == ".pth" ||
         extension == ".pt";
}

std::string name_of(const SavedRun& saved) {
  return saved.folder.empty() ? saved.network.stem().string()
                              : fs::weakly_canonical(saved.folder).filename().string();
}

/// What a configuration file must say and no checkpoint does.
YamlValue tree_for(const fs::path& what) {
  constexpr std::string_view kSteps = "1000";
  const SavedRun saved = find_saved_run(what);
  const std::string place = what.string();
  return {.kind = YamlValue::Kind::map,
          .place = place,
          .children = {text("name", name_of(saved), place),
                       text("start", saved.config ? "data" : "uniform", place),
                       {.kind = YamlValue::Kind::map,
                        .place = place,
                        .key = "sample",
                        .children = {text("checkpoint", saved.network.string(), place),
                                     number("steps", std::string(kSteps), place)}}}};
}

}  // namespace

SampleConfig load_sampling(const fs::path& what, std::span<const std::string> overrides) {
  return is_saved(what) ? sample_config_of(tree_for(what), overrides, complete)
                        : load_sample_config(what, overrides, complete);
}

}  // namespace ebm
