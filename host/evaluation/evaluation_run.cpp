#include "host/evaluation/evaluation_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string_view>
#include <system_error>
#include <utility>

#include "cuda/base/atomic_file.h"
#include "cuda/base/errors.h"
#include "cuda/diagnostics/moments.h"
#include "cuda/kernels/random_states.cuh"
#include "cuda/mcmc/initial_states.h"
#include "cuda/nn/host_states.h"
#include "host/data/make_batches.h"
#include "host/evaluation/evaluation_json.h"
#include "host/evaluation/evaluation_plots.h"
#include "host/evaluation/training_record.h"
#include "host/files/npy.h"
#include "host/output/png_grid.h"
#include "host/training/progress.h"

namespace ebm {
namespace {

/// Numbers of the random streams of sampling, of which annealing has the first few.
constexpr std::uint32_t kFromData = 1000;
constexpr std::uint32_t kFromNoise = 1001;
constexpr std::uint32_t kFromBank = 1002;
constexpr std::uint32_t kReleased = 1003;
constexpr std::uint32_t kShortRun = 1004;
constexpr std::uint32_t kStepSize = 1005;  // and one more for every round

bool is_there(const std::filesystem::path& file) {
  std::error_code none;
  return std::filesystem::exists(file, none);
}

std::unique_ptr<Energy> make_energy_of(const EvaluateConfig& config, const Checkpoint& checkpoint,
                                       const ComputeDevice& device, RunLog& log) {
  const EvaluateSection& evaluate = config.evaluate;
  const std::int64_t chains = std::max(evaluate.chains, evaluate.annealing_chains);
  // Chains of all starts stay; annealing's come and go.
  const std::size_t samplers =
      4 * recorded_sampler_bytes(true, evaluate.chains, checkpoint.network.input().size()) +
      recorded_sampler_bytes(true, evaluate.annealing_chains, checkpoint.network.input().size());
  log.info(describe_memory(device, checkpoint.network, chains, samplers));
  std::unique_ptr<Energy> energy = make_energy(device, checkpoint.network, chains, samplers);
  HostStates(*energy).set_parameters(checkpoint.parameters.span());
  return energy;
}

PrincipalComponents components_of(std::span<const float> data, const Shape& shape,
                                  std::uint64_t seed) {
  constexpr std::int64_t kComponents = 64;
  return PrincipalComponents::fit(data, shape.size(), std::min(shape.size(), kComponents), seed);
}

std::vector<float> bank_in(const std::filesystem::path& folder, const Shape& shape) {
  const std::filesystem::path file = folder / "bank.npy";
  if (!is_there(file)) {
    return {};
  }
  NpyArray bank = read_npy(file);
  if (std::ssize(bank.values) % shape.size() != 0) {
    throw InputFileError(
        fmt::format("{}: does not hold states of {} values", file.string(), shape.size()));
  }
  return std::move(bank.values);
}

/// Two sets of chains beside each other, rows of a value a chain.
std::vector<float> beside(std::span<const float> a, std::span<const float> b, std::size_t chains) {
  std::vector<float> both;
  both.reserve(a.size() + b.size());
  for (std::size_t row = 0; row < std::min(a.size(), b.size()); row += chains) {
    for (const std::span<const float> part : {a, b}) {
      both.insert(both.end(), part.begin() + static_cast<std::ptrdiff_t>(row),
                  part.begin() + static_cast<std::ptrdiff_t>(row + chains));
    }
  }
  return both;
}

}  // namespace

EvaluationRun::EvaluationRun(const EvaluateConfig& config, const Checkpoint& checkpoint,
                             std::filesystem::path run, const RunFolder& folder, RunLog& log,
                             StopRequest stop, const ComputeDevice& device)
    : config_(config),
      run_(std::move(run)),
      folder_(folder.root()),
      log_(log),
      stop_(std::move(stop)),
      shape_(checkpoint.network.input()),
      energy_(make_energy_of(config, checkpoint, device, log)),
      data_(load_evaluation_data(config, energy_->queue(), log)),
      components_(components_of(data_.train, shape_, config.seed)),
      space_(config, device, components_, shape_),
      bank_(bank_in(folder_, shape_)) {
  const Support support = choose_support(config, data_.train);
  const auto temperature = static_cast<float>(config.temperature());
  box_ = {.temperature = temperature, .low = support.box.first, .high = support.box.second};
  log_.info(fmt::format("{}: network {}, iteration {}; U = f/{:.4g}, in [{:g}, {:g}]: {}",
                        config.evaluate.checkpoint, checkpoint.network.name(),
                        checkpoint.info.iteration, temperature, box_.low, box_.high, support.why));
  log_z_ = std::make_unique<LogPartitionEstimate>(
      folder_, *energy_, box_, config.evaluate.annealing_chains, config.evaluate.annealing_steps,
      config.seed, stop_, log);
  directions_ = random_directions(config.seed, shape_.size(), config.evaluate.projections);
  found_.name = config.name;
  found_.network = config.evaluate.checkpoint;
  found_.iteration = checkpoint.info.iteration;
  found_.temperature = config.temperature();
  found_.dimensions = shape_.size();
  found_.box = support.box;
  found_.box_reason = support.why;
}

std::optional<Verdict> EvaluationRun::run() {
  try {
    return evaluate();
  } catch (const AnnealingStopped&) {
    return std::nullopt;
  }
}

std::optional<Verdict> EvaluationRun::evaluate() {
  if (!run_long_chains() || !release_from_box()) {
    return std::nullopt;
  }
  log_z_->run(chains_of("data").states_there(), config_.evaluate.chains);
  if (!run_short_chains()) {
    return std::nullopt;
  }
  found_.log_z = log_z_->result();
  found_.no_log_z = log_z_->failure();
  describe_chains();
  measure_likelihood();
  compare_with_data();
  if (!run_.empty()) {
    found_.record = read_training_record(run_ / "diagnostics.csv", found_.iteration);
  }
  const Verdict verdict = judge(found_);
  write_file_atomically(folder_ / "evaluation.json", to_json(found_, verdict));
  draw_plots();
  return verdict;
}

/// MALA's step size is the one that annealing found for exp(−U) itself.
double EvaluationRun::choose_step_size() {
  const EvaluateSection& evaluate = config_.evaluate;
  if (evaluate.epsilon > 0 || !evaluate.mala) {
    return evaluate.epsilon > 0 ? evaluate.epsilon : config_.langevin.epsilon;
  }
  return log_z_->path() ? static_cast<double>(log_z_->path()->steps.back().epsilon)
                        : step_size_near_data();
}

/// Where there is no annealing: what chains that have just started at data accept 57% of.
double EvaluationRun::step_size_near_data() {
  constexpr int kRounds = 60;
  constexpr int kSteps = 5;
  constexpr double kAcceptance = 0.57;
  const std::int64_t chains = std::min<std::int64_t>(config_.evaluate.chains, 40);
  Array<float> states(energy_->queue(), chains * shape_.size());
  data_.batches->draw(DataUse::sampling, 0, chains, states.data());
  double epsilon = config_.langevin.epsilon > 0 ? config_.langevin.epsilon : 0.1;
  for (int round = 0; round < kRounds && !stop_(); ++round) {
    RecordedSampler sampler(*energy_,
                            {.mala = true,
                             .epsilon = static_cast<float>(epsilon),
                             .temperature = box_.temperature,
                             .seed = config_.seed,
                             .stream = kStepSize + static_cast<std::uint32_t>(round),
                             .clamp = std::pair(box_.low, box_.high)},
                            chains);
    copy(energy_->queue(), states.data(), states.size(), sampler.states());
    sampler.run(kSteps);
    copy(energy_->queue(), sampler.states(), states.size(), states.data());
    energy_->queue().wait();
    epsilon *= std::exp(moments(sampler.accepted()).mean - kAcceptance);
  }
  return epsilon;
}

bool EvaluationRun::run_long_chains() {
  const std::int64_t chains = config_.evaluate.chains;
  const Queue& queue = energy_->queue();
  epsilon_ = choose_step_size();
  if (stop_()) {
    return false;
  }
  const auto from_data = [&](float* states) {
    data_.batches->draw(DataUse::sampling, 0, chains, states);
  };
  const auto from_noise = [&](float* states) {
    fill_box(queue, {config_.seed, Purpose::sampling_states, kFromNoise}, box_.low, box_.high,
             chains, shape_.size(), states);
  };
  const auto from_bank = [&](float* states) {
    fill(std::span(bank_).first(static_cast<std::size_t>(chains * shape_.size())), states);
  };
  return run_start("data", "chains from data", kFromData, from_data) &&
         run_start("noise", "chains from noise", kFromNoise, from_noise) &&
         (bank_.empty() || run_start("bank", "chains from the bank", kFromBank, from_bank));
}

LongChainSettings EvaluationRun::chain_settings() const {
  const EvaluateSection& evaluate = config_.evaluate;
  return {.sampler = {.mala = evaluate.mala,
                      .epsilon = static_cast<float>(epsilon_),
                      .temperature = box_.temperature,
                      .seed = config_.seed,
                      .clamp = std::pair(box_.low, box_.high)},
          .chains = evaluate.chains,
          .steps = evaluate.steps,
          .every = evaluate.every,
          .log_every = config_.log.every,
          .directions = directions_};
}

bool EvaluationRun::run_start(const std::string& name, const std::string& what,
                              std::uint32_t stream, const LongChains::Start& start) {
  starts_.push_back({name, std::make_unique<LongChains>(folder_, name, what, chain_settings(),
                                                        stream, *energy_, start, log_)});
  if (!starts_.back().chains->run(stop_)) {
    return false;
  }
  write_states(name, starts_.back().chains->states());
  return true;
}

/// Without walls, from where the chains from data are.
bool EvaluationRun::release_from_box() {
  LongChainSettings settings = chain_settings();
  settings.sampler.clamp.reset();
  settings.steps = settings.steps / 4 + 1;
  const auto start = [&](float* states) { fill(chains_of("data").states(), states); };
  LongChains released(folder_, "released", "the same without walls", settings, kReleased, *energy_,
                      start, log_);
  try {
    if (!released.run(stop_)) {
      return false;
    }
  } catch (const Divergence& error) {
    log_.warn(fmt::format("{}: without walls the chains have no end", error.what()));
    found_.left_box = 1;
    return true;
  }
  const std::span<const float> states = released.states();
  write_states("released", states);
  const auto size = static_cast<std::size_t>(shape_.size());
  std::int64_t outside = 0;
  for (std::size_t first = 0; first < states.size(); first += size) {
    const auto is_outside = [this](float x) { return !(x >= box_.low && x <= box_.high); };
    outside += std::ranges::any_of(states.subspan(first, size), is_outside) ? 1 : 0;
  }
  found_.left_box = static_cast<double>(outside) / static_cast<double>(config_.evaluate.chains);
  return true;
}

/// Chains as training's, by its steps.
bool EvaluationRun::run_short_chains() {
  const LangevinConfig& langevin = config_.langevin;
  const std::int64_t chains = config_.evaluate.chains;
  if (langevin.init == InitialStates::persistent && bank_.empty()) {
    log_.info("no short runs: training's start from its bank, which is not there");
    return true;
  }
  const std::filesystem::path file = folder_ / "states_short_run.npy";
  if (is_there(file)) {
    short_run_ = read_npy(file).values;
    return true;
  }
  const auto wall = [](double x) { return static_cast<float>(x); };
  RecordedSampler sampler(
      *energy_,
      {.epsilon = static_cast<float>(langevin.epsilon),
       .temperature = box_.temperature,
       .seed = config_.seed,
       .stream = kShortRun,
       .clamp = langevin.clamp ? std::optional(std::pair(wall(langevin.clamp->first),
                                                         wall(langevin.clamp->second)))
                               : std::nullopt},
      chains);
  if (langevin.init == InitialStates::persistent) {
    fill(std::span(bank_).first(static_cast<std::size_t>(chains * shape_.size())),
         sampler.states());
  } else {
    const Starts starts{.init = langevin.init,
                        .noise_factor = static_cast<float>(langevin.noise_init_factor),
                        .seed = config_.seed,
                        .data = data_.batches.get()};
    starts.draw(energy_->queue(), DataUse::sampling, kShortRun, chains, sampler.states());
  }
  log_.info(fmt::format("short runs: {} chains, {} steps as in training", grouped(chains),
                        grouped(langevin.steps)));
  while (sampler.steps() < langevin.steps) {
    if (stop_()) {
      return false;
    }
    sampler.run(static_cast<int>(
        std::min<std::int64_t>(RecordedSampler::kStepsAtOnce, langevin.steps - sampler.steps())));
  }
  const std::span<const float> states = sampler.read_states();
  short_run_.assign(states.begin(), states.end());
  write_states("short_run", short_run_);
  return true;
}

void EvaluationRun::describe_chains() {
  const std::int64_t chains = config_.evaluate.chains;
  for (const Start& start : starts_) {
    const std::vector<float> energies = start.chains->energies();
    const Moments of_u = moments(std::span<const float>(energies));
    found_.starts.push_back({.name = start.name,
                             .mean = of_u.mean,
                             .deviation = of_u.deviation,
                             .energy = mixing(energies, chains, energy_->queue())});
  }
  const LongChains& data = chains_of("data");
  const LongChains& noise = chains_of("noise");
  const auto width = static_cast<std::size_t>(chains);
  const Queue& queue = energy_->queue();
  const auto look_at = [&](const std::string& quantity, const std::vector<float>& draws) {
    const double rhat = nested_rhat(draws, 2 * chains, 2, queue);
    if (found_.worst_quantity.empty() || !(rhat <= found_.nested_rhat)) {
      found_.nested_rhat = rhat;
      found_.across = mixing(draws, 2 * chains, queue);
      found_.worst_quantity = quantity;
    }
  };
  look_at("U", beside(data.energies(), noise.energies(), width));
  for (std::size_t i = 0; i < static_cast<std::size_t>(config_.evaluate.projections); ++i) {
    look_at(fmt::format("projection {}", i + 1),
            beside(data.projections(i), noise.projections(i), width));
  }
}

void EvaluationRun::measure_likelihood() {
  const auto size = static_cast<std::size_t>(shape_.size());
  HostStates host(*energy_);
  const auto energy_of = [&](const std::vector<float>& f) {
    std::vector<float> u(f.size());
    std::ranges::transform(f, u.begin(), [this](float value) { return value / box_.temperature; });
    const Moments of_u = moments(std::span<const float>(u));
    return DataEnergy{
        .states = std::ssize(u), .mean = of_u.mean, .error = of_u.standard_error(u.size())};
  };
  std::vector<float> f(data_.train.size() / size);
  std::vector<float> gradients(data_.train.size());
  host.energies_and_gradients(data_.train, f, gradients);
  found_.train = energy_of(f);
  if (!data_.held_out.empty()) {
    f.resize(data_.held_out.size() / size);
    host.energies(data_.held_out, f);
    found_.held_out = energy_of(f);
  }

  const std::vector<double> densities =
      components_.log_densities(data_.held_out.empty() ? data_.train : data_.held_out);
  found_.gaussian =
      std::reduce(densities.begin(), densities.end()) / static_cast<double>(densities.size());
  double sum = 0;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    sum += (static_cast<double>(data_.train[i]) - components_.mean()[i % size]) *
           static_cast<double>(gradients[i]);
  }
  found_.virial =
      sum / static_cast<double>(gradients.size()) / static_cast<double>(box_.temperature);
  if (config_.data.is_toy()) {
    measure_kl();
  }
}

