// Perceptrons on the device against the CPU's, of widths that fill groups of lanes and that do not,
// with weights in registers (the published toy network), in a block's memory, and outside it.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "cuda/nn/cpu/cpu_energy.h"
#include "cuda/nn/gpu/perceptron_chain.cuh"
#include "tests/support/goldens.h"
#include "tests/support/host_energy.h"
#include "tests/support/kernel_launch.h"
#include "tests/support/layers.h"
#include "tests/support/numbers.h"
#include "tests/support/reference_network.h"

namespace ebm {
namespace {

constexpr double kFloat32 = 1e-5;          // energies and gradients, of their norm
constexpr double kFloat32Repeated = 1e-4;  // states after Langevin steps, where rounding feeds back

using Widths = std::vector<int>;
using Floats = std::vector<float>;

const Widths kToy = {2, 32, 64, 64, 64, 1};

std::size_t as_size(std::int64_t n) { return static_cast<std::size_t>(n); }

std::string name_of(const Widths& widths) {
  std::string name = "w";
  for (const int width : widths) {
    name += "_" + std::to_string(width);
  }
  return name;
}

Network network_of(const Widths& widths) {
  std::vector<Layer> layers;
  for (std::size_t l = 1; l < widths.size(); ++l) {
    if (l > 1) {
      layers.push_back(leaky_relu());
    }
    layers.push_back(linear(std::to_string(l), widths[l]));
  }
  return {name_of(widths), {widths.front(), 1, 1}, layers};
}

/// ChainValues before some steps, or after them.
struct ChainValues {
  std::uint32_t first = 0;
  Floats states;
  Floats norm_sums;

  bool operator==(const ChainValues&) const = default;
};

/// ChainValues that the CPU ran. A chain is decided when no LeakyReLU on its way was within
/// float32's rounding of its branch: a device may take the other, and goes another way from there.
struct DecidedChains : ChainValues {
  std::vector<bool> decided;
};

/// f and a gradient, of the states or of θ.
struct Result {
  Floats f;
  Floats gradient;

  bool operator==(const Result&) const = default;
};

/// A perceptron with parameters, on the CPU and on the device.
class Twins {
 public:
  explicit Twins(const Widths& widths)
      : network_(network_of(widths)), theta_(golden_parameters(network_, "on_device")) {
    cpu_ = std::make_unique<HostEnergy>(make_cpu_energy(network_));
    cpu_->set_parameters(theta_);
  }

  const Network& network() const { return network_; }
  std::int64_t size() const { return network_.input().size(); }
  Floats states(int count) const { return numbers(as_size(count * size()), 1); }
  /// States whose every LeakyReLU is farther from its branch point than float32's rounding, so that
  /// the CPU's gradients are the device's.
  Floats decided_states(int count) const {
    const auto size = as_size(this->size());
    const Floats drawn = numbers(2 * as_size(count) * size, 1);
    Floats states;
    for (std::size_t at = 0; at < drawn.size() && states.size() < as_size(count) * size;
         at += size) {
      const auto state = std::span(drawn).subspan(at, size);
      if (is_decided(state)) {
        states.insert(states.end(), state.begin(), state.end());
      }
    }
    EXPECT_EQ(states.size(), as_size(count) * size);
    return states;
  }
  ChainValues chains(int count) const { return {0, states(count), numbers(as_size(count), 2)}; }

  DecidedChains run_on_cpu(LangevinUpdate update, int steps, const ChainValues& before,
                           const Floats& noise = {}) const {
    const std::size_t count = before.norm_sums.size();
    DecidedChains chains{before, std::vector<bool>(count, true)};
    for (int step = 0; step < steps; ++step, ++update.step) {
      for (std::size_t c = 0; c < count; ++c) {
        chains.decided[c] =
            chains.decided[c] &&
            is_decided(std::span(chains.states).subspan(c * as_size(size()), as_size(size())));
      }
      const std::size_t values = noise.empty() ? 0 : chains.states.size();
      cpu_->langevin({.update = update, .steps = 1}, chains.states, chains.norm_sums,
                     std::span(noise).subspan(as_size(step) * values, values));
    }
    return chains;
  }
  ChainValues run_on_device(const LangevinUpdate& update, int steps, ChainValues chains,
                            const Floats& noise = {}) const {
    run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
      on_device(stream).langevin(stream, memory.in(theta_), update, steps, chains.first,
                                 static_cast<std::int64_t>(chains.norm_sums.size()),
                                 memory.in(noise), memory.in_out(chains.states),
                                 memory.in_out(chains.norm_sums));
    });
    return chains;
  }

