// Every published network on a CUDA device, at every precision, against PyTorch's float64 numbers:
// what a precision may cost. (network_golden_test holds float32 to its own rounding.)
//
// Energies, d_s, r_s and chains are held to a precision's bound. A gradient jumps where a LeakyReLU
// or a maximum changes branch, and an energy is what is left of terms that cancel; rounding the
// inputs alone, once, moves both by more than the bound. How far is computed here, in float32, with
// parameters and states rounded to the precision: no arithmetic on such numbers can be held to
// less. For energies it is computed in float64 as well, with every layer's factors rounded. Each is
// one draw: a small change anywhere sends some numbers to the other side of where they are rounded,
// and makes another. Moving nonlocal_1ch's states by 1e-5 of themselves gives errors at tf32 of 0.6
// to 1.4 times the second, which is 2.3 times the first.
//
// Tensor cores may cut floats to tf32 instead of rounding them. That is not noise: every product
// gets smaller, by up to 2⁻⁹, and r_s, chains and d_s all move one way, by more than the bound.
// What they are then is computed in float64 with factors that are cut. A kernel may cut in one
// layer and a library round in another, so a result may lie anywhere between the golden and that,
// and is held to the bound from there.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <ostream>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "cuda/device/bfloat16.cuh"
#include "cuda/nn/gpu/cuda_energy.h"
#include "tests/cuda/learning/energy_difference.h"
#include "tests/cuda/nn/gpu/plan_folder.h"
#include "tests/support/goldens.h"
#include "tests/support/kernel_launch.h"
#include "tests/support/reference_network.h"

namespace ebm {
namespace {

struct Case {
  std::string stem;
  std::string network;
  int channels;
  std::string precision_name;
  Precision precision;
  double bound;

  friend void PrintTo(const Case& c, std::ostream* out) { *out << c.stem << c.precision_name; }
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const auto& [stem, network, channels] :
       {std::tuple("toy", "toy", 2), std::tuple("vanilla_1ch", "vanilla", 1),
        std::tuple("vanilla_3ch", "vanilla", 3), std::tuple("nonlocal_1ch", "nonlocal", 1),
        std::tuple("nonlocal_3ch", "nonlocal", 3)}) {
    all.push_back({stem, network, channels, "fp32", Precision::fp32, 1e-5});
    all.push_back({stem, network, channels, "tf32", Precision::tf32, 1e-3});
    all.push_back({stem, network, channels, "bf16", Precision::bf16, 2e-2});
  }
  return all;
}

class PrecisionGolden : public testing::TestWithParam<Case> {
 protected:
  PrecisionGolden()
      : file_(golden_file(GetParam().stem)),
        prefix_(file_.metadata.at("tag") + "/" + GetParam().stem),
        network_(published_network(GetParam().network, GetParam().channels, 32)),
        batch_(std::stoi(file_.metadata.at("batch"))),
        energy_(std::make_unique<HostEnergy>(
            make_cuda_energy(network_, batch_, GetParam().precision, plan_folder()))) {
    energy_->set_parameters(golden_parameters(network_, prefix_));
  }

  /// The float nearest to x with the precision's bits.
  static float rounded(float x) {
    switch (GetParam().precision) {
      case Precision::bf16:
        return static_cast<float>(Bfloat16(x));
      case Precision::tf32: {
        const auto bits = std::bit_cast<std::uint32_t>(x);
        return std::bit_cast<float>((bits + 0x1000U) & ~0x1fffU);
      }
      case Precision::fp32:
        break;
    }
    return x;
  }
  static std::vector<float> rounded(std::vector<float> values) {
    std::ranges::transform(values, values.begin(), [](float x) { return rounded(x); });
    return values;
  }
  /// The same network in float32, its parameters rounded.
  std::unique_ptr<HostEnergy> rounded_energy() const {
    auto energy = std::make_unique<HostEnergy>(
        make_cuda_energy(network_, batch_, Precision::fp32, plan_folder()));
    energy->set_parameters(rounded(golden_parameters(network_, prefix_)));
    return energy;
  }

  double number(const std::string& key) const { return std::stod(file_.metadata.at(key)); }
  std::vector<float> input(const std::string& name) const {
    return hashed_floats(prefix_ + "/" + name, batch_ * network_.input().size());
  }
  std::vector<double> golden(const std::string& name) const {
    return doubles(file_.at(name).values);
  }

