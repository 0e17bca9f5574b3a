// Times the Langevin step of the published networks and whole iterations of the published
// experiments on the GPU, and what it could do at most. Prints each figure the moment it is known,
// a line that is one JSON object; what fails has "error" instead of its number, and the others go
// on. tools/benchmark/gpu.sh runs it beside PyTorch. usage: ebm_gpu_benchmark BATCH[,BATCH...]
// PRECISION[,PRECISION...] PLANS [WHAT[,WHAT...]]
//   PLANS   a folder for cuDNN's plans: what several measurements need is chosen once
//   WHAT    limits, toy, vanilla, nonlocal (a step of these), experiments by name (an iteration of
//           theirs, batch 100) [all of these]; profile/NETWORK: five steps for a profiler that
//           waits to be turned on, at the first batch and precision
// Exit status: 0, 1 something failed, 2 wrong command line.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "cuda/device/cuda_survey.h"
#include "cuda/device/device_buffer.h"
#include "cuda/device/profile_range.h"
#include "cuda/kernels/random_states.cuh"
#include "cuda/learning/learner.h"
#include "cuda/nn/gpu/cuda_context.h"
#include "cuda/nn/gpu/cuda_energy.h"
#include "cuda/nn/lowering.h"
#ifndef EBM_EMULATED_CUDA
#include "tools/benchmark/gpu_limits.h"
#endif
#include "tools/benchmark/gpu_timer.h"

namespace ebm {
namespace {

#ifdef EBM_EMULATED_CUDA  // to see that the program works
constexpr int kFeatures = 4;
constexpr int kRepetitions = 1;
constexpr int kBatch = 4;
constexpr int kLeastSteps = 100;  // a share of the published ones
constexpr int kStepsAtOnce = 2;
#else
constexpr int kFeatures = 32;
constexpr int kRepetitions = 7;
constexpr int kBatch = 100;
constexpr int kLeastSteps = 1;
constexpr int kStepsAtOnce = 100;
#endif
constexpr std::uint64_t kSeed = 1;
constexpr double kFar = 1e30;           // a limit that no number is beyond
constexpr std::int64_t kImages = 1000;  // rows of the made-up training set; they cost nothing
constexpr int kProfiledSteps = 5;
const std::vector<std::string> kNetworks{"toy", "vanilla", "nonlocal"};

/// What of a published experiment decides how long an iteration takes.
struct Experiment {
  std::string name;
  std::string network;
  int channels;
  float epsilon;
  int steps;
  InitialStates init;
  OptimizerState::Kind optimizer;
};
using enum InitialStates;
using enum OptimizerState::Kind;
const std::vector<Experiment> kExperiments{
    {"gmm_convergent", "toy", 2, 0.125F, 500, persistent, sgd},
    {"gmm_nonconvergent", "toy", 2, 0.01F, 100, gaussian, adam},
    {"mnist_convergent", "nonlocal", 1, 0.0075F, 500, persistent, sgd},
    {"cifar10_nonconvergent", "vanilla", 3, 0.01F, 150, uniform, adam},
    {"cifar10_oscillate", "vanilla", 3, 0.01F, 500, persistent, adam},
    {"flowers_convergent", "nonlocal", 3, 0.0075F, 500, persistent, sgd},
};

using Json = nlohmann::ordered_json;

struct Named {
  std::string name;
  Precision precision;
};

/// What the command line asks for.
struct Request {
  std::vector<int> batches;
  std::vector<Named> precisions;
  std::filesystem::path plans;
  std::vector<std::string> what;  ///< empty: all

  bool names(const std::string& name) const { return std::ranges::count(what, name) > 0; }
  bool wants(const std::string& name) const { return what.empty() || names(name); }
};

/// Prints one figure: the members that say what it is, and those that measure() returns, or its
/// error, which is counted.
class Figures {
 public:
  void add(Json figure, const std::function<Json()>& measure) {
    try {
      figure.update(measure());
    } catch (const std::exception& error) {
      figure["error"] = error.what();
      ++failures_;
    }
    fmt::print("{}\n", figure.dump(-1, ' ', true, Json::error_handler_t::replace));
    std::fflush(stdout);
  }
  int failures() const { return failures_; }

 private:
  int failures_ = 0;
};

/// A batch of chains of a network with its initial parameters.
class Batch {
 public:
  Batch(const Network& network, std::int64_t batch, Precision precision,
        const std::filesystem::path& plans)
      : energy_(make_cuda_energy(network, batch, precision, plans)),
        batch_(batch),
        theta_(stream(), network.parameter_count()),
        states_(stream(), static_cast<std::size_t>(batch * energy_->state_size())),
        norm_sums_(DeviceBuffer<float>::zeros(stream(), static_cast<std::size_t>(batch))) {
    const Buffer<float> theta = initial_parameters(network, kSeed);
    theta_.upload(stream(), theta.span());
    stream().wait();
    energy_->set_parameters(theta_.data());
    fill_uniform(stream(), {kSeed, Purpose::initial_states, 0}, 1, batch, energy_->state_size(),
                 states_.data());
  }

