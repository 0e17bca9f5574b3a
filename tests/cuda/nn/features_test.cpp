// Features of networks of every shape: that the number which a last layer makes of them is the
// energy of the network that has this layer.

#include "cuda/nn/features.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cuda/nn/cpu/cpu_features.h"
#include "tests/support/goldens.h"
#include "tests/support/layers.h"
#include "tests/support/other_networks.h"
#include "tests/support/tested_energy.h"
#include "tests/support/threads.h"

namespace ebm {
namespace {

constexpr std::int64_t kStates = 17;   // whole tiles and a partial one
constexpr std::int64_t kCapacity = 7;  // of a device: two whole parts and a rest

std::unique_ptr<Features> make_tested_features(const Network& network) {
#ifdef EBM_TEST_ON_CUDA
  return make_cuda_features(network, kCapacity, Precision::fp32, plan_folder());
#else
  return make_cpu_features(network);
#endif
}

/// Networks without their last layer, if that is a linear one.
std::vector<Network> feature_networks() {
  std::vector<Network> networks;
  for (const Network& network : other_networks()) {
    std::vector<Layer> layers = network.layers();
    if (layers.back() == linear(layers.back().key, 1)) layers.pop_back();
    const Network made = feature_network(network.input(), std::move(layers));
    networks.emplace_back(network.name(), made.input(), made.layers());
  }
  networks.push_back(feature_network({3, 8, 8}, {conv("a", 20, 3, 2, 1)}));
  return networks;
}

class FeaturesTest : public testing::TestWithParam<Network> {};

TEST_P(FeaturesTest, AreWhatTheLastLayerIsGiven) {
  const Network& network = GetParam();
  std::vector<float> theta = golden_parameters(network, "features/" + network.name());
  const std::vector<float> states = hashed_floats("states", kStates * network.input().size());
  const std::unique_ptr<Features> features = make_tested_features(network);
  set_parameters(*features, theta);
  const std::vector<float> found = features_of(states, *features);
  const Shape shape = network.shape_before(network.layers().size() - 2);
  ASSERT_EQ(features->size(), shape.size());
  ASSERT_EQ(found.size(), static_cast<std::size_t>(kStates * shape.size()));

  const std::unique_ptr<HostEnergy> energy = make_tested_energy(network, kCapacity);
  const ParameterTensor& head = network.parameter(std::string(kFeatureHead) + ".weight");
  const ParameterTensor& bias = network.parameter(std::string(kFeatureHead) + ".bias");
  for (const char* name : {"one", "two", "three"}) {
    const std::vector<float> weights = hashed_floats(name, head.size);
    std::ranges::copy(weights, theta.begin() + head.offset);
    energy->set_parameters(theta);
    std::vector<float> f(kStates);
    energy->energies(states, f);
    for (std::int64_t state = 0; state < kStates; ++state) {
      double sum = static_cast<double>(theta[static_cast<std::size_t>(bias.offset)]);
      double size = std::abs(sum);
      for (std::int64_t i = 0; i < shape.size(); ++i) {
        const double term =
            static_cast<double>(weights[static_cast<std::size_t>(i)]) *
            static_cast<double>(found[static_cast<std::size_t>(state * shape.size() + i)]);
        sum += term;
        size += std::abs(term);
      }
      ASSERT_NEAR(static_cast<double>(f[static_cast<std::size_t>(state)]), sum, 2e-6 * size)
          << name << ", state " << state;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, FeaturesTest, testing::ValuesIn(feature_networks()),
                         [](const auto& instance) { return instance.param.name(); });

TEST(Features, AreTheSameBitsForAnyNumberOfThreads) {
  const Network network = feature_network(
      {3, 8, 8}, {conv("a", 20, 3, 1, 1), leaky_relu(), max_pool(), flatten(), linear("b", 30)});
  const std::vector<float> theta = golden_parameters(network, "threads");
  const std::vector<float> states = hashed_floats("states", kStates * 192);
  const auto compute = [&](int threads) {
    const Threads these(threads);
    const std::unique_ptr<Features> features = make_tested_features(network);
    set_parameters(*features, theta);
    return features_of(states, *features);
  };
  EXPECT_EQ(compute(1), compute(3));
}

}  // namespace
}  // namespace ebm
