// Every published network against PyTorch's float64 numbers, in two steps: a float64 reference
// meets all of them, and the float32 program meets them wherever float32 decides the result. Where
// it does not (a branch nearer than rounding, a sum that cancels to zero), the reference shows that
// it does not, and says what the program must give instead. No tolerance is widened.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "cuda/learning/optimizer.h"
#include "cuda/mcmc/recorded_sampler.h"
#include "cuda/nn/energy.h"
#include "tests/cuda/learning/energy_difference.h"
#include "tests/support/goldens.h"
#include "tests/support/reference_learning.h"
#include "tests/support/reference_network.h"
#include "tests/support/tested_energy.h"

namespace ebm {
namespace {

// What float32 is held to: energies, gradients, d_s and weights after an SGD step; and states after
// Langevin steps and weights after Adam steps, where rounding feeds back.
constexpr double kOnce = 1e-5;
constexpr double kRepeated = 1e-4;
// What float64 is held to: the goldens are stored as float32, 6e-8 apart.
constexpr double kStored = 1e-6;

constexpr double kEpsilon = std::numeric_limits<float>::epsilon();
// No component of a float32 gradient errs by more roundings than this.
constexpr double kRoundings = 8;
// A component's sign is decided when it is this many roundings from zero.
constexpr double kDecided = 16;

struct Case {
  std::string stem;
  std::string network;
  int channels;

  friend void PrintTo(const Case& c, std::ostream* out) { *out << c.stem; }
};

/// An optimizer of a test's vectors.
class Steps {
 public:
  Steps(OptimizerState::Kind kind, std::int64_t parameters)
      : state_(kind, parameters), optimizer_(Queue(), state_) {}

  void step(double rate, const std::vector<float>& gradient, std::vector<float>& theta) {
    optimizer_.step(rate, std::ssize(theta), gradient.data(), theta.data());
  }

 private:
  OptimizerState state_;
  Optimizer optimizer_;
};

class NetworkGolden : public testing::TestWithParam<Case> {
 protected:
  NetworkGolden()
      : file_(golden_file(GetParam().stem)),
        prefix_(file_.metadata.at("tag") + "/" + GetParam().stem),
        network_(published_network(GetParam().network, GetParam().channels, 32)),
        theta_(golden_parameters(network_, prefix_)),
        batch_(std::stoi(file_.metadata.at("batch"))),
        energy_(make_tested_energy(network_, batch_)),
        size_(batch_ * network_.input().size()),
        reference_(network_, number("epsilon"), hashed(prefix_ + "/data", size_),
                   hashed(prefix_ + "/model", size_)) {
    energy_->set_parameters(theta_);
  }

  /// Prints the worst error of every kind of golden.
  ~NetworkGolden() override {
    for (const auto& [kind, worst] : worst_) {
      fmt::print("  {:14} worst error {:.1e} of {:.0e}  {}\n", kind, worst.error, worst.bound,
                 worst.name);
    }
  }

  double number(const std::string& key) const { return std::stod(file_.metadata.at(key)); }
  int steps(const std::string& key) const { return std::stoi(file_.metadata.at(key)); }
  std::vector<double> golden(const std::string& name) const {
    return doubles(file_.at(name).values);
  }
  std::vector<float> input(const std::string& name) const {
    return hashed_floats(prefix_ + "/" + name, size_);
  }
  std::vector<float> noise() const {
    return hashed_floats(prefix_ + "/noise", steps("langevin_steps") * size_, std::sqrt(3.0));
  }
  template <class Values>
  auto part(const ParameterTensor& tensor, const Values& theta) const {
    return std::span(theta).subspan(static_cast<std::size_t>(tensor.offset),
                                    static_cast<std::size_t>(tensor.size));
  }

  /// kOnce; but where oneDNN has no AVX-512 it sums in another order, and so does a device,
  /// whatever the processor beside it. There a value that is what is left of `cancellation` times
  /// as much may be off by the roundings of that.
  static double once(double cancellation) {
    const double cancelled = std::max(kOnce, kRoundings * kEpsilon * cancellation);
#ifdef EBM_TEST_ON_CUDA
    return cancelled;
#else
    const auto isa = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
    const auto avx512 = static_cast<unsigned>(dnnl::cpu_isa::avx512_core);
    return (isa & avx512) == avx512 ? kOnce : cancelled;
#endif
  }
  /// Σ|terms| of the last layer's sum: what energies, or their difference, are left of.
  double last_layer(std::span<const double> gradient_magnitude) const {
    double sum = 0;
    const auto& tensors = network_.parameters();
    for (const ParameterTensor& tensor : std::span(tensors).last(2)) {
      const auto weights = part(tensor, theta_);
      const auto inputs = part(tensor, gradient_magnitude);
      for (std::size_t k = 0; k < weights.size(); ++k) {
        sum += std::abs(static_cast<double>(weights[k])) * inputs[k];
      }
    }
    return sum;
  }