  const CudaStream& stream() const { return energy_->queue().stream(); }

  /// Enqueues Langevin steps.
  void run(int steps) {
    energy_->run(
        {.update = {.epsilon = 0.01F, .noise = {kSeed, Purpose::langevin, 0}, .step = 0},
         .steps = steps},
        {.count = batch_, .memory = {.states = states_.data()}, .norm_sums = norm_sums_.data()});
  }

 private:
  std::unique_ptr<Energy> energy_;
  std::int64_t batch_;
  DeviceBuffer<float> theta_;
  DeviceBuffer<float> states_;
  DeviceBuffer<float> norm_sums_;
};

/// The seconds of one Langevin step of a batch.
double step_seconds(const Network& network, std::int64_t batch, Precision precision,
                    const std::filesystem::path& plans) {
  Batch chains(network, batch, precision, plans);
  return median_seconds(chains.stream(), kRepetitions, [&] { chains.run(kStepsAtOnce); }) /
         kStepsAtOnce;
}

/// The seconds from one iteration to the next, by the host's clock, the host doing what a training
/// run's does between log points.
double iteration_seconds(const Experiment& experiment, const Network& network, Precision precision,
                         const std::filesystem::path& plans) {
  const std::int64_t size = network.input().size();
  Buffer<float> images(static_cast<std::size_t>(kImages * size));
  fill_uniform(Queue(), {kSeed, Purpose::initial_states, 0}, 1, kImages, size, images.data());
  const std::unique_ptr<Energy> energy = make_cuda_energy(network, kBatch, precision, plans);
  std::unique_ptr<DataBatches> data;
  if (experiment.network == "toy") {
    data = std::make_unique<ToyBatches>(energy->queue(), kSeed,
                                        ToyDraw{.groups = 8, .sd = 0.15F, .radius = 1});
  } else {
    data = std::make_unique<ImageBatches>(energy->queue(), kSeed, images.span(), size, 0.03F);
  }
  const LearnerSettings settings{.epsilon = experiment.epsilon,
                                 .steps = std::max(1, experiment.steps / kLeastSteps),
                                 .init = experiment.init,
                                 .batch_size = kBatch,
                                 .limits = {kFar, kFar, kFar, kFar}};
  LearnerState state{.theta = initial_parameters(network, kSeed),
                     .optimizer = OptimizerState(experiment.optimizer, network.parameter_count()),
                     .bank = {}};
  if (experiment.init == persistent) {
    state.bank = initial_bank(kSeed, kImages, size);
  }
  Learner learner(*energy, network.parameter_count(), settings, *data);
  learner.begin(state, kSeed);
  std::int64_t number = 0;
  const auto iterate = [&](int iterations) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < iterations; ++i) {
      learner.iterate({.number = ++number, .learning_rate = 0, .optimizer_rate = 0},
                      [] { return false; });
      learner.results(false);
    }
    learner.results(true);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() /
           iterations;
  };
  const double about = iterate(2);
  const int enough = std::clamp(static_cast<int>(0.5 / about), 1, 200);  // half a second
  std::vector<double> seconds;
  for (int i = 0; i < kRepetitions; ++i) {
    seconds.push_back(iterate(enough));
  }
  std::ranges::nth_element(seconds, seconds.begin() + kRepetitions / 2);
  return seconds[kRepetitions / 2];
}

void measure_limits([[maybe_unused]] const Request& request, [[maybe_unused]] Figures& figures) {
#ifndef EBM_EMULATED_CUDA
  const CudaStream stream;
  for (const Named& precision : request.precisions) {
    figures.add({{"figure", "limit"}, {"name", precision.name}}, [&] {
      return Json{{"value", peak_arithmetic(stream, precision.precision)}};
    });
  }
  figures.add({{"figure", "limit"}, {"name", "bandwidth"}}, [&] {
    return Json{{"value", copy_bandwidth(stream)}};
  });
#endif
}

Network step_network(const std::string& name) {
  return published_network(name, name == "toy" ? 2 : 3, kFeatures);
}

void measure_step(const std::string& name, const Named& precision, const Request& request,
                  Figures& figures) {
  for (const int batch : request.batches) {
    figures.add(
        {{"figure", "step"}, {"network", name}, {"precision", precision.name}, {"batch", batch}},
        [&] {
          const Network network = step_network(name);
          return Json{{"seconds", step_seconds(network, batch, precision.precision, request.plans)},
                      {"operations", count_operations(network).langevin_step() * batch}};
        });
  }
}