  Result evaluate_on_cpu(const Floats& states) const {
    Result result{Floats(states.size() / as_size(size())), Floats(states.size())};
    cpu_->energies_and_gradients(states, result.f, result.gradient);
    return result;
  }
  Result evaluate_on_device(const Floats& states, bool with_gradients = true) const {
    Result result{Floats(states.size() / as_size(size())),
                  Floats(with_gradients ? states.size() : 0)};
    run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
      on_device(stream).evaluate(stream, memory.in(theta_), memory.in(states),
                                 static_cast<std::int64_t>(result.f.size()),
                                 memory.in_out(result.f), memory.in_out(result.gradient));
    });
    return result;
  }

  Result weight_gradient_on_cpu(const Floats& states, float scale) const {
    Result result{Floats(states.size() / as_size(size())), Floats(theta_.size())};
    cpu_->add_weight_gradient(states, scale, result.f, result.gradient);
    return result;
  }
  Result weight_gradient_on_device(const Floats& states, float scale) const {
    Result result{Floats(states.size() / as_size(size())), Floats(theta_.size(), kNan)};
    run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
      on_device(stream).weight_gradient(stream, memory.in(theta_), memory.in(states),
                                        static_cast<std::int64_t>(result.f.size()), scale,
                                        memory.in_out(result.f), memory.in_out(result.gradient));
    });
    return result;
  }

 private:
  bool is_decided(std::span<const float> state) const {
    return evaluate_reference_in_x(network_, doubles(theta_), doubles(state)).undecided.empty();
  }

  DevicePerceptron on_device(const CudaStream& stream) const {
    Widths widths{network_.input().channels};
    std::vector<std::int64_t> weights;
    std::vector<std::int64_t> biases;
    const std::vector<ParameterTensor>& tensors = network_.parameters();
    for (std::size_t l = 0; l < tensors.size(); l += 2) {
      widths.push_back(static_cast<int>(tensors[l].shape.front()));
      weights.push_back(tensors[l].offset);
      biases.push_back(tensors[l + 1].offset);
    }
    return {stream, widths, weights, biases};
  }

  Network network_;
  Floats theta_;
  std::unique_ptr<HostEnergy> cpu_;
};

LangevinUpdate noisy_update() {
  return {.epsilon = 0.1F,
          .gradient_scale = 0.7F,
          .noise = {.seed = 123, .purpose = Purpose::langevin, .iteration = 4},
          .step = 17};
}

/// The chains [first, first + count).
ChainValues some_of(const ChainValues& chains, std::int64_t size, int first, int count) {
  const auto part = [&](const Floats& values, std::int64_t each) {
    const auto begin = values.begin() + first * each;
    return Floats(begin, begin + count * each);
  };
  return {chains.first + static_cast<std::uint32_t>(first), part(chains.states, size),
          part(chains.norm_sums, 1)};
}

/// Of the chains that are decided, which are nearly all.
void expect_same_way(const ChainValues& device, const DecidedChains& cpu) {
  const std::size_t size = cpu.states.size() / cpu.decided.size();
  const auto of_decided = [&](const Floats& values, std::size_t each) {
    Floats some;
    for (std::size_t c = 0; c < cpu.decided.size(); ++c) {
      if (cpu.decided[c]) {
        const auto begin = values.begin() + static_cast<std::ptrdiff_t>(c * each);
        some.insert(some.end(), begin, begin + static_cast<std::ptrdiff_t>(each));
      }
    }
    return some;
  };
  EXPECT_GT(std::ranges::count(cpu.decided, true), std::ssize(cpu.decided) * 4 / 5 - 1);
  EXPECT_LT(relative_error(of_decided(device.states, size), of_decided(cpu.states, size)),
            kFloat32Repeated);
  EXPECT_LT(relative_error(of_decided(device.norm_sums, 1), of_decided(cpu.norm_sums, 1)),
            kFloat32Repeated);
}

class PerceptronOnDevice : public testing::TestWithParam<Widths> {
 protected:
  const Twins twins_{GetParam()};
};

// One layer and many; less than a group of lanes, whole groups and one more; states whose noise is
// more than is drawn at a time; and the last one's weights are over 300 KiB, more than any block
// has.
INSTANTIATE_TEST_SUITE_P(, PerceptronOnDevice,
                         testing::Values(kToy, Widths{1, 1}, Widths{5, 1}, Widths{2, 1, 1},
                                         Widths{3, 7, 1}, Widths{4, 9, 3, 2, 1},
                                         Widths{2, 32, 64, 64, 1}, Widths{33, 65, 31, 1},
                                         Widths{1030, 17, 1}, Widths{2, 280, 281, 1}),
                         [](const auto& test) { return name_of(test.param); });

TEST_P(PerceptronOnDevice, EnergiesAndGradientsAreTheCpus) {
  const Floats states = twins_.decided_states(7);
  const Result device = twins_.evaluate_on_device(states);
  const Result cpu = twins_.evaluate_on_cpu(states);
  EXPECT_LT(relative_error(device.f, cpu.f), kFloat32);
  EXPECT_LT(relative_error(device.gradient, cpu.gradient), kFloat32);
  EXPECT_EQ(twins_.evaluate_on_device(states, false).f, device.f);
}

