#include "tests/support/reference_algorithm_one.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "cuda/random/distinct_rows.cuh"
#include "cuda/random/normal.cuh"

namespace ebm {
namespace {

double normal(const RandomStream& stream, std::uint32_t step, std::size_t chain, std::size_t k) {
  const Words4 words =
      stream.words(step, static_cast<std::uint32_t>(chain), static_cast<std::uint32_t>(k / 4));
  return static_cast<double>(normals(words).v[k % 4]);
}

/// U(−1, 1).
double symmetric(const RandomStream& stream, std::size_t chain, std::size_t k) {
  const Words4 words =
      stream.words(0, static_cast<std::uint32_t>(chain), static_cast<std::uint32_t>(k / 4));
  return static_cast<double>(uniform_symmetric(words.v[k % 4]));
}

/// rows × size values, each of(row, component).
template <class Of>
std::vector<double> table(std::size_t rows, std::size_t size, const Of& of) {
  std::vector<double> values;
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t k = 0; k < size; ++k) {
      values.push_back(of(row, k));
    }
  }
  return values;
}

std::vector<double> gathered(std::span<const double> table, std::span<const std::size_t> rows,
                             std::size_t size) {
  std::vector<double> values;
  for (const std::size_t row : rows) {
    const auto from = table.subspan(row * size, size);
    values.insert(values.end(), from.begin(), from.end());
  }
  return values;
}

}  // namespace

ReferenceAlgorithmOne::ReferenceAlgorithmOne(const TrainConfig& config,
                                             std::span<const float> images)
    : config_(config),
      network_(make_network(config.network)),
      images_(images.begin(), images.end()),
      size_(static_cast<std::size_t>(network_.input().size())) {}

/// Weights and biases U(−1/√fan_in, 1/√fan_in), a bank of U(−1, 1).
ReferenceState ReferenceAlgorithmOne::start() const {
  ReferenceState state;
  std::uint32_t index = 0;
  for (const ParameterTensor& tensor : network_.parameters()) {
    const double bound =
        tensor.starts_at_zero ? 0 : 1 / std::sqrt(static_cast<double>(tensor.fan_in));
    const auto outputs = static_cast<std::size_t>(tensor.shape[0]);
    const std::vector<double> values =
        table(outputs, static_cast<std::size_t>(tensor.size) / outputs,
              [&](std::size_t o, std::size_t k) {
                return bound * symmetric(stream(Purpose::parameters, index), o, k);
              });
    state.theta.insert(state.theta.end(), values.begin(), values.end());
    ++index;
  }
  if (config_.optimizer.kind == OptimizerKind::adam) {
    state.first_moments.resize(state.theta.size());
    state.second_moments.resize(state.theta.size());
  }
  if (config_.langevin.init == InitialStates::persistent) {
    const std::size_t rows = config_.data.is_toy()
                                 ? static_cast<std::size_t>(config_.langevin.bank_size)
                                 : images_.size() / size_;
    state.bank = table(rows, size_, [&](std::size_t row, std::size_t k) {
      return symmetric(stream(Purpose::bank, 0), row, k);
    });
  }
  return state;
}

std::vector<std::size_t> ReferenceAlgorithmOne::drawn_rows(Purpose purpose, std::uint32_t t,
                                                           std::size_t rows) const {
  const DistinctRows permutation(stream(purpose, t), static_cast<std::uint32_t>(rows));
  std::vector<std::size_t> drawn;
  for (std::uint32_t i = 0; i < batch(); ++i) {
    drawn.push_back(permutation(i));
  }
  return drawn;
}

/// Toy data are fresh; images are distinct ones, with noise.
std::vector<double> ReferenceAlgorithmOne::drawn_data(std::uint32_t t, bool as_starts) const {
  const DataConfig& data = config_.data;
  if (data.is_toy()) {
    const RandomStream random = stream(as_starts ? Purpose::initial_rows : Purpose::toy_data, t);
    std::vector<double> points;
    for (std::uint32_t i = 0; i < batch(); ++i) {
      constexpr double kWords = 4294967296;
      const Words4 choice = random.words(0, i, 0);
      const double group = std::floor(choice.v[0] / kWords * data.groups);
      const double z0 = normal(random, 0, i, 4);
      const double z1 = normal(random, 0, i, 5);
      if (data.kind == DataKind::rings) {
        const double distance = data.radius * (group + 1) + data.sd * z0;
        const double angle = 2 * std::numbers::pi * (choice.v[1] / kWords);
        points.push_back(distance * std::cos(angle));
        points.push_back(distance * std::sin(angle));
      } else {
        const double angle = 2 * std::numbers::pi * group / data.groups;
        points.push_back(data.radius * std::cos(angle) + data.sd * z0);
        points.push_back(data.radius * std::sin(angle) + data.sd * z1);
      }
    }
    return points;
  }
  const std::vector<std::size_t> rows =
      drawn_rows(as_starts ? Purpose::initial_rows : Purpose::data_rows, t, images_.size() / size_);
  const RandomStream noise = stream(as_starts ? Purpose::initial_noise : Purpose::data_noise, t);
  return table(batch(), size_, [&](std::size_t i, std::size_t k) {
    return images_[rows[i] * size_ + k] + data.noise * normal(noise, 0, i, k);
  });
}