  /// An error relative to the golden is below the precision's bound; or, where rounding costs more,
  /// below a few times that: another program's roundings are others.
  void expect_near(const std::string& kind, double error, double of_rounding) const {
    constexpr double kDraws = 3;
    const double bound = std::max(GetParam().bound, kDraws * of_rounding);
    fmt::print("  {:12} error {:.1e} of {:.1e}\n", kind, error, bound);
    EXPECT_LT(error, bound) << kind;
  }
  /// The same of a result that may lie on the way from the golden to `cut`; empty when factors are
  /// not cut. Relative to `scale`; signs are those of the errors' sums.
  void expect_near_or_cut(const std::string& kind, const std::vector<double>& mine,
                          const std::vector<double>& golden, const std::vector<double>& cut,
                          double scale) const {
    const auto minus_golden = [&](std::vector<double> values) {
      std::ranges::transform(values, golden, values.begin(), std::minus<>());
      return values;
    };
    const auto signed_size = [&](const std::vector<double>& error) {
      return std::copysign(norm_of(error) / scale, sum_of(error));
    };
    std::vector<double> error = minus_golden(mine);
    fmt::print("  {:12} error {:+.1e}", kind, signed_size(error));
    if (!cut.empty()) {
      const std::vector<double> way = minus_golden(cut);
      const double along = std::inner_product(error.begin(), error.end(), way.begin(), 0.0);
      const double gone = std::clamp(along / std::pow(norm_of(way), 2), 0.0, 1.0);
      for (std::size_t i = 0; i < error.size(); ++i) {
        error[i] -= gone * way[i];
      }
      fmt::print("; {:+.1e} of cut factors' {:+.1e}; from there {:+.1e}", gone * signed_size(way),
                 signed_size(way), signed_size(error));
    }
    fmt::print(" of {:.1e}\n", GetParam().bound);
    EXPECT_LT(norm_of(error) / scale, GetParam().bound) << kind;
  }
  /// Whether some of its products are tensor cores'.
  static bool may_cut() {
    return GetParam().precision == Precision::tf32 && GetParam().network != "toy";
  }
  ReferenceEvaluation evaluate_cut(std::span<const double> state) const {
    return evaluate_reference_of_cut_tf32(network_, doubles(golden_parameters(network_, prefix_)),
                                          state);
  }
  /// What the energies lose where every layer's factors are rounded, relative to them.
  double energy_of_rounding() const {
    if (GetParam().network == "toy" || GetParam().precision == Precision::fp32) {
      return 0;  // in float32
    }
    const auto evaluate = GetParam().precision == Precision::bf16 ? evaluate_reference_of_bfloat16
                                                                  : evaluate_reference_of_tf32;
    const std::vector<double> theta = doubles(golden_parameters(network_, prefix_));
    const std::vector<double> states = doubles(input("x"));
    const auto size = static_cast<std::size_t>(network_.input().size());
    std::vector<double> energies;
    for (std::size_t first = 0; first < states.size(); first += size) {
      energies.push_back(evaluate(network_, theta, std::span(states).subspan(first, size)).energy);
    }
    return relative_error(energies, golden("energy"));
  }
  /// Langevin chains with factors that are cut: states and mean gradient norm.
  struct CutChains {
    std::vector<double> x;
    std::vector<double> r;
  };
  CutChains run_cut(const std::vector<float>& start, const std::vector<float>& noise,
                    int steps) const {
    CutChains chains{doubles(start), {0}};
    const auto size = static_cast<std::size_t>(network_.input().size());
    for (std::size_t at = 0; at < noise.size(); at += size) {
      const std::span<double> state = std::span(chains.x).subspan(at % chains.x.size(), size);
      const std::vector<double> gradient = evaluate_cut(state).input_gradient;
      chains.r[0] += norm_of(gradient) / static_cast<double>(steps * batch_);
      for (std::size_t i = 0; i < size; ++i) {
        state[i] += number("epsilon") * static_cast<double>(noise[at + i]) - gradient[i];
      }
    }
    return chains;
  }
  /// d_s with factors that are cut.
  double cut_energy_difference() const {
    const auto size = static_cast<std::size_t>(network_.input().size());
    double d_s = 0;
    for (const auto& [name, sign] : {std::pair("data", 1.0), std::pair("model", -1.0)}) {
      const std::vector<double> states = doubles(input(name));
      for (std::size_t first = 0; first < states.size(); first += size) {
        d_s += sign * evaluate_cut(std::span(states).subspan(first, size)).energy;
      }
    }
    return d_s * energy_factor(static_cast<float>(number("epsilon"))) / static_cast<double>(batch_);
  }
  struct Evaluation {
    std::vector<float> f;
    std::vector<float> gradient;
  };
  Evaluation evaluate(HostEnergy& energy, const std::vector<float>& x) const {
    Evaluation result{std::vector<float>(static_cast<std::size_t>(batch_)),
                      std::vector<float>(x.size())};
    energy.energies_and_gradients(x, result.f, result.gradient);
    return result;
  }
  /// The golden sample of ∂d_s/∂θ and what `energy` makes of it, without sums and norms.
  double theta_gradient_error(HostEnergy& energy, const std::vector<float>& data,
                              const std::vector<float>& samples, double* d_s) const {
    std::vector<float> gradient(static_cast<std::size_t>(network_.parameter_count()));
    *d_s =
        energy_difference(energy, static_cast<float>(number("epsilon")), data, samples, gradient);
    std::vector<double> mine;
    std::vector<double> exact;
    for (const ParameterTensor& tensor : network_.parameters()) {
      std::vector<double> sample = sampled(std::span(gradient).subspan(
          static_cast<std::size_t>(tensor.offset), static_cast<std::size_t>(tensor.size)));
      std::vector<double> expected = golden("grad." + tensor.name);
      sample.resize(sample.size() - 2);
      expected.resize(sample.size());
      mine.insert(mine.end(), sample.begin(), sample.end());
      exact.insert(exact.end(), expected.begin(), expected.end());
    }
    return relative_error(mine, exact);
  }

