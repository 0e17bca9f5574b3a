// Every key of a configuration, once: its name, what it means, its field, whether it has a default,
// its range, when it applies. `Io` is YamlReader with a configuration to fill, or YamlWriter or
// ReferenceWriter with a constant one. The files configs/reference.yaml and
// configs/{sampling,evaluation}/reference.yaml say what is said here: see reference.h.
#pragma once

#include <string_view>

#include "host/config/config.h"
#include "host/config/layers.h"
#include "host/config/yaml_reader.h"

namespace ebm {

inline constexpr int kLargestImage = 1024;
inline constexpr std::string_view kImageNetworks = "the vanilla and nonlocal networks";
inline constexpr std::string_view kImageData = "image data (mnist, cifar10, flowers102, folder)";
inline constexpr std::string_view kToyData = "toy data (gmm, rings)";

template <class Io, class Config>
void visit_data(Io& io, Config& data) {
  io.required({"kind", {}, Decides::everywhere}, data.kind);
  const Applies images{!data.is_toy(), kImageData};
  io.required(
      {"path", "where the images are: a folder, or an archive where the data set comes as one"},
      data.path, {}, images);
  io.optional({"image_size",
               "pixels of the shorter side after resizing, then the centre is cut out; vanilla and "
               "nonlocal need 32"},
              data.image_size, between(1, kLargestImage), images);
  io.default_to(data.channels, data.is_toy() || data.kind == DataKind::mnist ? 1 : 3);
  io.optional({"channels", "1 (grey) or 3 (colour); 3 is the default of all images but mnist"},
              data.channels, {}, images);
  io.optional({"noise", "standard deviation of the Gaussian noise added to every batch of images"},
              data.noise, at_least(0), images);
  const Applies pictures{data.is_pictures(), "pictures (flowers102, folder)"};
  io.optional(
      {"exif", "apply turns pictures upright as the camera says; torchvision's folders ignore it"},
      data.exif, {}, pictures);
  io.optional({"unreadable", "skip leaves out pictures that cannot be read, and counts them"},
              data.unreadable, {}, pictures);
  const Applies published{data.has_test_set(), "data with a test set (mnist, cifar10)"};
  io.optional({"split", "the images to train on, or those that were held out"}, data.split, {},
              published);
  const Applies toy{data.is_toy(), kToyData};
  io.default_to(data.groups, data.kind == DataKind::rings ? 4 : 8);
  io.optional({"groups",
               "how many Gaussians, on a circle, or rings around one another; 4 is the default of "
               "rings"},
              data.groups, between(1, 1000), toy);
  io.optional({"sd",
               "standard deviation of each: of both coordinates (gmm), of the distance from the "
               "centre (rings)"},
              data.sd, above(0), toy);
  io.optional({"radius", "of the circle of means (gmm), or the distance from ring to ring"},
              data.radius, above(0), toy);
}

/// `kind`, or else `layers`, and `features`. Returns whether the kind is one of the published ones
/// for images.
template <class Io, class Config>
bool visit_network(Io& io, Config& network) {
  io.list({"layers",
           "Instead of kind, for data of any kind and size: layers, one after another; the last "
           "one's output is the one number f(x). One of each:"},
          network.layers, [](auto& keys, auto& layer) { visit_layer(keys, layer); });
  const bool listed = !network.layers.empty();
  io.required({"kind", "not where there are layers, which make it custom; toy is for the plane",
               Decides::in_section},
              network.kind, {},
              {!listed, "networks without a list of layers", Decides::in_section});
  if (listed) {
    io.default_to(network.kind, NetworkKind::custom);
  }
  const bool for_images =
      network.kind == NetworkKind::vanilla || network.kind == NetworkKind::nonlocal;
  io.optional({"features", "width n of vanilla and nonlocal, which needs an even one"},
              network.features, between(1, 1024),
              {for_images, kImageNetworks, Decides::in_section});
  return for_images;
}

template <class Io, class Config>
void visit_optimizer(Io& io, Config& optimizer) {
  io.required("kind", optimizer.kind);
  io.required({"lr",
               "learning rate at the start; that of sgd is multiplied by epsilon^2/2 where epsilon "
               "> 0"},
              optimizer.lr, above(0));
  io.default_to(optimizer.lr_min, optimizer.lr);
  io.optional({"lr_min", "at most lr, which is the default; the rate does not fall below it"},
              optimizer.lr_min, at_least(0));
  io.optional({"lr_decay", "factor on the rate after every iteration"}, optimizer.lr_decay,
              {.low = 0, .high = 1, .low_excluded = true});
}

template <class Io, class Config>
void visit_langevin(Io& io, Config& langevin, bool toy) {
  io.required({"epsilon", "step size and noise; U = f/(epsilon^2/2), or f where it is 0"},
              langevin.epsilon, at_least(0));
  io.required({"steps", "length L of a short run"}, langevin.steps, at_least(1));
  io.required(
      {"init", "where chains start: where they ended before, data, or noise", Decides::in_section},
      langevin.init);
  io.optional({"clamp", "every component is put back between the two after every step"},
              langevin.clamp);
  const bool noise =
      langevin.init == InitialStates::uniform || langevin.init == InitialStates::gaussian;
  io.optional(
      {"bank_size", "rows; at least train.batch_size; the bank of images has a row for each"},
      langevin.bank_size, between(1, 1e8),
      {toy && langevin.init == InitialStates::persistent,
       "toy data with langevin.init: persistent"});
  io.optional({"noise_init_factor", "factor on U(-1, 1) or N(0, 1)"}, langevin.noise_init_factor,
              above(0), {toy && noise, "toy data with langevin.init: uniform or gaussian"});
}

template <class Io, class Config>
void visit_checkpoint(Io& io, Config& checkpoint) {
  io.optional({"every", "iterations between saved networks"}, checkpoint.every, at_least(1));
  io.optional({"keep", "the newest so many stay"}, checkpoint.keep, between(1, 1e6));
  io.optional({"keep_every",
               "those of every so many iterations stay too, a multiple of checkpoint.every; 0: "
               "none"},
              checkpoint.keep_every, at_least(0));
  io.optional({"grace", "seconds that an iteration may go on for once a signal asks to stop"},
              checkpoint.grace, at_least(0));
}

template <class Io, class Config>
void visit_divergence(Io& io, Config& divergence) {
  io.optional({"action", "rollback goes on from the last saved state with a smaller learning rate",
               Decides::in_section},
              divergence.action);
  io.optional({"energy_difference", "of d_s, in size"}, divergence.energy_difference, above(0));
  io.optional({"gradient_strength", "of r_s"}, divergence.gradient_strength, above(0));
  io.optional({"energy", "of U of any state of a batch, in size"}, divergence.energy, above(0));
  io.optional({"weight", "of any weight, in size"}, divergence.weight, above(0));
  const Applies rollback{divergence.action == DivergenceAction::rollback,
                         "divergence.action: rollback", Decides::in_section};
  io.optional({"factor", "on the learning rate, each time"}, divergence.factor,
              {.low = 0, .high = 1, .low_excluded = true}, rollback);
  io.optional({"times", "at most so many"}, divergence.times, between(1, 1000), rollback);
}

template <class Io, class Config>
void visit_longrun(Io& io, Config& longrun) {
  io.optional(
      {"every", "iterations between them; 0: none; the published experiments have 5000 or 10000"},
      longrun.every, at_least(0));
  io.optional({"steps", "their length"}, longrun.steps, at_least(1));
  io.optional({"init", "as langevin.init, which must be persistent for persistent"}, longrun.init);
}

template <class Io, class Config>
void visit_landscape(Io& io, Config& landscape, DataKind data) {
  io.optional({"every", "iterations between them; 0: none"}, landscape.every, at_least(0));
  io.optional({"resolution", "points of the grid a side"}, landscape.resolution, between(2, 2000));
  io.section("kde", [&](Io& kde) {
    // Three points are the fewest in the plane whose covariance can be inverted.
    kde.optional({"chains", "short-run chains behind the kernel density estimate"},
                 landscape.kde.chains, between(3, 1e7));
    kde.default_to(landscape.kde.bandwidth, data == DataKind::rings ? 0.075 : 0.1);
    kde.optional({"bandwidth",
                  "its kernels' width as a factor on the chains' own spread; 0.075 is the default "
                  "of rings"},
                 landscape.kde.bandwidth, above(0));
  });
}

/// What a configuration of either kind begins with.
template <class Io, class Config>
void visit_run(Io& io, Config& config) {
  io.required({"name", "of the run: a folder's name"}, config.name);
  io.optional({"seed",
               "0 to 2^64 - 1; of all random numbers: the same seed on the same machine and build "
               "repeats a run bit for bit"},
              config.seed);
  io.optional({"device", "auto | cpu | cuda | cuda:N"}, config.device);
  io.optional(
      {"precision", "of products on a device that has it; a CPU has fp32, and may have bf16"},
      config.precision);
}

template <class Io, class Config>
void visit_training(Io& io, Config& config) {
  visit_run(io, config);
  io.section({"data", "What is learned. Images have levels in [-1, 1]."},
             [&](Io& data) { visit_data(data, config.data); });
  const bool toy = config.data.is_toy();
  io.section({"network", "The energy, f(x; theta)."}, [&](Io& network) {
    visit_network(network, config.network);
    network.default_to(config.network.channels, toy ? 2 : config.data.channels);
    network.default_to(config.network.image_size, toy ? 1 : config.data.image_size);
  });
  io.section("optimizer", [&](Io& optimizer) { visit_optimizer(optimizer, config.optimizer); });
  io.section(
      {"langevin", "The chains of one iteration: x <- x - grad f(x) + epsilon z, z ~ N(0, I)."},
      [&](Io& langevin) { visit_langevin(langevin, config.langevin, toy); });
  io.section("train", [&](Io& train) {
    // The iteration is one 32-bit word of the random streams.
    train.required("iterations", config.train.iterations, between(1, 4294967295.0));
    train.optional(
        {"batch_size", "data and chains of an iteration; at most as many as there are images"},
        config.train.batch_size, between(1, 1e6));
  });
  io.section("log", [&](Io& log) {
    log.optional({"every", "iterations between lines of the log, plots and grids of chains"},
                 config.log.every, at_least(1));
  });
  io.section("checkpoint",
             [&](Io& checkpoint) { visit_checkpoint(checkpoint, config.checkpoint); });
  io.section({"divergence",
              "What to do when learning comes apart, and from when on it has. `divergence: "
              "rollback` alone sets action."},
             [&](Io& divergence) { visit_divergence(divergence, config.divergence); });
  io.section(
      {"longrun", "Long chains, which show what the energy has learned. The bank is left alone."},
      [&](Io& longrun) { visit_longrun(longrun, config.longrun); }, {!toy, kImageData});
  io.section({"landscape",
              "The true density, the learned one and that of short-run chains, as plots and "
              "numbers."},
             [&](Io& landscape) { visit_landscape(landscape, config.landscape, config.data.kind); },
             {toy, kToyData});
}

/// The network of a checkpoint that may not say itself what it is.
template <class Io, class Config>
void visit_saved_network(Io& io, Config& network) {
  const bool for_images = visit_network(io, network);
  const bool custom = network.kind == NetworkKind::custom;
  io.default_to(network.channels, network.kind == NetworkKind::toy ? 2 : 3);
  io.optional({"channels", "of its states: 1 (grey) or 3 (colour) of vanilla and nonlocal"},
              network.channels, between(1, 1024),
              {for_images || custom, "all networks but toy", Decides::in_section});
  io.optional({"image_size", "pixels; height and width of its states; 1 for points in the plane"},
              network.image_size, between(1, kLargestImage),
              {custom, "networks given by a list of layers", Decides::in_section});
}

template <class Io, class Config>
void visit_sampling(Io& io, Config& config) {
  visit_run(io, config);
  io.section({"network", "What the checkpoint is of. What it says itself need not be said here."},
             [&](Io& network) { visit_saved_network(network, config.network); });
  io.required({"start", "U(-1, 1), N(0, 1), distinct images or points, or given states",
               Decides::everywhere},
              config.start);
  io.section({"data", "Where the chains start."}, [&](Io& data) { visit_data(data, config.data); },
             {config.start == SamplingStart::data, "start: data"});
  io.required({"states",
               "an .npy, as states_last.npy of another run: chains x channels x height x width, or "
               "x 2 for the plane; the first sample.chains are taken"},
              config.states, {},
              {config.start == SamplingStart::states, "start: states", Decides::everywhere});
  io.section(
      {"sample",
       "Chains of the law exp(-U), U = f/T, T = temperature_factor * train_epsilon^2/2 "
       "(temperature_factor where train_epsilon is 0)."},
      [&](Io& sample) {
        sample.required({"checkpoint",
                         "the network, as ebm_train or PyTorch saved it, or the folder of a run, "
                         "whose newest is taken"},
                        config.sample.checkpoint);
        sample.required(
            {"train_epsilon",
             "langevin.epsilon of its training; only where the checkpoint does not say"},
            config.sample.train_epsilon, at_least(0));
        sample.optional(
            {"temperature_factor", "more than 1 is hotter than in training, less is colder"},
            config.sample.temperature_factor, above(0));
        sample.required(
            {"epsilon", "step size and noise; that of the training where the checkpoint says"},
            config.sample.epsilon, at_least(0));
        sample.required({"steps", "length of the chains"}, config.sample.steps, at_least(1));
        sample.optional("chains", config.sample.chains, between(1, 1e6));
        sample.optional({"mala",
                         "accept or refuse every proposal (Metropolis), which makes the law "
                         "exact; needs epsilon above 0"},
                        config.sample.mala);
        sample.optional({"clamp",
                         "as langevin.clamp; of trained, what the checkpoint says of its training; "
                         "mala is reflected from its walls"},
                        config.sample.clamp);
      });
  io.section("log", [&](Io& log) {
    log.optional({"every", "steps between lines of the log, plots and grids of chains"},
                 config.log.every, at_least(1));
  });
}

template <class Io, class Config>
void visit_evaluate_section(Io& io, Config& evaluate, bool toy) {
  io.required({"checkpoint",
               "the network, as ebm_train or PyTorch saved it, or the folder of a run, whose "
               "newest is taken"},
              evaluate.checkpoint);
  io.optional({"box",
               "every component is between the two: the support on which exp(-U) is normalized; "
               "null: 1.5 times as far as the data reach, or langevin.clamp"},
              evaluate.box);
  io.default_to(evaluate.chains, toy ? 1000 : 100);
  io.optional({"chains", "long chains of each start: data, noise, and the bank where there is one"},
              evaluate.chains, between(20, 1e6));
  io.default_to(evaluate.steps, toy ? 10'000 : 2000);
  io.optional({"steps", "their length"}, evaluate.steps, at_least(8));
  io.optional({"every", "steps between records of U, its gradient and the projections"},
              evaluate.every, at_least(1));
  io.optional({"projections", "random directions along which chains are recorded"},
              evaluate.projections, between(0, 100));
  io.optional({"mala",
               "accept or refuse every proposal (Metropolis), which makes the law exact; without, "
               "chains go as in training"},
              evaluate.mala);
  io.optional({"epsilon",
               "step size; 0: chosen so that mala accepts 57%, or without mala that of training"},
              evaluate.epsilon, at_least(0));
  io.default_to(evaluate.annealing_chains, toy ? 1000 : 100);
  io.optional({"annealing_chains", "of each direction, for log Z"}, evaluate.annealing_chains,
              between(20, 1e6));
  io.default_to(evaluate.annealing_steps, toy ? 10'000 : 2000);
  io.optional({"annealing_steps", "temperatures between the box's uniform law and exp(-U)"},
              evaluate.annealing_steps, between(10, 1e7));
  io.optional({"samples", "states of the data that samples are compared with, at most"},
              evaluate.samples, between(100, 1e5));
  io.optional(
      {"features",
       "none, or weights (.safetensors) of a network in whose features samples are compared, "
       "instead of the data's first 64 principal components"},
      evaluate.features);
  io.optional(
      {"feature_layers",
       "none, or its layers, a file with the keys layers, channels and image_size; what the "
       "last one makes are the features"},
      evaluate.feature_layers);
}

template <class Io, class Config>
void visit_evaluation(Io& io, Config& config) {
  visit_run(io, config);
  io.section({"network", "What the checkpoint is of. What it says itself need not be said here."},
             [&](Io& network) { visit_saved_network(network, config.network); });
  io.section({"data", "What it was trained on."}, [&](Io& data) { visit_data(data, config.data); });
  const bool toy = config.data.is_toy();
  io.section(
      {"langevin", "The short runs of its training. Of a run that need not be said, as all above."},
      [&](Io& langevin) { visit_langevin(langevin, config.langevin, toy); });
  io.section({"evaluate", "Is exp(-U), U = f/(epsilon^2/2), a density whose samples are data?"},
             [&](Io& evaluate) { visit_evaluate_section(evaluate, config.evaluate, toy); });
  io.section("log", [&](Io& log) {
    log.optional({"every", "steps between lines of the log"}, config.log.every, at_least(1));
  });
}

}  // namespace ebm
