#include "host/sampling/sampling_config.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>
#include <system_error>

#include "cuda/base/errors.h"
#include "host/training/saved_run_keys.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

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
  if (const std::optional<CheckpointInfo> info = complete_network(tree, saved.network)) {
    if (info->epsilon > 0 || info->steps > 0) {
      const std::string place = saved.network.string() + ": its metadata";
      const std::string epsilon = fmt::format("{}", info->epsilon);
      YamlValue& keys = *tree.find("sample");
      add_if_missing(keys, number_key("train_epsilon", epsilon, place));
      add_if_missing(keys, number_key("epsilon", epsilon, place));
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

/// What a configuration file must say and no checkpoint does.
YamlValue tree_for(const fs::path& what) {
  constexpr std::string_view kSteps = "1000";
  const SavedRun saved = find_saved_run(what);
  const std::string place = what.string();
  return section_key("",
                     {text_key("name", name_of(saved), place),
                      text_key("start", saved.config ? "data" : "uniform", place),
                      section_key("sample",
                                  {text_key("checkpoint", saved.network.string(), place),
                                   number_key("steps", std::string(kSteps), place)},
                                  place)},
                     place);
}

}  // namespace

SampleConfig load_sampling(const fs::path& what, std::span<const std::string> overrides) {
  return is_run_or_network(what) ? sample_config_of(tree_for(what), overrides, complete)
                                 : load_sample_config(what, overrides, complete);
}

}  // namespace ebm
