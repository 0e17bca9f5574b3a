#include "host/evaluation/evaluation_config.h"

#include <fmt/format.h>

#include <optional>

#include "cuda/base/errors.h"
#include "host/training/saved_run_keys.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

/// Adds what the checkpoint that the tree names, and its run, say. Notes the run's folder.
void complete(YamlValue& tree, fs::path& run) {
  YamlValue* const evaluate = tree.find("evaluate");
  YamlValue* const file = evaluate == nullptr ? nullptr : evaluate->find("checkpoint");
  if (file == nullptr || file->kind != YamlValue::Kind::scalar) {
    return;  // which is an error of the configuration
  }
  const SavedRun saved = find_saved_run(file->text);
  // An evaluation may go on from another directory.
  file->text = fs::absolute(saved.network).lexically_normal().string();
  run = saved.folder;
  add_if_missing(tree, text_key("name", name_of(saved), file->place));
  const std::optional<CheckpointInfo> info = complete_network(tree, saved.network);
  if (saved.config) {
    const std::string place = (saved.folder / "config.yaml").string();
    complete_section(tree, "data", tree_of(saved.config->data, place));
    complete_section(tree, "langevin",
                     tree_of(saved.config->langevin, saved.config->data.is_toy(), place));
  } else if (info && info->steps > 0) {
    const std::string place = saved.network.string() + ": its metadata";
    YamlValue langevin =
        section_key("langevin",
                    {number_key("epsilon", fmt::format("{}", info->epsilon), place),
                     number_key("steps", fmt::format("{}", info->steps), place)},
                    place);
    if (info->clamp) {
      YamlValue clamp{.kind = YamlValue::Kind::sequence, .place = place, .key = "clamp"};
      for (const double wall : {info->clamp->first, info->clamp->second}) {
        clamp.children.push_back(number_key("", fmt::format("{}", wall), place));
      }
      langevin.children.push_back(clamp);
    }
    complete_section(tree, "langevin", langevin);
  }
}

}  // namespace

EvaluationChoice load_evaluation(const fs::path& what, std::span<const std::string> overrides) {
  fs::path run;
  const CompleteTree complete_tree = [&run](YamlValue& tree) { complete(tree, run); };
  if (!is_run_or_network(what)) {
    EvaluateConfig config = load_evaluate_config(what, overrides, complete_tree);
    return {std::move(config), run};
  }
  const std::string place = what.string();
  const YamlValue tree = section_key(
      "", {section_key("evaluate", {text_key("checkpoint", place, place)}, place)}, place);
  EvaluateConfig config = evaluate_config_of(tree, overrides, complete_tree);
  return {std::move(config), run};
}

}  // namespace ebm