std::vector<double> ReferenceAlgorithmOne::drawn_starts(const ReferenceIteration& iteration,
                                                        std::uint32_t t,
                                                        const ReferenceState& state) const {
  const RandomStream random = stream(Purpose::initial_states, t);
  const double factor = config_.langevin.noise_init_factor;
  switch (config_.langevin.init) {
    case InitialStates::persistent:
      return gathered(state.bank, iteration.rows, size_);
    case InitialStates::data:
      return drawn_data(t, true);
    case InitialStates::uniform:
      return table(batch(), size_,
                   [&](std::size_t i, std::size_t k) { return factor * symmetric(random, i, k); });
    case InitialStates::gaussian:
      return table(batch(), size_,
                   [&](std::size_t i, std::size_t k) { return factor * normal(random, 0, i, k); });
  }
  return {};
}

/// x ← clamp(x − ∇ₓf(x) + ε·z), L times.
void ReferenceAlgorithmOne::run_chains(std::uint32_t t, std::span<const double> theta,
                                       ReferenceIteration& iteration) const {
  const LangevinConfig& langevin = config_.langevin;
  const RandomStream noise = stream(Purpose::langevin, t);
  const auto grow = [&] {
    std::ranges::transform(iteration.chains, iteration.magnitude, iteration.magnitude.begin(),
                           [](double x, double most) { return std::max(std::abs(x), most); });
  };
  iteration.magnitude.assign(iteration.chains.size(), 0);
  grow();
  double norms = 0;
  for (int step = 0; step < langevin.steps; ++step) {
    for (std::size_t chain = 0; chain < batch(); ++chain) {
      const std::span<double> x = std::span(iteration.chains).subspan(chain * size_, size_);
      const ReferenceEvaluation f = evaluate_reference_in_x(network_, theta, x);
      iteration.undecided += f.undecided.size();
      double squares = 0;
      for (std::size_t k = 0; k < size_; ++k) {
        squares += f.input_gradient[k] * f.input_gradient[k];
        x[k] += langevin.epsilon * normal(noise, static_cast<std::uint32_t>(step), chain, k) -
                f.input_gradient[k];
        if (langevin.clamp) {
          x[k] = std::clamp(x[k], langevin.clamp->first, langevin.clamp->second);
        }
      }
      norms += std::sqrt(squares);
      iteration.steepest = std::max(iteration.steepest, std::sqrt(squares));
    }
    grow();
  }
  iteration.r_s = norms / (langevin.steps * static_cast<double>(batch()));
}

void ReferenceAlgorithmOne::step_weights(std::uint32_t t, const ReferenceState& state,
                                         ReferenceIteration& iteration) const {
  ReferenceState& after = iteration.after;
  const std::vector<double>& gradient = iteration.gradient.value;
  if (config_.optimizer.kind == OptimizerKind::sgd) {
    for (std::size_t j = 0; j < gradient.size(); ++j) {
      after.theta[j] -= iteration.optimizer_rate * gradient[j];
    }
  } else {
    ReferenceAdam adam(static_cast<int>(t) - 1, state.first_moments, state.second_moments);
    adam.step(iteration.optimizer_rate, gradient, after.theta);
    after.first_moments = adam.first_moments();
    after.second_moments = adam.second_moments();
  }
}

ReferenceIteration ReferenceAlgorithmOne::iterate(std::uint32_t t,
                                                  const ReferenceState& state) const {
  const OptimizerConfig& optimizer = config_.optimizer;
  const double epsilon = config_.langevin.epsilon;
  ReferenceIteration iteration;
  iteration.after = state;
  iteration.learning_rate = optimizer.lr;
  for (std::uint32_t before = 1; before < t; ++before) {
    iteration.learning_rate =
        std::max(optimizer.lr_min, iteration.learning_rate * optimizer.lr_decay);
  }
  const bool scaled = optimizer.kind == OptimizerKind::sgd && epsilon > 0;
  iteration.optimizer_rate = iteration.learning_rate * (scaled ? epsilon * epsilon / 2 : 1);

  iteration.data = drawn_data(t, false);
  if (!state.bank.empty()) {
    iteration.rows = drawn_rows(Purpose::bank_rows, t, state.bank.size() / size_);
  }
  iteration.chains = drawn_starts(iteration, t, state);
  run_chains(t, state.theta, iteration);
  for (std::size_t i = 0; i < iteration.rows.size(); ++i) {
    std::copy_n(
        iteration.chains.begin() + static_cast<std::ptrdiff_t>(i * size_), size_,
        iteration.after.bank.begin() + static_cast<std::ptrdiff_t>(iteration.rows[i] * size_));
  }
  iteration.gradient =
      ReferenceEnergyDifference(network_, epsilon, iteration.data, iteration.chains)
          .at(state.theta);
  iteration.undecided += iteration.gradient.undecided;
  step_weights(t, state, iteration);
  return iteration;
}

}  // namespace ebm
