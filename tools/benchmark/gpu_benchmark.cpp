// Times the Langevin step of the published networks and whole iterations of the published
// experiments on the GPU, and what it could do at most; prints JSON. tools/benchmark/gpu.sh runs it
// beside PyTorch.
// usage: ebm_gpu_benchmark BATCH[,BATCH...] PRECISION[,PRECISION...] PLANS
//   PLANS   a folder for cuDNN's plans: what several measurements need is chosen once

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "cuda/device/cuda_survey.h"
#include "cuda/device/device_buffer.h"
#include "cuda/kernels/random_states.cuh"
#include "cuda/learning/cuda_learner.h"
#include "cuda/nn/cuda_context.h"
#include "cuda/nn/cuda_energy.h"
#include "cuda/nn/operation_count.h"
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
constexpr double kFar = 1e30;  // a limit that no number is beyond
constexpr std::int64_t kImages =
    1000;  // rows of the made-up training set; their number costs nothing

/// What of a published experiment decides how long an iteration takes.
struct Experiment {
  std::string name;
  std::string network;
  int channels;
  float epsilon;
  int steps;
  InitialStates init;
  Optimizer::Kind optimizer;
};
using enum InitialStates;
using enum Optimizer::Kind;
const std::vector<Experiment> kExperiments{
    {"gmm_convergent", "toy", 2, 0.125F, 500, persistent, sgd},
    {"gmm_nonconvergent", "toy", 2, 0.01F, 100, gaussian, adam},
    {"mnist_convergent", "nonlocal", 1, 0.0075F, 500, persistent, sgd},
    {"cifar10_nonconvergent", "vanilla", 3, 0.01F, 150, uniform, adam},
    {"cifar10_oscillate", "vanilla", 3, 0.01F, 500, persistent, adam},
    {"flowers_convergent", "nonlocal", 3, 0.0075F, 500, persistent, sgd},
};

struct Named {
  std::string name;
  Precision precision;
};

/// Prints the objects of a JSON list one by one.
class List {
 public:
  explicit List(const std::string& name) { fmt::print(",\n \"{}\": [", name); }
  ~List() { fmt::print("]"); }
  List(const List&) = delete;
  List& operator=(const List&) = delete;
  void add(const std::string& members) {
    fmt::print("{}\n  {{{}}}", first_ ? "" : ",", members);
    std::fflush(stdout);
    first_ = false;
  }

 private:
  bool first_ = true;
};

/// The seconds of one Langevin step of a batch.
double step_seconds(const Network& network, std::int64_t batch, Precision precision,
                    const std::filesystem::path& plans) {
  CudaContext context(precision, plans);
  const CudaStream& stream = context.stream();
  const std::unique_ptr<DeviceEnergy> energy = make_device_energy(context, network, batch);
  const Buffer<float> theta = initial_parameters(network, kSeed);
  DeviceBuffer<float> device_theta(stream, theta.size());
  device_theta.upload(stream, theta.span());
  energy->set_parameters(device_theta.data());
  DeviceBuffer<float> states(stream, static_cast<std::size_t>(batch * energy->state_size()));
  DeviceBuffer<float> norm_sums(stream, static_cast<std::size_t>(batch));
  fill_uniform(stream, {kSeed, Purpose::initial_states, 0}, 1, batch, energy->state_size(),
               states.data());
  const LangevinSteps run{
      .update = {.epsilon = 0.01F, .noise = {kSeed, Purpose::langevin, 0}, .step = 0},
      .steps = kStepsAtOnce};
  return median_seconds(stream, kRepetitions,
                        [&] { energy->langevin(run, 0, batch, states.data(), norm_sums.data()); }) /
         kStepsAtOnce;
}