  TensorFile file_;
  std::string prefix_;
  Network network_;
  std::int64_t batch_;
  std::unique_ptr<HostEnergy> energy_;
};

TEST_P(PrecisionGolden, EnergyAndInputGradient) {
  const Evaluation mine = evaluate(*energy_, input("x"));
  const Evaluation least = evaluate(*rounded_energy(), rounded(input("x")));
  expect_near("energy", relative_error(mine.f, golden("energy")),
              std::max(relative_error(least.f, golden("energy")), energy_of_rounding()));
  expect_near("grad_x", relative_error(mine.gradient, golden("grad_x")),
              relative_error(least.gradient, golden("grad_x")));
}

TEST_P(PrecisionGolden, LangevinSteps) {
  const int steps = std::stoi(file_.metadata.at("langevin_steps"));
  std::vector<float> x = input("x");
  const std::vector<float> noise =
      hashed_floats(prefix_ + "/noise", steps * batch_ * network_.input().size(), std::sqrt(3.0));
  std::vector<float> norm_sums(static_cast<std::size_t>(batch_));
  energy_->langevin({.update = {.epsilon = static_cast<float>(number("epsilon"))}, .steps = steps},
                    x, norm_sums, noise);
  const double r = sum_of(doubles(norm_sums)) / static_cast<double>(steps * batch_);
  const CutChains cut = may_cut() ? run_cut(input("x"), noise, steps) : CutChains{};
  const std::vector<double> golden_x = golden("langevin_x");
  expect_near_or_cut("langevin_x", doubles(x), golden_x, cut.x, norm_of(golden_x));
  const std::vector<double> golden_r = golden("langevin_r");
  expect_near_or_cut("langevin_r", {r}, golden_r, cut.r, norm_of(golden_r));
}

// d_s is held to the bound as a difference: relative to the energies it is left of.
TEST_P(PrecisionGolden, EnergyDifferenceAndItsGradient) {
  double d_s = 0;
  const double error = theta_gradient_error(*energy_, input("data"), input("model"), &d_s);
  const double golden_d_s = golden("d_s")[0];
  double size = 0;
  for (const float f : evaluate(*energy_, input("data")).f) {
    size += std::abs(static_cast<double>(f)) / static_cast<double>(batch_);
  }
  size *= energy_factor(static_cast<float>(number("epsilon")));
  const std::vector<double> cut =
      may_cut() ? std::vector{cut_energy_difference()} : std::vector<double>{};
  expect_near_or_cut("d_s", {d_s}, golden("d_s"), cut, std::max(size, std::abs(golden_d_s)));
  if (GetParam().precision == Precision::fp32) {
    return;  // the gradient is network_golden_test's, which knows the branches that rounding takes
  }
  double ignored = 0;
  expect_near("grad", error,
              theta_gradient_error(*rounded_energy(), rounded(input("data")),
                                   rounded(input("model")), &ignored));
}

INSTANTIATE_TEST_SUITE_P(Published, PrecisionGolden, testing::ValuesIn(cases()),
                         [](const auto& instance) {
                           return instance.param.stem + "_" + instance.param.precision_name;
                         });

}  // namespace
}  // namespace ebm