void measure_iteration(const Experiment& experiment, const Named& precision, const Request& request,
                       Figures& figures) {
  figures.add(
      {{"figure", "iteration"},
       {"experiment", experiment.name},
       {"precision", precision.name},
       {"batch", kBatch}},
      [&] {
        const Network network =
            published_network(experiment.network, experiment.channels, kFeatures);
        return Json{
            {"seconds", iteration_seconds(experiment, network, precision.precision, request.plans)},
            {"seconds_of_steps", step_seconds(network, kBatch, precision.precision, request.plans) *
                                     std::max(1, experiment.steps / kLeastSteps)}};
      });
}

void profile(const std::string& name, const Request& request, Figures& figures) {
  const Named& precision = request.precisions.front();
  figures.add({{"figure", "profile"},
               {"network", name},
               {"precision", precision.name},
               {"batch", request.batches.front()}},
              [&] {
                Batch chains(step_network(name), request.batches.front(), precision.precision,
                             request.plans);
                chains.run(kProfiledSteps);  // all is chosen and captured now
                chains.stream().wait();
                set_profiling(true);
                chains.run(kProfiledSteps);
                chains.stream().wait();
                set_profiling(false);
                return Json{{"steps", kProfiledSteps}};
              });
}

/// Measures all of the first precision, then all of the next. Returns how many figures failed.
int measure(const Request& request) {
  const CudaSurvey survey = enumerate_devices();
  const DeviceChoice choice = choose_device("cuda", survey);
  open_cuda_device(choice.index);
  const auto device = std::ranges::find(survey.devices, choice.index, &CudaDevice::index);
  Figures figures;
  figures.add({{"figure", "device"}}, [&] { return Json{{"name", device->name}}; });
  if (request.wants("limits")) {
    measure_limits(request, figures);
  }
  for (const Named& precision : request.precisions) {
    // The toy network computes in float32 whatever the precision.
    const bool first = precision.name == request.precisions.front().name;
    for (const std::string& network : kNetworks) {
      if (request.wants(network) && (first || network != "toy")) {
        measure_step(network, precision, request, figures);
      }
    }
    for (const Experiment& experiment : kExperiments) {
      if (request.wants(experiment.name) && (first || experiment.network != "toy")) {
        measure_iteration(experiment, precision, request, figures);
      }
    }
  }
  for (const std::string& network : kNetworks) {
    if (request.names("profile/" + network)) {
      profile(network, request, figures);
    }
  }
  return figures.failures();
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> words;
  std::istringstream text(list);
  for (std::string word; std::getline(text, word, ',');) {
    words.push_back(word);
  }
  return words;
}

std::vector<int> parse_batches(const std::string& list) {
  std::vector<int> batches;
  for (const std::string& word : split(list)) {
    batches.push_back(std::max(0, std::atoi(word.c_str())));
  }
  return batches;
}

std::vector<Named> parse_precisions(const std::string& list) {
  const std::vector<Named> known{
      {"fp32", Precision::fp32}, {"tf32", Precision::tf32}, {"bf16", Precision::bf16}};
  std::vector<Named> precisions;
  for (const std::string& word : split(list)) {
    const auto found = std::ranges::find(known, word, &Named::name);
    if (found == known.end()) {
      return {};
    }
    precisions.push_back(*found);
  }
  return precisions;
}

/// What the arguments ask for, or nothing where they are wrong.
std::optional<Request> parse(const std::vector<std::string>& arguments) {
  if (arguments.size() < 3 || arguments.size() > 4) {
    return std::nullopt;
  }
  Request request{.batches = parse_batches(arguments[0]),
                  .precisions = parse_precisions(arguments[1]),
                  .plans = arguments[2],
                  .what = {}};
  std::vector<std::string> known = kNetworks;
  known.emplace_back("limits");
  for (const std::string& network : kNetworks) {
    known.push_back("profile/" + network);
  }
  for (const Experiment& experiment : kExperiments) {
    known.push_back(experiment.name);
  }
  if (arguments.size() == 4) {
    request.what = split(arguments[3]);
  }
  const bool right = !request.batches.empty() && std::ranges::count(request.batches, 0) == 0 &&
                     !request.precisions.empty() &&
                     std::ranges::all_of(request.what, [&](const auto& name) {
                       return std::ranges::count(known, name) > 0;
                     });
  return right ? std::optional(request) : std::nullopt;
}

}  // namespace
}  // namespace ebm

int main(int argc, char** argv) {
  try {
    const std::optional<ebm::Request> request = ebm::parse({argv + 1, argv + argc});
    if (!request) {
      fmt::print(stderr,
                 "usage: ebm_gpu_benchmark BATCH[,BATCH...] fp32|tf32|bf16[,...] PLANS "
                 "[WHAT[,WHAT...]]\n");
      return 2;
    }
    return ebm::measure(*request) == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "ebm_gpu_benchmark: {}\n", error.what());
    return 1;
  }
}