/// Of toys, on a grid over the smallest square around 0 that holds the box.
void EvaluationRun::measure_kl() {
  constexpr int kResolution = 500;
  const std::vector<float> axis =
      grid_axis(static_cast<double>(std::max(-box_.low, box_.high)), kResolution);
  const std::vector<float> truth = true_density(toy_density(config_.data), axis);
  std::vector<float> f(truth.size());
  HostStates(*energy_).energies(grid_states(axis), f);
  found_.kl_quadrature = kl_divergence(truth, f, config_.langevin.epsilon);
  if (!found_.log_z) {
    return;
  }
  // Σ p log p + Σ p U + log Z, of the truth on the grid.
  const double area = std::pow(static_cast<double>(axis[1]) - static_cast<double>(axis[0]), 2);
  const double whole = area * std::accumulate(truth.begin(), truth.end(), 0.0);
  double sum = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    const double p = static_cast<double>(truth[i]) / whole;
    if (p > 0) {
      const double u = static_cast<double>(f[i]) / static_cast<double>(box_.temperature);
      sum += p * (std::log(p) + u) * area;
    }
  }
  found_.kl = sum + (found_.log_z->lower + found_.log_z->upper) / 2;
}

void EvaluationRun::compare_with_data() {
  log_.info("comparing samples with data");
  const std::vector<float> reference = space_.features_of(data_.train);
  const auto add = [&](const std::string& name, std::span<const float> states) {
    if (states.empty()) {
      return;
    }
    found_.sets.push_back(
        {.name = name,
         .states = std::ssize(states) / shape_.size(),
         .distances = sample_distances(reference, space_.features_of(states), space_.size())});
  };
  add("held_out", data_.held_out);
  add("short_run", short_run_);
  add("bank", bank_);
  add("data_chains", chains_of("data").states());
  add("noise_chains", chains_of("noise").states());
}