  void expect_error_below(double bound, double error, const std::string& kind,
                          const std::string& name = {}) {
    EXPECT_LT(error, bound) << kind << " " << name;
    Worst& worst = worst_[kind];
    if (error >= worst.error) {
      worst = {error, bound, name};
    }
  }

  /// Weights, relative to themselves. `program` and `exact` say how the program's weights differ
  /// from the golden's for a reason that the reference has computed; both empty for none.
  void expect_golden_weights(const std::string& kind, std::span<const double> weights, double bound,
                             std::span<const double> program = {},
                             std::span<const double> exact = {}) {
    for (const ParameterTensor& tensor : network_.parameters()) {
      const std::span<const double> mine = part(tensor, weights);
      expect_error_below(bound,
                         sample_error(sampled(mine), expected(kind, tensor, program, exact), mine),
                         kind, tensor.name);
    }
  }

  /// The gradient of d_s, every tensor relative to itself; but if exact arithmetic gives zero, to
  /// what cancels, and then within rounding.
  void expect_golden_gradient(std::span<const double> gradient, double bound, double rounding,
                              const ReferenceGradient& exact,
                              std::span<const double> program = {}) {
    for (const ParameterTensor& tensor : network_.parameters()) {
      const bool zero = exact.vanishes(tensor);
      const double error = sample_error(
          sampled(part(tensor, gradient)), expected("grad", tensor, program, exact.value),
          zero ? part(tensor, exact.magnitude) : part(tensor, exact.value));
      const double cancels =
          norm_of(part(tensor, exact.magnitude)) / norm_of(part(tensor, exact.value));
      expect_error_below(zero             ? rounding
                         : bound == kOnce ? once(cancels)
                                          : bound,
                         error, zero ? "grad (zero)" : "grad", tensor.name);
    }
  }

  /// ∂d_s/∂θ as the program computes it.
  std::vector<float> program_gradient(double* d_s = nullptr) {
    std::vector<float> gradient(theta_.size());
    const double d = energy_difference(*energy_, static_cast<float>(number("epsilon")),
                                       input("data"), input("model"), gradient);
    if (d_s != nullptr) {
      *d_s = d;
    }
    return gradient;
  }

  /// Every tensor of a gradient, whole, against the reference that takes the same branches.
  void expect_reference_gradient(std::span<const float> gradient,
                                 const ReferenceGradient& reference) {
    for (const ParameterTensor& tensor : network_.parameters()) {
      if (!reference.vanishes(tensor)) {
        expect_error_below(once(norm_of(part(tensor, reference.magnitude)) /
                                norm_of(part(tensor, reference.value))),
                           relative_error(part(tensor, gradient), part(tensor, reference.value)),
                           "all of grad", tensor.name);
      }
    }
    fmt::print("  {} branches undecided in float32, {} taken the other way\n", reference.undecided,
               reference.taken_other_way);
  }

  /// One chain's exact log ratio of a MALA step, and the sum of the absolute values in it.
  struct MalaScale {
    double log_ratio = 0;
    double cancels = 0;
  };
  MalaScale mala_scale(std::span<const double> theta, std::span<const float> x,
                       std::span<const float> momentum) const {
    const double temperature = number("mala_temperature");
    const double epsilon = number("mala_epsilon");
    std::vector<double> state = doubles(x);
    const ReferenceEvaluation before = evaluate_reference_in_x(network_, theta, state);
    for (std::size_t i = 0; i < state.size(); ++i) {
      state[i] += epsilon * static_cast<double>(momentum[i]) -
                  epsilon * epsilon / 2 * before.input_gradient[i] / temperature;
    }
    const ReferenceEvaluation after = evaluate_reference_in_x(network_, theta, state);
    MalaScale ratio{.log_ratio = (before.energy - after.energy) / temperature,
                    .cancels = (std::abs(before.energy) + std::abs(after.energy)) / temperature};
    for (std::size_t i = 0; i < state.size(); ++i) {
      const auto p = static_cast<double>(momentum[i]);
      const double end =
          p - epsilon / 2 * (before.input_gradient[i] + after.input_gradient[i]) / temperature;
      ratio.log_ratio += (p * p - end * end) / 2;
      ratio.cancels += std::abs(p * p - end * end) / 2;
    }
    return ratio;
  }

