#include "host/config/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <stdexcept>
#include <string_view>

#include "cuda/device/device_choice.h"
#include "host/config/yaml_reader.h"

namespace ebm {
namespace {

bool is_folder_name(std::string_view text) {
  return text.size() <= 200 && text.find('/') == std::string_view::npos && text != "." &&
         text != ".." &&
         std::ranges::none_of(text, [](unsigned char c) { return std::iscntrl(c); });
}

// The rules no single key's range can say. `tree` is what the configuration was read from; it knows
// the places that errors name.
class Rules {
 public:
  Rules(const YamlValue& tree, ConfigErrors& errors) : tree_(tree), errors_(errors) {}

  /// `others`: the keys, besides this one, that the rule depends on.
  void operator()(bool holds, std::string_view key, std::string_view otherwise,
                  std::initializer_list<std::string_view> others = {}) const {
    if (!holds && !errors_.is_spoilt(key) &&
        std::ranges::none_of(others, [this](auto other) { return errors_.is_spoilt(other); })) {
      refuse_key(tree_, key, otherwise, errors_);
    }
  }

  /// Those of every configuration.
  template <class Config>
  void check_common(const Config& config) const {
    const Rules& require = *this;
    require(is_folder_name(config.name), "name",
            fmt::format("must be usable as a folder's name, not '{:.60}'", config.name));
    require(is_device_name(config.device), "device",
            fmt::format("must be auto, cpu, cuda or cuda:N, not '{:.60}'", config.device));
    require(
        config.network.kind != NetworkKind::nonlocal || config.network.features % 2 == 0,
        "network.features",
        fmt::format("the nonlocal network needs an even number, not {}", config.network.features),
        {"network.kind"});
  }

  /// Those of the data that a network takes.
  void check_data(const DataConfig& data, NetworkKind network) const {
    const Rules& require = *this;
    const bool toy = data.is_toy();
    const bool custom = network == NetworkKind::custom;
    require(
        custom || toy == (network == NetworkKind::toy), "network.kind",
        fmt::format("{} does not fit data.kind: {}, which needs {} or a list of layers",
                    to_string(network), to_string(data.kind), toy ? "toy" : "vanilla, nonlocal"),
        {"network.layers", "data.kind"});
    require(custom || toy || data.image_size == 32, "data.image_size",
            fmt::format("the vanilla and nonlocal networks need 32, not {}; networks for other "
                        "sizes are written as network.layers",
                        data.image_size),
            {"network.kind", "network.layers", "data.kind"});
    require(toy || data.channels == 1 || data.channels == 3, "data.channels",
            fmt::format("must be 1 (grey) or 3 (colour), not {}", data.channels),
            {"data.kind", "network.channels"});
  }

  /// That the layers fit each other and the states.
  void check_layers(const NetworkConfig& network) const {
    if (network.kind != NetworkKind::custom) {
      return;
    }
    const Rules& require = *this;
    require(!network.layers.empty(), "network.kind",
            "custom is written as network.layers, a list, instead of network.kind",
            {"network.layers"});
    if (errors_.is_spoilt("network") || errors_.is_spoilt("data")) {
      return;
    }
    try {
      make_network(network);
    } catch (const std::invalid_argument& error) {
      require(false, "network.layers", error.what());
    }
  }

  /// Those of a network that a checkpoint may not say itself.
  void check_saved_network(const NetworkConfig& network) const {
    const Rules& require = *this;
    const bool is_free = network.kind == NetworkKind::custom || network.kind == NetworkKind::toy;
    require(is_free || network.channels == 1 || network.channels == 3, "network.channels",
            fmt::format("must be 1 (grey) or 3 (colour), not {}", network.channels),
            {"network.kind", "network.layers"});
    check_layers(network);
  }

  /// That a saved network takes the data.
  void check_data_of_saved(const DataConfig& data, const NetworkConfig& network) const {
    const Rules& require = *this;
    check_data(data, network.kind);
    const int channels = data.is_toy() ? 2 : data.channels;
    require(channels == network.channels, data.is_toy() ? "network.channels" : "data.channels",
            fmt::format("network.channels is {}, but the data have {}", network.channels, channels),
            {"network", "data"});
    const int size = data.is_toy() ? 1 : data.image_size;
    require(network.kind != NetworkKind::custom || size == network.image_size, "network.image_size",
            fmt::format("is {}, but the data's is {}", network.image_size, size),
            {"network", "data"});
  }

 private:
  const YamlValue& tree_;
  ConfigErrors& errors_;
};

}  // namespace

void check_rules(const SampleConfig& config, const YamlValue& tree, ConfigErrors& errors) {
  const Rules require(tree, errors);
  require.check_common(config);
  require.check_saved_network(config.network);
  require(config.sample.epsilon > 0 || !config.sample.mala, "sample.epsilon",
          "must be above 0 with sample.mala: true", {"sample.mala"});
  if (config.start == SamplingStart::data) {
    require.check_data_of_saved(config.data, config.network);
  }
}

void check_rules(const EvaluateConfig& config, const YamlValue& tree, ConfigErrors& errors) {
  const Rules require(tree, errors);
  require.check_common(config);
  require.check_saved_network(config.network);
  require.check_data_of_saved(config.data, config.network);
  const EvaluateSection& evaluate = config.evaluate;
  require(evaluate.steps / evaluate.every >= 8, "evaluate.every",
          fmt::format("of {} steps fewer than 8 records would be left", evaluate.steps),
          {"evaluate.steps"});
  require(evaluate.has_features() == (evaluate.feature_layers != "none"),
          evaluate.has_features() ? "evaluate.features" : "evaluate.feature_layers",
          "evaluate.features and evaluate.feature_layers are given together, or neither is",
          {"evaluate.features", "evaluate.feature_layers"});
}

void check_rules(const TrainConfig& config, const YamlValue& tree, ConfigErrors& errors) {
  const Rules require(tree, errors);
  const bool toy = config.data.is_toy();
  const bool persistent = config.langevin.init == InitialStates::persistent;

  require.check_common(config);
  require.check_data(config.data, config.network.kind);
  require.check_layers(config.network);
  require(config.optimizer.lr_min <= config.optimizer.lr, "optimizer.lr_min",
          fmt::format("must be at most optimizer.lr = {}, not {}", config.optimizer.lr,
                      config.optimizer.lr_min),
          {"optimizer.lr"});
  require(!toy || !persistent || config.train.batch_size <= config.langevin.bank_size,
          "train.batch_size",
          fmt::format("must be at most langevin.bank_size = {}, not {}", config.langevin.bank_size,
                      config.train.batch_size),
          {"langevin.bank_size", "langevin.init", "data.kind"});
  require(config.checkpoint.keep_every % config.checkpoint.every == 0, "checkpoint.keep_every",
          fmt::format("must be a multiple of checkpoint.every = {}, not {}",
                      config.checkpoint.every, config.checkpoint.keep_every),
          {"checkpoint.every"});
  require(config.longrun.init != InitialStates::persistent || persistent, "longrun.init",
          "persistent needs langevin.init: persistent; there is no bank otherwise",
          {"langevin.init"});
}

}  // namespace ebm