/// The seconds from one iteration to the next, by the host's clock, the host doing what a training
/// run's does between log points.
double iteration_seconds(const Experiment& experiment, const Network& network, Precision precision,
                         const std::filesystem::path& plans) {
  const std::int64_t size = network.input().size();
  Buffer<float> images(static_cast<std::size_t>(kImages * size));
  fill_uniform({kSeed, Purpose::initial_states, 0}, 1, kImages, size, images.data());
  std::unique_ptr<DataBatches> data;
  if (experiment.network == "toy") {
    data = std::make_unique<ToyBatches>(kSeed, ToyDraw{.groups = 8, .sd = 0.15F, .radius = 1});
  } else {
    data = std::make_unique<ImageBatches>(kSeed, images.span(), size, 0.03F);
  }
  const LearnerSettings settings{.epsilon = experiment.epsilon,
                                 .steps = std::max(1, experiment.steps / kLeastSteps),
                                 .init = experiment.init,
                                 .batch_size = kBatch,
                                 .limits = {kFar, kFar, kFar, kFar}};
  LearnerState state{.theta = initial_parameters(network, kSeed),
                     .optimizer = Optimizer(experiment.optimizer, network.parameter_count()),
                     .bank = {}};
  if (experiment.init == persistent) {
    state.bank.emplace(kSeed, kImages, size);
  }
  const std::unique_ptr<Learner> learner =
      make_cuda_learner(network, settings, *data, {.precision = precision, .plan_cache = plans});
  learner->begin(state, kSeed);
  std::int64_t number = 0;
  const auto iterate = [&](int iterations) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < iterations; ++i) {
      learner->iterate({.number = ++number, .learning_rate = 0, .optimizer_rate = 0},
                       [] { return false; });
      learner->results(false);
    }
    learner->results(true);
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

void measure_limits([[maybe_unused]] const std::vector<Named>& precisions) {
  fmt::print(",\n \"limits\": {{");
#ifndef EBM_EMULATED_CUDA
  const CudaStream stream;
  for (const Named& precision : precisions) {
    fmt::print("\"{}\": {:.4g}, ", precision.name, peak_arithmetic(stream, precision.precision));
  }
  fmt::print("\"bandwidth\": {:.4g}", copy_bandwidth(stream));
#endif
  fmt::print("}}");
}

/// The toy network computes in float32 whatever the precision.
bool makes_a_difference(const std::string& network, const Named& precision,
                        const std::vector<Named>& precisions) {
  return network != "toy" || precision.name == precisions.front().name;
}

void measure(const std::vector<int>& batches, const std::vector<Named>& precisions,
             const std::filesystem::path& plans) {
  const CudaSurvey survey = survey_cuda();
  const DeviceChoice choice = choose_device("cuda", survey);
  open_cuda_device(choice.index);
  const auto device = std::ranges::find(survey.devices, choice.index, &CudaDevice::index);
  fmt::print("{{\n \"device\": \"{}\"", device->name);
  measure_limits(precisions);
  {
    List steps("steps");
    for (const std::string network_name : {"toy", "vanilla", "nonlocal"}) {
      const Network network =
          published_network(network_name, network_name == "toy" ? 2 : 3, kFeatures);
      const double operations = count_operations(network).langevin_step();
      for (const Named& precision : precisions) {
        for (const int batch : batches) {
          if (makes_a_difference(network_name, precision, precisions)) {
            steps.add(fmt::format(
                "\"network\": \"{}\", \"precision\": \"{}\", \"batch\": {}, "
                "\"seconds\": {:.4g}, \"operations\": {:.4g}",
                network_name, precision.name, batch,
                step_seconds(network, batch, precision.precision, plans), operations * batch));
          }
        }
      }
    }
  }
  {
    List iterations("iterations");
    for (const Experiment& experiment : kExperiments) {
      const Network network = published_network(experiment.network, experiment.channels, kFeatures);
      for (const Named& precision : precisions) {
        if (makes_a_difference(experiment.network, precision, precisions)) {
          iterations.add(
              fmt::format("\"experiment\": \"{}\", \"precision\": \"{}\", \"seconds\": {:.4g}, "
                          "\"seconds_of_steps\": {:.4g}",
                          experiment.name, precision.name,
                          iteration_seconds(experiment, network, precision.precision, plans),
                          step_seconds(network, kBatch, precision.precision, plans) *
                              std::max(1, experiment.steps / kLeastSteps)));
        }
      }
    }
  }
  fmt::print("\n}}\n");
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

}  // namespace
}  // namespace ebm

int main(int argc, char** argv) {
  try {
    const std::vector<int> batches = argc == 4 ? ebm::parse_batches(argv[1]) : std::vector<int>();
    const std::vector<ebm::Named> precisions =
        argc == 4 ? ebm::parse_precisions(argv[2]) : std::vector<ebm::Named>();
    if (batches.empty() || std::ranges::count(batches, 0) > 0 || precisions.empty()) {
      fmt::print(stderr, "usage: ebm_gpu_benchmark BATCH[,BATCH...] fp32|tf32|bf16[,...] PLANS\n");
      return 2;
    }
    ebm::measure(batches, precisions, argv[3]);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "ebm_gpu_benchmark: {}\n", error.what());
    return 1;
  }
}
