#include "host/training/saved_run_keys.h"

#include <fmt/format.h>

#include <system_error>
#include <utility>

#include "cuda/base/errors.h"
#include "host/config/config.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

/// What a section `network` or `data` is of.
std::string_view kind_of(const YamlValue& section) {
  return section.find("layers") != nullptr ? "custom" : text_of(section.find("kind"));
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

}  // namespace

YamlValue text_key(std::string key, std::string value, const std::string& place) {
  return {.kind = YamlValue::Kind::scalar,
          .place = place,
          .key = std::move(key),
          .text = std::move(value),
          .quoted = true};
}

YamlValue number_key(std::string key, std::string value, const std::string& place) {
  YamlValue found = text_key(std::move(key), std::move(value), place);
  found.quoted = false;
  return found;
}

YamlValue section_key(std::string key, std::vector<YamlValue> children, const std::string& place) {
  return {.kind = YamlValue::Kind::map,
          .place = place,
          .key = std::move(key),
          .children = std::move(children)};
}

std::string_view text_of(const YamlValue* value) {
  return value == nullptr ? std::string_view() : std::string_view(value->text);
}

YamlValue* section_of(YamlValue& tree, std::string_view name) {
  add_if_missing(tree, section_key(std::string(name), {}, tree.place));
  YamlValue* found = tree.find(name);
  return found->kind == YamlValue::Kind::map ? found : nullptr;
}

void add_if_missing(YamlValue& map, YamlValue value) {
  if (map.find(value.key) == nullptr) {
    map.children.push_back(std::move(value));
  }
}

void complete_section(YamlValue& tree, std::string_view name, const YamlValue& defaults) {
  YamlValue* const found = section_of(tree, name);
  if (found == nullptr || (!kind_of(*found).empty() && kind_of(*found) != kind_of(defaults))) {
    return;
  }
  for (const YamlValue& value : defaults.children) {
    add_if_missing(*found, value);
  }
}

std::optional<CheckpointInfo> complete_network(YamlValue& tree, const fs::path& file) {
  const std::optional<Checkpoint> checkpoint = described(file);
  if (!checkpoint) {
    return std::nullopt;
  }
  require_kind(tree, checkpoint->info.network, file);
  complete_section(tree, "network",
                   tree_of(network_of(*checkpoint), file.string() + ": its metadata"));
  return checkpoint->info;
}

bool is_run_or_network(const fs::path& what) {
  std::error_code none;
  const fs::path extension = what.extension();
  return fs::is_directory(what, none) || extension == ".safetensors" || extension == ".pth" ||
         extension == ".pt";
}

std::string name_of(const SavedRun& saved) {
  return saved.folder.empty() ? saved.network.stem().string()
                              : fs::weakly_canonical(saved.folder).filename().string();
}

}  // namespace ebm