TEST_P(PerceptronOnDevice, ChainsGoTheCpusWay) {
  const LangevinUpdate update = noisy_update();
  const ChainValues before = twins_.chains(7);
  expect_same_way(twins_.run_on_device(update, 5, before), twins_.run_on_cpu(update, 5, before));
}

TEST_P(PerceptronOnDevice, GivenNoiseAndTheClampAreTheCpus) {
  constexpr int kChains = 3;
  constexpr int kSteps = 4;
  LangevinUpdate update = noisy_update();
  update.lowest = -0.4F;
  update.highest = 0.5F;
  const Floats noise = numbers(as_size(kSteps * kChains * twins_.size()), 3, 3);
  const ChainValues before = twins_.chains(kChains);
  const ChainValues device = twins_.run_on_device(update, kSteps, before, noise);
  expect_same_way(device, twins_.run_on_cpu(update, kSteps, before, noise));
  for (const float x : device.states) {
    EXPECT_TRUE(x >= -0.4F && x <= 0.5F) << x;
  }
}

TEST_P(PerceptronOnDevice, AChainDoesNotDependOnItsBatch) {
  const ChainValues before = twins_.chains(7);
  const ChainValues together = twins_.run_on_device(noisy_update(), 3, before);
  const ChainValues alone =
      twins_.run_on_device(noisy_update(), 3, some_of(before, twins_.size(), 5, 1));
  EXPECT_EQ(alone, some_of(together, twins_.size(), 5, 1));  // bit for bit
}

TEST_P(PerceptronOnDevice, TwoRunsAreOneRun) {
  LangevinUpdate update = noisy_update();
  const ChainValues before = twins_.chains(2);
  const ChainValues at_once = twins_.run_on_device(update, 7, before);
  const ChainValues half_way = twins_.run_on_device(update, 3, before);
  update.step += 3;
  EXPECT_EQ(twins_.run_on_device(update, 4, half_way), at_once);  // bit for bit
}

TEST_P(PerceptronOnDevice, WeightGradientIsTheCpus) {
  // More states than are summed at a time.
  const Floats states = twins_.decided_states(150);
  const Result device = twins_.weight_gradient_on_device(states, -0.3F);
  const Result cpu = twins_.weight_gradient_on_cpu(states, -0.3F);
  EXPECT_EQ(device.f, twins_.evaluate_on_device(states, false).f);
  for (const ParameterTensor& tensor : twins_.network().parameters()) {
    const auto part = [&](const Floats& values) {
      return std::span(values).subspan(as_size(tensor.offset), as_size(tensor.size));
    };
    EXPECT_LT(relative_error(part(device.gradient), part(cpu.gradient)), kFloat32) << tensor.name;
  }
}

TEST_P(PerceptronOnDevice, DivergenceIsSeen) {
  ChainValues before = twins_.chains(2);
  before.states[0] = kNan;
  const ChainValues after = twins_.run_on_device(noisy_update(), 2, before);
  EXPECT_TRUE(std::isnan(after.states[0]));
  EXPECT_TRUE(std::isnan(twins_.evaluate_on_device(before.states, false).f[0]));
}

class ToyOnDevice : public testing::Test {
 protected:
  const Twins twins_{kToy};
};

TEST_F(ToyOnDevice, ABatchGoesTheCpusWay) {
  const ChainValues before = twins_.chains(100);
  expect_same_way(twins_.run_on_device(noisy_update(), 3, before),
                  twins_.run_on_cpu(noisy_update(), 3, before));
}

TEST_F(ToyOnDevice, ManyStepsGoTheCpusWay) {
  const ChainValues before = twins_.chains(5);
  expect_same_way(twins_.run_on_device(noisy_update(), 40, before),
                  twins_.run_on_cpu(noisy_update(), 40, before));
}

TEST_F(ToyOnDevice, NoiseIsDrawnForAnyNumberOfSteps) {
  // 300 steps are more than the noise is drawn for at a time; the second run starts elsewhere in
  // it.
  LangevinUpdate update = noisy_update();
  const ChainValues before = twins_.chains(1);
  const ChainValues at_once = twins_.run_on_device(update, 300, before);
  const ChainValues half_way = twins_.run_on_device(update, 170, before);
  update.step += 170;
  EXPECT_EQ(twins_.run_on_device(update, 130, half_way), at_once);  // bit for bit
}

TEST(DevicePerceptron, UnitsThatDoNotFitAreAnErrorThatSaysSo) {
  const CudaStream stream;
  try {
    const DevicePerceptron perceptron(stream, {1'000'000, 1}, {0}, {1'000'000});
    FAIL() << "no multiprocessor has 8 MB";
  } catch (const std::invalid_argument& error) {
    for (const char* part : {"1000001 units", "bytes", "narrower"}) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace ebm
