// Scores states with a trained network: f(x), U(x) and the gradient.

#include <fmt/format.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "cuda/base/errors.h"
#include "cuda/device/device_choice.h"
#include "cuda/nn/host_states.h"
#include "host/apps/exit_status.h"
#include "host/config/config.h"
#include "host/files/npy.h"
#include "host/parse_number.h"
#include "host/scoring/auroc.h"
#include "host/scoring/score_table.h"
#include "host/scoring/scores.h"
#include "host/scoring/states_to_score.h"
#include "host/training/checkpoint.h"
#include "host/training/compute_device.h"
#include "host/training/environment.h"
#include "host/training/saved_run.h"

namespace {

using namespace ebm;

struct Options {
  std::filesystem::path network;  ///< of a run, or a file
  std::filesystem::path input;    ///< "" for the run's own data
  std::filesystem::path against;
  std::filesystem::path scores;
  std::filesystem::path energy;
  std::filesystem::path gradient;
  NoisyCopies copies;
  NetworkChoice choice;
  std::filesystem::path layers;
  std::optional<double> epsilon;
  std::vector<std::string> overrides;  ///< of the run's data
  std::string device = "auto";
  std::string precision = "fp32";
  int threads = 0;

  /// Whether sizes of gradients are wanted: not by those who ask for f alone, which takes half as
  /// long.
  bool norms() const { return !scores.empty() || !against.empty() || energy.empty(); }
};

/// The run or network, with what is said otherwise of the run's data.
SavedRun find_run(const Options& options) {
  SavedRun run = find_saved_run(options.network);
  for (const std::string& override_text : options.overrides) {
    if (!run.config || !override_text.starts_with("data.")) {
      throw ConfigurationError(
          fmt::format("--set {}: only keys of data, of a network in its run's folder, can be set",
                      override_text));
    }
  }
  if (!options.overrides.empty()) {
    run.config = load_train_config(run.folder / "config.yaml", options.overrides);
  }
  return run;
}

/// Throws ConfigurationError when options contradict each other, one file would overwrite another
/// or has no folder to be in.
void check(const Options& options, const SavedRun& run) {
  const auto same = [](const std::filesystem::path& a, const std::filesystem::path& b) {
    std::error_code ignored;
    return std::filesystem::weakly_canonical(a, ignored) ==
           std::filesystem::weakly_canonical(b, ignored);
  };
  const std::array outputs{std::pair("--scores", &options.scores),
                           std::pair("--energy", &options.energy),
                           std::pair("--gradient", &options.gradient)};
  for (const auto& [name, path] : outputs) {
    if (path->empty()) {
      continue;
    }
    for (const auto* read : {&options.input, &options.against, &run.network}) {
      if (same(*path, *read)) {
        throw ConfigurationError(
            fmt::format("{} {} is also a file to read; choose another", name, path->string()));
      }
    }
    for (const auto& [other_name, other] : outputs) {
      if (path != other && same(*path, *other)) {
        throw ConfigurationError(
            fmt::format("{} and {} are the same file; choose another", name, other_name));
      }
    }
    if (path->has_parent_path() && !std::filesystem::is_directory(path->parent_path())) {
      throw ConfigurationError(fmt::format("{} {}: there is no folder {}", name, path->string(),
                                           path->parent_path().string()));
    }
  }
  if (options.copies.draws > 1 && options.copies.deviation == 0) {
    throw ConfigurationError("--draws is of noisy copies; give their --noise SIGMA");
  }
  if (!options.gradient.empty() && options.copies.deviation > 0) {
    throw ConfigurationError("--gradient is of states as they are; leave out --noise");
  }
}

/// The network, as its file, --layers or the other options describe it.
Checkpoint load_network_to_score(const Options& options, const std::filesystem::path& file) {
  NetworkChoice choice = options.choice;
  if (!options.layers.empty()) {
    choice = choice_of(load_network(options.layers));
  }
  return load_checkpoint(file, choice);
}

/// T of U = f/T; none where nobody says ε of the training.
std::optional<double> temperature(const Options& options, const CheckpointInfo& info) {
  const bool says = info.epsilon > 0 || info.steps > 0;
  if (says && options.epsilon.value_or(info.epsilon) != info.epsilon) {
    throw ConfigurationError(fmt::format("--epsilon is {}, but the network was trained with {}",
                                         *options.epsilon, info.epsilon));
  }
  if (!says && !options.epsilon) {
    return std::nullopt;
  }
  const double epsilon = options.epsilon.value_or(info.epsilon);
  return SampleSection{.train_epsilon = epsilon}.temperature();
}

/// Images have levels in [−1, 1], and chains stay near.
void warn_of_far_states(const StateArray& array, const Shape& state, const std::string& name) {
  constexpr float kFar = 2;
  if (state.height == 1 && state.width == 1) {
    return;  // points in the plane may be anywhere
  }
  std::int64_t far = 0;
  float largest = 0;
  const auto size = static_cast<std::size_t>(state.size());
  for (std::size_t first = 0; first < array.states.size(); first += size) {
    float in_state = 0;
    for (const float value : std::span(array.states).subspan(first, size)) {
      in_state = std::max(in_state, std::abs(value));
    }
    far += in_state > kFar ? 1 : 0;
    largest = std::max(largest, in_state);
  }
  if (far > 0) {
    fmt::print(stderr,
               "ebm_score: warning: {}: {} of {} states reach beyond [-{}, {}], up to {} in size, "
               "but images are learned with levels in [-1, 1]; save levels 0 to 255 as 8-bit "
               "integers, array.astype('u1'), or scale them, array / 255 * 2 - 1\n",
               name, far, array.count(), kFar, kFar, largest);
  }
}

/// The states of `input`, or of the run's own data.
StateArray load_states(const std::filesystem::path& input, const SavedRun& run,
                       const Shape& state) {
  const auto note = [](const std::string& line) { fmt::print("{}\n", line); };
  if (input.empty()) {
    if (!run.config) {
      throw ConfigurationError(
          "INPUT is missing: of a network outside its run's folder the data are not known");
    }
    return load_data_to_score(run.config->data, state, note);
  }
  StateArray states = read_states_to_score(
      input, state, run.config && !run.config->data.is_toy() ? run.config->data : DataConfig{},
      note);
  warn_of_far_states(states, state, input.string());
  return states;
}

/// One of the inputs, with what tables and people call it.
struct Input {
  const char* set;
  std::string name;
  StateArray array;
};

std::vector<Input> load_inputs(const Options& options, const SavedRun& run, const Shape& state) {
  StateArray first = load_states(options.input, run, state);
  const std::string name =
      options.input.empty() ? run.config->data.source() : options.input.string();
  std::vector<Input> inputs{{"input", name, std::move(first)}};
  if (!options.against.empty()) {
    inputs.push_back(
        {"against", options.against.string(), load_states(options.against, run, state)});
  }
  return inputs;
}

std::unique_ptr<Energy> energy_for(const Options& options, const Checkpoint& checkpoint,
                                   const std::vector<Input>& inputs) {
  constexpr std::int64_t kMostAtOnce = 256;
  std::int64_t most = 1;
  for (const Input& input : inputs) {
    most = std::max(most, input.array.count());
  }
  const ComputeDevice device = choose_compute_device(
      options.device, *from_string<Precision>(options.precision), checkpoint.network);
  std::unique_ptr<Energy> energy =
      make_energy(device, checkpoint.network, std::min(most, kMostAtOnce));
  HostStates(*energy).set_parameters(checkpoint.parameters.span());
  return energy;
}

void print_auroc(const std::string& name, const std::vector<ScoredSet>& sets) {
  const Scores& in = sets.front().scores;
  const Scores& out = sets.back().scores;
  fmt::print("AUROC of {} being larger: f {:.6f}, ‖∇f‖ {:.6f}\n", name, auroc(in.f, out.f),
             auroc(in.gradient_norm, out.gradient_norm));
}

int score(const Options& options) {
  const SavedRun run = find_run(options);
  check(options, run);
  if (options.threads > 0) {
    omp_set_num_threads(options.threads);
  }
  const Checkpoint checkpoint = load_network_to_score(options, run.network);
  const std::optional<double> scale = temperature(options, checkpoint.info);
  const std::vector<Input> inputs = load_inputs(options, run, checkpoint.network.input());
  const std::unique_ptr<Energy> energy = energy_for(options, checkpoint, inputs);
  fmt::print("{} (iteration {}) of {}\n", checkpoint.network.name(), checkpoint.info.iteration,
             run.network.string());

  std::vector<ScoredSet> sets;
  const StateArray& first = inputs.front().array;
  std::vector<float> gradients(options.gradient.empty() ? 0 : first.states.size());
  for (const Input& input : inputs) {
    const std::span<float> kept = sets.empty() ? std::span(gradients) : std::span<float>();
    sets.push_back({input.set, score_states(*energy, input.array.states, options.copies,
                                            options.norms(), kept)});
    fmt::print("{}: {} states: {}\n", input.name, input.array.count(),
               describe_scores(sets.back().scores, scale));
  }
  if (sets.size() == 2) {
    print_auroc(inputs.back().name, sets);
  }
  if (!scale && options.norms()) {
    fmt::print("U is left out: the network does not say epsilon of its training; give --epsilon\n");
  }

  if (!options.gradient.empty()) {
    write_npy(options.gradient, first.shape, gradients);
  }
  if (!options.energy.empty()) {
    write_npy(options.energy, std::array{first.count()}, sets.front().scores.f);
  }
  if (!options.scores.empty()) {
    write_score_table(options.scores, sets, scale);
  }
  return 0;
}

/// For an option's value: what is wrong with it, or "".
std::string not_negative(const std::string& text) {
  const std::optional<double> number = parse_number<double>(text);
  return number && std::isfinite(*number) && *number >= 0
             ? ""
             : "must be a number of at least 0, not " + text;
}

void add_network_options(CLI::App& app, Options& options) {
  auto* network = app.add_option("--network", options.choice.network,
                                 "toy, vanilla or nonlocal, for files that do not say")
                      ->option_text("NAME");
  auto* channels = app.add_option("--channels", options.choice.channels, "Channels of its states")
                       ->option_text("C");
  auto* features =
      app.add_option("--features", options.choice.features, "Its width [32]")->option_text("N");
  app.add_option("--layers", options.layers, "Or its layers, with channels and image_size")
      ->option_text("FILE.yaml")
      ->excludes(network)
      ->excludes(channels)
      ->excludes(features);
  app.add_option("--epsilon", options.epsilon, "Of its training, for U, in files that do not say")
      ->check(not_negative)
      ->option_text("E");
}

void add_compute_options(CLI::App& app, Options& options) {
  app.add_option("--device", options.device, "Where to compute [auto]")
      ->check([](const std::string& name) {
        return is_device_name(name) ? "" : "must be auto, cpu, cuda or cuda:N, not " + name;
      })
      ->option_text("auto|cpu|cuda[:N]");
  app.add_option("--precision", options.precision,
                 "Of convolutions, on devices that have it [fp32]")
      ->check(CLI::IsMember(
          std::vector<std::string>(names(Precision{}).begin(), names(Precision{}).end())))
      ->option_text("fp32|tf32|bf16");
  app.add_option("--threads", options.threads, "CPU threads [all]")
      ->check(CLI::Range(1, 4096))
      ->option_text("N");
}

/// NET and INPUT are also --checkpoint and --input, which are not in the help.
void add_inputs(CLI::App& app, Options& options) {
  auto* named_network = app.add_option("--checkpoint", options.network)->group("");
  app.add_option("net", options.network, "A run's folder, or a network (.safetensors)")
      ->excludes(named_network)
      ->option_text("RUN|NET");
  auto* named_input = app.add_option("--input", options.input)->group("");
  app.add_option("input", options.input,
                 ".npy, folder of pictures, IDX or CIFAR file, CONFIG.yaml [run's data]")
      ->excludes(named_input)
      ->option_text("INPUT");
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("ebm_score", argv, [argc, argv] {
    Options options;
    CLI::App app(
        "Computes f(x), the network's output, U = f/(epsilon^2/2) and |grad f| of states or "
        "images.\n"
        "Low U is likely: p(x) is proportional to exp(-U(x)).\n\n"
        "  ebm_score runs/a photographs --against noise.npy --scores scores.csv\n",
        "ebm_score");
    app.set_version_flag("--version", version());
    add_inputs(app, options);
    app.add_option("--set", options.overrides, "Override a key of the run's data; repeatable")
        ->option_text("data.KEY=VALUE")
        ->allow_extra_args(false);
    app.add_option("--scores", options.scores, "Where a line for each state goes: f, U, |grad f|")
        ->option_text("S.csv");
    app.add_option("--against", options.against, "Others, told from INPUT by f and |grad f|: AUROC")
        ->option_text("OTHER");
    app.add_option("--noise", options.copies.deviation, "Score noisy copies, of this deviation [0]")
        ->check(not_negative)
        ->option_text("SIGMA");
    app.add_option("--draws", options.copies.draws, "The mean over so many of each [1]")
        ->check(CLI::Range(1, 1'000'000))
        ->option_text("N");
    app.add_option("--seed", options.copies.seed, "Of their noise [123]")->option_text("N");
    app.add_option("--energy", options.energy, "Where f goes, (N)")->option_text("E.npy");
    app.add_option("--gradient", options.gradient, "Where the gradient goes, the states' shape")
        ->option_text("G.npy");
    add_network_options(app, options);
    add_compute_options(app, options);
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app.exit(error) == 0 ? 0 : 2;
    }
    if (options.network.empty()) {
      throw ConfigurationError("RUN or NET is missing: the network to score with");
    }
    return score(options);
  });
}
