// Scores states with a trained network: f(x) and its gradient.

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "cuda/base/errors.h"
#include "cuda/device/device_choice.h"
#include "cuda/nn/host_states.h"
#include "host/apps/exit_status.h"
#include "host/config/config.h"
#include "host/files/npy.h"
#include "host/training/checkpoint.h"
#include "host/training/compute_device.h"
#include "host/training/environment.h"

namespace {

using namespace ebm;

struct Options {
  std::filesystem::path checkpoint;
  std::filesystem::path input;
  std::filesystem::path energy;
  std::filesystem::path gradient;
  NetworkChoice network;
  std::string device = "auto";
  std::string precision = "fp32";
  int threads = 0;
};

/// The number of states in an array: its first dimension, the others being one state.
std::int64_t count_states(const NpyArray& array, const std::filesystem::path& path,
                          const Network& network) {
  const Shape& shape = network.input();
  const std::vector<std::int64_t> whole{shape.channels, shape.height, shape.width};
  const std::vector<std::int64_t> plane{shape.channels};  // enough for states of one pixel
  const std::vector<std::int64_t> state(array.shape.begin() + (array.shape.empty() ? 0 : 1),
                                        array.shape.end());
  if (array.shape.empty() ||
      (state != whole && !(shape.height == 1 && shape.width == 1 && state == plane))) {
    throw InputFileError(fmt::format("{}: has shape ({}), but network {} takes (N, {})",
                                     path.string(), fmt::join(array.shape, ", "), network.name(),
                                     fmt::join(whole, ", ")));
  }
  return array.shape.front();
}

/// Throws ConfigurationError when one file would overwrite another or has no folder to be in.
void check_outputs(const Options& options) {
  const auto same = [](const std::filesystem::path& a, const std::filesystem::path& b) {
    std::error_code ignored;
    return std::filesystem::weakly_canonical(a, ignored) ==
           std::filesystem::weakly_canonical(b, ignored);
  };
  for (const auto& [name, path] :
       {std::pair("--energy", options.energy), std::pair("--gradient", options.gradient)}) {
    if (path.empty()) {
      continue;
    }
    if (same(path, options.input) || same(path, options.checkpoint)) {
      throw ConfigurationError(
          fmt::format("{} {} is also a file to read; choose another", name, path.string()));
    }
    if (path.has_parent_path() && !std::filesystem::is_directory(path.parent_path())) {
      throw ConfigurationError(fmt::format("{} {}: there is no folder {}", name, path.string(),
                                           path.parent_path().string()));
    }
  }
  if (!options.gradient.empty() && same(options.energy, options.gradient)) {
    throw ConfigurationError("--energy and --gradient are the same file; choose another");
  }
}

int score(const Options& options) {
  check_outputs(options);
  if (options.threads > 0) {
    omp_set_num_threads(options.threads);
  }
  const Checkpoint checkpoint = load_checkpoint(options.checkpoint, options.network);
  const NpyArray states = read_npy(options.input);
  const std::int64_t count = count_states(states, options.input, checkpoint.network);
  constexpr std::int64_t kMostAtOnce = 256;
  const ComputeDevice device = choose_compute_device(
      options.device, *from_string<Precision>(options.precision), checkpoint.network);
  const std::unique_ptr<Energy> energy =
      make_energy(device, checkpoint.network, std::clamp<std::int64_t>(count, 1, kMostAtOnce));
  HostStates scored(*energy);
  scored.set_parameters(checkpoint.parameters.span());
  std::vector<float> f(static_cast<std::size_t>(count));
  const std::vector<std::int64_t> energy_shape{count};
  if (options.gradient.empty()) {
    scored.energies(states.values, f);
  } else {
    std::vector<float> gradient(states.values.size());
    scored.energies_and_gradients(states.values, f, gradient);
    write_npy(options.gradient, states.shape, gradient);
  }
  write_npy(options.energy, energy_shape, f);
  fmt::print("{} states scored by {} (iteration {}): f in {}\n", count, checkpoint.network.name(),
             checkpoint.info.iteration, options.energy.string());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("ebm_score", argv, [argc, argv] {
    Options options;
    CLI::App app(
        "Computes f(x), the network's output, for a batch of states, and its gradient with respect "
        "to them.\nLow f is likely: p(x) is proportional to exp(-f(x)/(epsilon^2/2)).\n\n"
        "  ebm_score --checkpoint net_002000.safetensors --input x.npy --energy f.npy\n",
        "ebm_score");
    app.set_version_flag("--version", version());
    app.add_option("--checkpoint", options.checkpoint, "The network (safetensors)")
        ->required()
        ->option_text("FILE");
    app.add_option("--input", options.input, "States, (N, channels, height, width), float")
        ->required()
        ->option_text("X.npy");
    app.add_option("--energy", options.energy, "Where f goes, (N)")
        ->required()
        ->option_text("E.npy");
    app.add_option("--gradient", options.gradient, "Where the gradient goes, the input's shape")
        ->option_text("G.npy");
    app.add_option("--network", options.network.network,
                   "toy, vanilla or nonlocal, for files that do not say")
        ->option_text("NAME");
    app.add_option("--channels", options.network.channels, "Channels of its states")
        ->option_text("C");
    app.add_option("--features", options.network.features, "Its width [32]")->option_text("N");
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
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app.exit(error) == 0 ? 0 : 2;
    }
    return score(options);
  });
}
