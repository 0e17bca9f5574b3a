#include "host/config/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <fstream>
#include <stdexcept>
#include <system_error>

#include "host/config/layers.h"
#include "host/config/yaml_reader.h"
#include "host/config/yaml_tree.h"
#include "host/config/yaml_writer.h"
#include "host/errors.h"

namespace ebm {
namespace {

constexpr std::size_t kLargestFile = 1 << 20;
constexpr int kLargestImage = 1024;
constexpr std::string_view kImageNetworks = "the vanilla and nonlocal networks";
constexpr std::string_view kImageData = "image data (mnist, cifar10, flowers102, folder)";

// Every key there is, once: its name, its field, whether it has a default, its range, when it
// applies. `Io` is YamlReader with a configuration to fill, or YamlWriter with a constant one.

template <class Io, class Config>
void visit_data(Io& io, Config& data) {
  io.required("kind", data.kind);
  const Applies images{!data.is_toy(), kImageData};
  io.required("path", data.path, {}, images);
  io.optional("image_size", data.image_size, between(1, kLargestImage), images);
  io.default_to(data.channels, data.is_toy() || data.kind == DataKind::mnist ? 1 : 3);
  io.optional("channels", data.channels, at_least(1), images);
  io.optional("noise", data.noise, at_least(0), images);
  const Applies toy{data.is_toy(), "toy data (gmm, rings)"};
  io.default_to(data.groups, data.kind == DataKind::rings ? 4 : 8);
  io.optional("groups", data.groups, between(1, 1000), toy);
  io.optional("sd", data.sd, above(0), toy);
  io.optional("radius", data.radius, above(0), toy);
}

/// `kind`, or else `layers`, and `features`. Returns whether the kind is one of the published ones
/// for images.
template <class Io, class Config>
bool visit_network(Io& io, Config& network) {
  io.list("layers", network.layers, [](auto& keys, auto& layer) { visit_layer(keys, layer); });
  const bool listed = !network.layers.empty();
  io.required("kind", network.kind, {}, {!listed, "networks without a list of layers"});
  if (listed) {
    io.default_to(network.kind, NetworkKind::custom);
  }
  const bool for_images =
      network.kind == NetworkKind::vanilla || network.kind == NetworkKind::nonlocal;
  io.optional("features", network.features, between(1, 1024), {for_images, kImageNetworks});
  return for_images;
}

template <class Io, class Config>
void visit_optimizer(Io& io, Config& optimizer) {
  io.required("kind", optimizer.kind);
  io.required("lr", optimizer.lr, above(0));
  io.default_to(optimizer.lr_min, optimizer.lr);
  io.optional("lr_min", optimizer.lr_min, at_least(0));
  io.optional("lr_decay", optimizer.lr_decay, {.low = 0, .high = 1, .low_excluded = true});
}

template <class Io, class Config>
void visit_langevin(Io& io, Config& langevin, bool toy) {
  io.required("epsilon", langevin.epsilon, at_least(0));
  io.required("steps", langevin.steps, at_least(1));
  io.required("init", langevin.init);
  io.optional("clamp", langevin.clamp);
  const bool noise =
      langevin.init == InitialStates::uniform || langevin.init == InitialStates::gaussian;
  io.optional("bank_size", langevin.bank_size, between(1, 1e8),
              {toy && langevin.init == InitialStates::persistent,
               "toy data with langevin.init: persistent"});
  io.optional("noise_init_factor", langevin.noise_init_factor, above(0),
              {toy && noise, "toy data with langevin.init: uniform or gaussian"});
}

template <class Io, class Config>
void visit_checkpoint(Io& io, Config& checkpoint) {
  io.optional("every", checkpoint.every, at_least(1));
  io.optional("keep", checkpoint.keep, between(1, 1e6));
  io.optional("keep_every", checkpoint.keep_every, at_least(0));
  io.optional("grace", checkpoint.grace, at_least(0));
}

template <class Io, class Config>
void visit_divergence(Io& io, Config& divergence) {
  io.optional("action", divergence.action);
  const Applies rollback{divergence.action == DivergenceAction::rollback,
                         "divergence.action: rollback"};
  io.optional("factor", divergence.factor, {.low = 0, .high = 1, .low_excluded = true}, rollback);
  io.optional("times", divergence.times, between(1, 1000), rollback);
  io.optional("energy_difference", divergence.energy_difference, above(0));
  io.optional("gradient_strength", divergence.gradient_strength, above(0));
  io.optional("energy", divergence.energy, above(0));
  io.optional("weight", divergence.weight, above(0));
}

template <class Io, class Config>
void visit_longrun(Io& io, Config& longrun) {
  io.optional("every", longrun.every, at_least(0));
  io.optional("steps", longrun.steps, at_least(1));
  io.optional("init", longrun.init);
}

template <class Io, class Config>
void visit_landscape(Io& io, Config& landscape, DataKind data) {
  io.optional("every", landscape.every, at_least(0));
  io.optional("resolution", landscape.resolution, between(2, 2000));
  io.section("kde", [&](Io& kde) {
    // Three points are the fewest in the plane whose covariance can be inverted.
    kde.optional("chains", landscape.kde.chains, between(3, 1e7));
    kde.default_to(landscape.kde.bandwidth, data == DataKind::rings ? 0.075 : 0.1);
    kde.optional("bandwidth", landscape.kde.bandwidth, above(0));
  });
}

template <class Io, class Config>
void visit(Io& io, Config& config) {
  io.required("name", config.name);
  io.optional("seed", config.seed);
  io.optional("device", config.device);
  io.optional("precision", config.precision);
  io.section("data", [&](Io& data) { visit_data(data, config.data); });
  const bool toy = config.data.is_toy();
  io.section("network", [&](Io& network) { visit_network(network, config.network); });
  io.section("optimizer", [&](Io& optimizer) { visit_optimizer(optimizer, config.optimizer); });
  io.section("langevin", [&](Io& langevin) { visit_langevin(langevin, config.langevin, toy); });
  io.section("train", [&](Io& train) {
    // The iteration is one 32-bit word of the random streams.
    train.required("iterations", config.train.iterations, between(1, 4294967295.0));
    train.optional("batch_size", config.train.batch_size, between(1, 1e6));
  });
  io.section("log", [&](Io& log) { log.optional("every", config.log.every, at_least(1)); });
  io.section("checkpoint",
             [&](Io& checkpoint) { visit_checkpoint(checkpoint, config.checkpoint); });
  io.section("divergence",
             [&](Io& divergence) { visit_divergence(divergence, config.divergence); });
  io.section("longrun", [&](Io& longrun) { visit_longrun(longrun, config.longrun); },
             {!toy, kImageData});
  io.section("landscape",
             [&](Io& landscape) { visit_landscape(landscape, config.landscape, config.data.kind); },
             {toy, "toy data (gmm, rings)"});
}

template <class Io, class Config>
void visit_sampling(Io& io, Config& config) {
  io.required("name", config.name);
  io.optional("seed", config.seed);
  io.optional("device", config.device);
  io.optional("precision", config.precision);
  io.section("network", [&](Io& network) {
    const bool for_images = visit_network(network, config.network);
    const bool custom = config.network.kind == NetworkKind::custom;
    network.optional("channels", config.network.channels, between(1, 1024),
                     {for_images || custom, "all networks but toy"});
    network.optional("image_size", config.network.image_size, between(1, kLargestImage),
                     {custom, "networks given by a list of layers"});
  });
  io.required("start", config.start);
  io.section("data", [&](Io& data) { visit_data(data, config.data); },
             {config.start == SamplingStart::data, "start: data"});
  io.section("sample", [&](Io& sample) {
    sample.required("checkpoint", config.sample.checkpoint);
    sample.required("train_epsilon", config.sample.train_epsilon, at_least(0));
    sample.optional("temperature_factor", config.sample.temperature_factor, above(0));
    sample.required("epsilon", config.sample.epsilon, at_least(0));
    sample.required("steps", config.sample.steps, at_least(1));
    sample.optional("chains", config.sample.chains, between(1, 1e6));
    sample.optional("mala", config.sample.mala);
  });
  io.section("log", [&](Io& log) { log.optional("every", config.log.every, at_least(1)); });
}

bool is_folder_name(std::string_view text) {
  return text.size() <= 200 && text.find('/') == std::string_view::npos && text != "." &&
         text != ".." &&
         std::ranges::none_of(text, [](unsigned char c) { return std::iscntrl(c); });
}

bool is_device(std::string_view text) {
  if (text == "auto" || text == "cpu" || text == "cuda") {
    return true;
  }
  constexpr std::string_view kPrefix = "cuda:";
  if (!text.starts_with(kPrefix)) {
    return false;
  }
  text.remove_prefix(kPrefix.size());
  return !text.empty() && text.size() <= 3 &&
         std::ranges::all_of(text, [](unsigned char c) { return std::isdigit(c) != 0; });
}

// The rules no single key's range can say. `tree` is what the configuration was read from; it knows
// the places that errors name.
class Rules {
 public:
  explicit Rules(const YamlValue& tree) : tree_(tree) {}