  /// Every single value, in roundings.
  void expect_rounding_errors(std::span<const float> gradient, const ReferenceGradient& reference) {
    for (const ParameterTensor& tensor : network_.parameters()) {
      const std::span<const float> mine = part(tensor, gradient);
      const std::span<const double> exact = part(tensor, reference.value);
      const std::span<const double> magnitude = part(tensor, reference.magnitude);
      double worst = 0;
      for (std::size_t j = 0; j < mine.size(); ++j) {
        const double error = std::abs(static_cast<double>(mine[j]) - exact[j]);
        if (error > 0) {  // a sum of zeros has no error, and no magnitude
          worst = std::max(worst, error / (kEpsilon * magnitude[j]));
        }
      }
      expect_error_below(kRoundings, worst, "roundings", tensor.name);
    }
  }

  TensorFile file_;
  std::string prefix_;
  Network network_;
  std::vector<float> theta_;
  std::int64_t batch_;
  std::unique_ptr<HostEnergy> energy_;
  std::int64_t size_;
  ReferenceEnergyDifference reference_;

 private:
  struct Worst {
    double error = 0;
    double bound = 0;
    std::string name;
  };

  /// The golden sample of a tensor, plus the computed change from `exact` to `program`.
  std::vector<double> expected(const std::string& kind, const ParameterTensor& tensor,
                               std::span<const double> program,
                               std::span<const double> exact) const {
    std::vector<double> sample = golden(kind + "." + tensor.name);
    if (!program.empty()) {
      const std::vector<double> from = sampled(part(tensor, exact));
      const std::vector<double> to = sampled(part(tensor, program));
      for (std::size_t i = 0; i < sample.size(); ++i) {
        sample[i] += to[i] - from[i];
      }
    }
    return sample;
  }