LongChains& EvaluationRun::chains_of(const std::string& name) {
  return *std::ranges::find(starts_, name, &Start::name)->chains;
}

void EvaluationRun::fill(std::span<const float> from, float* states) {
  copy(energy_->queue(), from.data(), from.size(), states);
  energy_->queue().wait();
}

void EvaluationRun::write_states(const std::string& name, std::span<const float> states) {
  const std::int64_t count = std::ssize(states) / shape_.size();
  const std::array<std::int64_t, 4> shape{count, shape_.channels, shape_.height, shape_.width};
  write_npy(folder_ / fmt::format("states_{}.npy", name), shape, states);
  if (shape_.height > 1) {
    write_png_grid(folder_ / fmt::format("x_{}.png", name), states, static_cast<int>(count),
                   shape_.channels, shape_.height, shape_.width);
  }
}

void EvaluationRun::draw_plots() {
  std::vector<NamedEnergyLine> lines;
  for (const Start& start : starts_) {
    lines.push_back({start.name, start.chains->energy_line()});
  }
  PlotQueue plots([this](const std::string& reason) { log_.warn(reason); });
  write_energy_plot(folder_, config_.name, lines, found_.train.mean, plots);
  if (found_.log_z) {
    write_log_weight_plot(folder_, config_.name, log_z_->forward_estimates(),
                          log_z_->reverse_estimates(), *found_.log_z, plots);
  }
}

}  // namespace ebm