  void operator()(bool holds, std::string_view key, std::string_view otherwise) const {
    if (!holds) {
      refuse_key(tree_, key, otherwise);
    }
  }

  /// Those of every configuration.
  template <class Config>
  void check_common(const Config& config) const {
    const Rules& require = *this;
    require(is_folder_name(config.name), "name",
            fmt::format("must be usable as a folder's name, not '{:.60}'", config.name));
    require(is_device(config.device), "device",
            fmt::format("must be auto, cpu, cuda or cuda:N, not '{:.60}'", config.device));
    require(
        config.network.kind != NetworkKind::nonlocal || config.network.features % 2 == 0,
        "network.features",
        fmt::format("the nonlocal network needs an even number, not {}", config.network.features));
  }

  /// Those of the data that a network takes.
  void check_data(const DataConfig& data, NetworkKind network) const {
    const Rules& require = *this;
    const bool toy = data.is_toy();
    const bool custom = network == NetworkKind::custom;
    require(
        custom || toy == (network == NetworkKind::toy), "network.kind",
        fmt::format("{} does not fit data.kind: {}, which needs {} or a list of layers",
                    to_string(network), to_string(data.kind), toy ? "toy" : "vanilla, nonlocal"));
    require(custom || toy || data.image_size == 32, "data.image_size",
            fmt::format("the vanilla and nonlocal networks need 32, not {}; networks for other "
                        "sizes are written as network.layers",
                        data.image_size));
    require(toy || data.channels == 1 || data.channels == 3, "data.channels",
            fmt::format("must be 1 (grey) or 3 (colour), not {}", data.channels));
  }