  std::map<std::string, Worst> worst_;
};

TEST_P(NetworkGolden, ReferenceEnergyAndInputGradient) {
  const std::vector<double> x = doubles(input("x"));
  const std::vector<double> theta = doubles(theta_);
  const auto size = static_cast<std::size_t>(network_.input().size());
  std::vector<double> f;
  std::vector<double> gradient;
  for (std::size_t first = 0; first < x.size(); first += size) {
    const ReferenceEvaluation chain =
        evaluate_reference_in_x(network_, theta, std::span(x).subspan(first, size));
    f.push_back(chain.energy);
    gradient.insert(gradient.end(), chain.input_gradient.begin(), chain.input_gradient.end());
  }
  expect_error_below(kStored, relative_error(f, golden("energy")), "energy");
  expect_error_below(kStored, relative_error(gradient, golden("grad_x")), "grad_x");
}

TEST_P(NetworkGolden, ReferenceLangevinSteps) {
  std::vector<double> x = doubles(input("x"));
  const std::vector<double> theta = doubles(theta_);
  const std::vector<float> z = noise();
  const auto size = static_cast<std::size_t>(network_.input().size());
  double r = 0;
  for (int step = 0; step < steps("langevin_steps"); ++step) {
    for (std::size_t first = 0; first < x.size(); first += size) {
      const std::span<double> state = std::span(x).subspan(first, size);
      const ReferenceEvaluation chain = evaluate_reference_in_x(network_, theta, state);
      r += norm_of(chain.input_gradient) / static_cast<double>(steps("langevin_steps") * batch_);
      const std::size_t at = static_cast<std::size_t>(step) * x.size() + first;
      for (std::size_t i = 0; i < size; ++i) {
        state[i] += number("epsilon") * static_cast<double>(z[at + i]) - chain.input_gradient[i];
      }
    }
  }
  expect_error_below(kStored, relative_error(x, golden("langevin_x")), "langevin_x");
  expect_error_below(kStored, relative_error(std::vector<double>{r}, golden("langevin_r")),
                     "langevin_r");
}

TEST_P(NetworkGolden, ReferenceEnergyDifferenceAndSgdStep) {
  std::vector<double> theta = doubles(theta_);
  const ReferenceGradient exact = reference_.at(theta);
  expect_error_below(kStored, relative_error(std::vector<double>{exact.d_s}, golden("d_s")), "d_s");
  expect_golden_gradient(exact.value, kStored, std::numeric_limits<double>::epsilon(), exact);
  for (std::size_t j = 0; j < theta.size(); ++j) {
    theta[j] -= number("sgd_lr") * exact.value[j];
  }
  expect_golden_weights("sgd", theta, kStored);
}

// Both Adams on the same exact gradients: the program's arithmetic, with nothing excluded.
TEST_P(NetworkGolden, AdamStepsOnReferenceGradients) {
  std::vector<double> exact_theta = doubles(theta_);
  ReferenceAdam exact_adam(theta_.size());
  Steps adam(OptimizerState::Kind::adam, network_.parameter_count());
  for (int step = 0; step < steps("adam_steps"); ++step) {
    const std::vector<double> gradient = reference_.at(exact_theta).value;
    exact_adam.step(number("adam_lr"), gradient, exact_theta);
    adam.step(number("adam_lr"), std::vector<float>(gradient.begin(), gradient.end()), theta_);
  }
  expect_golden_weights("adam", doubles(theta_), kRepeated);
  expect_golden_weights("adam", exact_theta, kStored);
}

TEST_P(NetworkGolden, EnergyAndInputGradient) {
  const std::vector<float> x = input("x");
  std::vector<float> f(static_cast<std::size_t>(batch_));
  std::vector<float> gradient(x.size());
  energy_->energies_and_gradients(x, f, gradient);
  const std::vector<double> state = doubles(std::span(x).first(x.size() / f.size()));
  const ReferenceEvaluation first = evaluate_reference(network_, doubles(theta_), state);
  const double cancellation = last_layer(first.parameter_magnitude) / std::abs(first.energy);
  expect_error_below(once(cancellation), relative_error(f, golden("energy")), "energy");
  expect_error_below(kOnce, relative_error(gradient, golden("grad_x")), "grad_x");
  std::vector<float> alone(f.size());
  energy_->energies(x, alone);
  EXPECT_EQ(alone, f);
}

TEST_P(NetworkGolden, LangevinSteps) {
  std::vector<float> x = input("x");
  const std::vector<float> z = noise();
  const ChainRun run{.update = {.epsilon = static_cast<float>(number("epsilon"))},
                     .steps = steps("langevin_steps")};
  std::vector<float> norm_sums(static_cast<std::size_t>(batch_));
  energy_->langevin(run, x, norm_sums, z);
  expect_error_below(kRepeated, relative_error(x, golden("langevin_x")), "langevin_x");
  const double r = sum_of(doubles(norm_sums)) / static_cast<double>(run.steps * batch_);
  expect_error_below(kRepeated, relative_error(std::vector<double>{r}, golden("langevin_r")),
                     "langevin_r");
}

// The log ratio is a small difference of large energies, so its error is relative to what cancels:
// |U(x)| + |U(x')| + Σᵢ |½pᵢ² − ½p'ᵢ²|.
TEST_P(NetworkGolden, MalaStep) {
  const auto temperature = static_cast<float>(number("mala_temperature"));
  const auto epsilon = static_cast<float>(number("mala_epsilon"));
  RecordedSampler sampler(energy_->energy(),
                          {.mala = true, .epsilon = epsilon, .temperature = temperature}, batch_);
  const std::vector<float> x = input("x");
  copy(energy_->energy().queue(), x.data(), x.size(), sampler.states());
  const std::vector<float> momentum = hashed_floats(prefix_ + "/momentum", size_, std::sqrt(3.0));
  std::vector<float> uniform;
  for (const double v : hashed(prefix_ + "/uniform", batch_)) {
    uniform.push_back(static_cast<float>((v + 1) / 2));
  }
  sampler.run(1, momentum.data(), uniform.data());

  const std::vector<double> golden_ratio = golden("mala_log_ratio");
  EXPECT_EQ(doubles(sampler.accepted()), golden("mala_accept"));
  expect_error_below(kOnce, relative_error(sampler.read_states(), golden("mala_x")), "mala_x");
  const std::vector<float> ratios = sampler.log_ratios();
  std::vector<double> error;
  std::vector<double> scale;
  const std::vector<double> theta = doubles(theta_);
  const auto size = static_cast<std::size_t>(network_.input().size());
  for (std::size_t c = 0; c < golden_ratio.size(); ++c) {
    const MalaScale exact = mala_scale(theta, std::span(x).subspan(c * size, size),
                                       std::span(momentum).subspan(c * size, size));
    expect_error_below(kStored, std::abs(exact.log_ratio - golden_ratio[c]) / exact.cancels,
                       "reference ratio");
    error.push_back(static_cast<double>(ratios[c]) - golden_ratio[c]);
    scale.push_back(exact.cancels);
  }
  expect_error_below(kOnce, norm_of(error) / norm_of(scale), "mala_log_ratio");
  // float32 energies leave every chance of acceptance right to 1%.
  for (const double e : error) {
    expect_error_below(1e-2, std::abs(e), "log ratio (absolute)");
  }
}

TEST_P(NetworkGolden, EnergyDifferenceAndSgdStep) {
  double d_s = 0;
  const std::vector<float> gradient = program_gradient(&d_s);
  const std::vector<double> theta = doubles(theta_);
  const ReferenceGradient exact = reference_.at(theta);
  expect_error_below(once(last_layer(exact.magnitude) / std::abs(exact.d_s)),
                     relative_error(std::vector<double>{d_s}, golden("d_s")), "d_s");

  const ReferenceGradient same_branches = reference_.with_branches_of(gradient, theta);
  expect_reference_gradient(gradient, same_branches);
  expect_rounding_errors(gradient, same_branches);
  expect_golden_gradient(doubles(gradient), kOnce, kRoundings * kEpsilon, exact,
                         same_branches.value);

  const double rate = number("sgd_lr");
  Steps sgd(OptimizerState::Kind::sgd, network_.parameter_count());
  sgd.step(rate, gradient, theta_);
  const auto stepped = [&](const std::vector<double>& along) {
    std::vector<double> to = theta;
    for (std::size_t j = 0; j < to.size(); ++j) {
      to[j] -= rate * along[j];
    }
    return to;
  };
  expect_golden_weights("sgd", doubles(theta_), kOnce, stepped(same_branches.value),
                        stepped(exact.value));
}

// Adam turns the sign of a gradient into a step, so a component that is nothing but rounding moves
// at random, and what it moves changes all other gradients a little. The reference therefore
// follows the program in these components, and in its branches; all others must agree.
TEST_P(NetworkGolden, AdamSteps) {
  const double rate = number("adam_lr");
  const std::vector<float> start = theta_;
  std::vector<double> exact_theta = doubles(theta_);
  std::vector<bool> decided(theta_.size(), true);
  ReferenceAdam exact_adam(theta_.size());
  Steps adam(OptimizerState::Kind::adam, network_.parameter_count());
  for (int step = 0; step < steps("adam_steps"); ++step) {
    const std::vector<float> gradient = program_gradient();
    const ReferenceGradient exact = reference_.with_branches_of(gradient, exact_theta);
    expect_reference_gradient(gradient, exact);
    adam.step(rate, gradient, theta_);
    exact_adam.step(rate, exact.value, exact_theta);
    energy_->set_parameters(theta_);
    for (std::size_t j = 0; j < theta_.size(); ++j) {
      decided[j] =
          decided[j] && std::abs(exact.value[j]) > kDecided * kEpsilon * exact.magnitude[j];
      if (!decided[j]) {
        exact_theta[j] = static_cast<double>(theta_[j]);
      }
    }
  }
  for (const ParameterTensor& tensor : network_.parameters()) {
    expect_error_below(kRepeated, relative_error(part(tensor, theta_), part(tensor, exact_theta)),
                       "adam", tensor.name);
  }
  // By the Cauchy–Schwarz inequality |m̂| < 1.004·√v̂ in the first three steps.
  const double farthest = 1.004 * rate * steps("adam_steps");
  std::size_t undecided = 0;
  for (std::size_t j = 0; j < theta_.size(); ++j) {
    if (!decided[j]) {
      ++undecided;
      ASSERT_LT(std::abs(static_cast<double>(theta_[j]) - static_cast<double>(start[j])), farthest);
    }
  }
  const double share = static_cast<double>(undecided) / static_cast<double>(theta_.size());
  fmt::print("  {} of {} parameters undecided\n", undecided, theta_.size());
  EXPECT_LT(share, 0.01);
}

INSTANTIATE_TEST_SUITE_P(Published, NetworkGolden,
                         testing::Values(Case{"toy", "toy", 2}, Case{"vanilla_1ch", "vanilla", 1},
                                         Case{"vanilla_3ch", "vanilla", 3},
                                         Case{"nonlocal_1ch", "nonlocal", 1},
                                         Case{"nonlocal_3ch", "nonlocal", 3}),
                         [](const auto& instance) { return instance.param.stem; });

}  // namespace
}  // namespace ebm
