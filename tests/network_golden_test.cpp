// Every published network against PyTorch's float64 numbers.

#include <gtest/gtest.h>

#include <cstdlib>

#include "cuda/learning/energy_difference.h"
#include "cuda/learning/optimizer.h"
#include "cuda/nn/energy.h"
#include "tests/goldens.h"

namespace ebm {
namespace {

// What float32 is held to: energies, gradients, d_s and weights after an SGD step; and states after
// Langevin steps and weights after Adam steps, where rounding feeds back.
constexpr double kOnce = 1e-5;
constexpr double kRepeated = 1e-4;

struct Case {
  std::string stem;
  std::string network;
  int channels;
};

class NetworkGolden : public testing::TestWithParam<Case> {
 protected:
  NetworkGolden()
      : file_(golden_file(GetParam().stem)),
        prefix_(file_.metadata.at("tag") + "/" + GetParam().stem),
        network_(published_network(GetParam().network, GetParam().channels, 32)),
        theta_(golden_parameters(network_, prefix_)),
        energy_(make_cpu_energy(network_)),
        batch_(std::stoi(file_.metadata.at("batch"))),
        size_(batch_ * network_.input().size()) {
    energy_->set_parameters(theta_);
  }

  double number(const std::string& key) const { return std::stod(file_.metadata.at(key)); }
  std::span<const float> golden(const std::string& name) const { return file_.at(name).values; }
  std::vector<float> input(const std::string& name) const {
    return hashed_floats(prefix_ + "/" + name, size_);
  }
  std::span<const float> part(const ParameterTensor& tensor, std::span<const float> theta) const {
    return theta.subspan(static_cast<std::size_t>(tensor.offset),
                         static_cast<std::size_t>(tensor.size));
  }
  /// ∂d_s/∂θ on the golden data and model batches, at the current θ.
  std::vector<float> d_s_gradient(double* d_s = nullptr) {
    std::vector<float> gradient(theta_.size());
    EnergyDifference difference(static_cast<float>(number("epsilon")));
    const double d = difference(*energy_, input("data"), input("model"), gradient);
    if (d_s != nullptr) {
      *d_s = d;
    }
    return gradient;
  }
  void expect_parameters(const std::string& kind, std::span<const float> values, double bound) {
    for (const ParameterTensor& tensor : network_.parameters()) {
      const std::string name = kind + "." + tensor.name;
      EXPECT_LT(relative_error(sampled(part(tensor, values)), golden(name)), bound) << name;
    }
  }

  TensorFile file_;
  std::string prefix_;
  Network network_;
  std::vector<float> theta_;
  std::unique_ptr<Energy> energy_;
  std::int64_t batch_;
  std::int64_t size_;
};

TEST_P(NetworkGolden, EnergyAndInputGradient) {
  const std::vector<float> x = input("x");
  std::vector<float> f(static_cast<std::size_t>(batch_));
  std::vector<float> gradient(x.size());
  energy_->energies_and_gradients(x, f, gradient);
  EXPECT_LT(relative_error(f, golden("energy")), kOnce);
  EXPECT_LT(relative_error(gradient, golden("grad_x")), kOnce);
  std::vector<float> alone(f.size());
  energy_->energies(x, alone);
  EXPECT_EQ(alone, f);
}

TEST_P(NetworkGolden, LangevinSteps) {
  std::vector<float> x = input("x");
  const int steps = std::stoi(file_.metadata.at("langevin_steps"));
  const std::vector<float> noise =
      hashed_floats(prefix_ + "/noise", steps * size_, std::sqrt(3.0));
  LangevinSteps run;
  run.update.epsilon = static_cast<float>(number("epsilon"));
  run.steps = steps;
  run.given_noise = noise.data();
  run.noise_chains = batch_;
  std::vector<float> norm_sums(static_cast<std::size_t>(batch_));
  energy_->langevin(run, x, norm_sums);
  EXPECT_LT(relative_error(x, golden("langevin_x")), kRepeated);
  double r = 0;
  for (const float sum : norm_sums) {
    r += static_cast<double>(sum) / (steps * static_cast<double>(batch_));
  }
  const std::vector<float> strength{static_cast<float>(r)};
  EXPECT_LT(relative_error(strength, golden("langevin_r")), kRepeated);
}

TEST_P(NetworkGolden, EnergyDifferenceAndItsGradient) {
  double d_s = 0;
  const std::vector<float> gradient = d_s_gradient(&d_s);
  EXPECT_LT(relative_error(std::vector<float>{static_cast<float>(d_s)}, golden("d_s")), kOnce);
  expect_parameters("grad", gradient, kOnce);
}

TEST_P(NetworkGolden, SgdStep) {
  Optimizer sgd(Optimizer::Kind::sgd, network_.parameter_count());
  sgd.step(number("sgd_lr"), d_s_gradient(), theta_);
  expect_parameters("sgd", theta_, kOnce);
}

TEST_P(NetworkGolden, AdamSteps) {
  Optimizer adam(Optimizer::Kind::adam, network_.parameter_count());
  for (int step = 0; step < std::stoi(file_.metadata.at("adam_steps")); ++step) {
    adam.step(number("adam_lr"), d_s_gradient(), theta_);
    energy_->set_parameters(theta_);
  }
  expect_parameters("adam", theta_, kRepeated);
}

INSTANTIATE_TEST_SUITE_P(Published, NetworkGolden,
                         testing::Values(Case{"toy", "toy", 2},
                                         Case{"vanilla_1ch", "vanilla", 1},
                                         Case{"vanilla_3ch", "vanilla", 3},
                                         Case{"nonlocal_1ch", "nonlocal", 1},
                                         Case{"nonlocal_3ch", "nonlocal", 3}),
                         [](const auto& instance) { return instance.param.stem; });

}  // namespace
}  // namespace ebm