  /// That the layers fit each other and the states.
  void check_layers(const SavedNetworkConfig& network) const {
    if (network.kind != NetworkKind::custom) {
      return;
    }
    (*this)(!network.layers.empty(), "network.kind", "custom needs network.layers, a list");
    try {
      make_network(network);
    } catch (const std::invalid_argument& error) {
      refuse_key(tree_, "network.layers", error.what());
    }
  }

 private:
  const YamlValue& tree_;
};

void check(const SampleConfig& config, const YamlValue& tree) {
  const Rules require(tree);
  require.check_common(config);
  const bool custom = config.network.kind == NetworkKind::custom;
  require(custom || config.network.channels == 1 || config.network.channels == 3,
          "network.channels",
          fmt::format("must be 1 (grey) or 3 (colour), not {}", config.network.channels));
  require.check_layers(config.network);
  require(config.sample.epsilon > 0 || !config.sample.mala, "sample.epsilon",
          "must be above 0 with sample.mala: true");
  if (config.start != SamplingStart::data) {
    return;
  }
  require.check_data(config.data, config.network.kind);
  const int channels = config.data.is_toy() ? 2 : config.data.channels;
  require(config.network.kind == NetworkKind::toy || channels == config.network.channels,
          config.data.is_toy() ? "network.channels" : "data.channels",
          fmt::format("network.channels is {}, but the data have {}", config.network.channels,
                      channels));
  const int size = config.data.is_toy() ? 1 : config.data.image_size;
  require(!custom || size == config.network.image_size, "network.image_size",
          fmt::format("is {}, but the data's is {}", config.network.image_size, size));
}

void check(const TrainConfig& config, const YamlValue& tree) {
  const Rules require(tree);
  const bool toy = config.data.is_toy();
  const bool persistent = config.langevin.init == InitialStates::persistent;

  require.check_common(config);
  require.check_data(config.data, config.network.kind);
  require.check_layers(trained_network(config));
  require(config.optimizer.lr_min <= config.optimizer.lr, "optimizer.lr_min",
          fmt::format("must be at most optimizer.lr = {}, not {}", config.optimizer.lr,
                      config.optimizer.lr_min));
  require(!toy || !persistent || config.train.batch_size <= config.langevin.bank_size,
          "train.batch_size",
          fmt::format("must be at most langevin.bank_size = {}, not {}", config.langevin.bank_size,
                      config.train.batch_size));
  require(config.checkpoint.keep_every % config.checkpoint.every == 0, "checkpoint.keep_every",
          fmt::format("must be a multiple of checkpoint.every = {}, not {}",
                      config.checkpoint.every, config.checkpoint.keep_every));
  require(config.longrun.init != InitialStates::persistent || persistent, "longrun.init",
          "persistent needs langevin.init: persistent; there is no bank otherwise");
}

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
  std::string text(kLargestFile + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad()) {
    refuse("cannot read this configuration file");
  }
  text.resize(static_cast<std::size_t>(stream.gcount()));
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

template <class Config, class Visit>
Config load(const std::filesystem::path& file, std::span<const std::string> overrides,
            Visit visit_config) {
  YamlValue tree = parse_yaml(read_text(file), {.name = file.string()});
  tree.place = file.string();
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
  check(config, tree);
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

Network make_network(const SavedNetworkConfig& network) {
  if (network.kind == NetworkKind::custom) {
    return {"custom", {network.channels, network.image_size, network.image_size}, network.layers};
  }
  return published_network(to_string(network.kind),
                           network.kind == NetworkKind::toy ? 2 : network.channels,
                           network.features);
}

SavedNetworkConfig trained_network(const TrainConfig& config) {
  const bool toy = config.data.is_toy();
  return {.kind = config.network.kind,
          .features = config.network.features,
          .channels = toy ? 2 : config.data.channels,
          .image_size = toy ? 1 : config.data.image_size,
          .layers = config.network.layers};
}

TrainConfig load_train_config(const std::filesystem::path& file,
                              std::span<const std::string> overrides) {
  return load<TrainConfig>(file, overrides,
                           [](YamlReader& reader, TrainConfig& config) { visit(reader, config); });
}

TrainConfig load_resumed_config(const std::filesystem::path& file,
                                std::span<const std::string> overrides) {
  constexpr std::array<std::string_view, 8> kMayChange{
      "train.iterations", "device",     "data.path", "log",
      "checkpoint",       "divergence", "longrun",   "landscape"};
  for (const std::string& override_text : overrides) {
    const std::string_view key = std::string_view(override_text).substr(0, override_text.find('='));
    if (std::ranges::none_of(kMayChange, [key](std::string_view may_change) {
          return key.starts_with(may_change) &&
                 (key.size() == may_change.size() || key[may_change.size()] == '.');
        })) {
      throw ConfigurationError(fmt::format("--set {}: a run that goes on can only change {}",
                                           override_text, fmt::join(kMayChange, ", ")));
    }
  }
  return load_train_config(file, overrides);
}

SampleConfig load_sample_config(const std::filesystem::path& file,
                                std::span<const std::string> overrides) {
  return load<SampleConfig>(file, overrides, [](YamlReader& reader, SampleConfig& config) {
    visit_sampling(reader, config);
  });
}

std::string to_yaml(const TrainConfig& config) {
  YamlWriter writer;
  visit(writer, config);
  return writer.finish();
}

std::string to_yaml(const SampleConfig& config) {
  YamlWriter writer;
  visit_sampling(writer, config);
  return writer.finish();
}

}  // namespace ebm
