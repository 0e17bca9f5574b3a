// Every key of a configuration, once: its name, its field, whether it has a default, its range,
// when it applies. `Io` is YamlReader with a configuration to fill, or YamlWriter with a constant
// one, or whatever else has their members.
#pragma once

#include <string_view>

#include "host/config/config.h"
#include "host/config/layers.h"
#include "host/config/yaml_reader.h"

namespace ebm {

inline constexpr int kLargestImage = 1024;
inline constexpr std::string_view kImageNetworks = "the vanilla and nonlocal networks";
inline constexpr std::string_view kImageData = "image data (mnist, cifar10, flowers102, folder)";

template <class Io, class Config>
void visit_data(Io& io, Config& data) {
  io.required("kind", data.kind);
  const Applies images{!data.is_toy(), kImageData};
  io.required("path", data.path, {}, images);
  io.optional("image_size", data.image_size, between(1, kLargestImage), images);
  io.default_to(data.channels, data.is_toy() || data.kind == DataKind::mnist ? 1 : 3);
  io.optional("channels", data.channels, {}, images);
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
void visit_training(Io& io, Config& config) {
  io.required("name", config.name);
  io.optional("seed", config.seed);
  io.optional("device", config.device);
  io.optional("precision", config.precision);
  io.section("data", [&](Io& data) { visit_data(data, config.data); });
  const bool toy = config.data.is_toy();
  io.section("network", [&](Io& network) {
    visit_network(network, config.network);
    network.default_to(config.network.channels, toy ? 2 : config.data.channels);
    network.default_to(config.network.image_size, toy ? 1 : config.data.image_size);
  });
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
    network.default_to(config.network.channels, config.network.kind == NetworkKind::toy ? 2 : 3);
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

}  // namespace ebm
