// Energies whose laws are known: sums over components, for tests of samplers.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "cuda/nn/cpu/tiled_energy.h"
#include "tests/support/host_energy.h"

namespace ebm {

/// An energy on the line or, component by component, in several dimensions: f(x) = Σ potential(xᵢ).
class SeparableTile final : public TileEnergy {
 public:
  struct Potential {
    std::function<double(double)> value;
    std::function<double(double)> slope;
  };

  SeparableTile(Potential potential, std::int64_t dimensions)
      : potential_(std::move(potential)), dimensions_(dimensions) {}

  int capacity() const override { return kCapacity; }
  std::int64_t state_size() const override { return dimensions_; }
  void energies(const float* states, int chains, float* f) override {
    for (int c = 0; c < chains; ++c) {
      double sum = 0;
      for (std::int64_t i = 0; i < dimensions_; ++i) {
        sum += potential_.value(static_cast<double>(states[c * dimensions_ + i]));
      }
      f[c] = static_cast<float>(sum);
    }
  }
  void energies_and_gradients(const float* states, int chains, float* f,
                              float* gradients) override {
    energies(states, chains, f);
    for (std::int64_t i = 0; i < chains * dimensions_; ++i) {
      gradients[i] = static_cast<float>(potential_.slope(static_cast<double>(states[i])));
    }
  }
  void weight_gradient(const float* /*states*/, int /*chains*/, float /*scale*/, float* /*f*/,
                       float* /*gradient*/) override {
    FAIL() << "this energy has no parameters";
  }
  std::int64_t gradient_values() const override { return 0; }
  void add_in_order_of_parameters(float* /*gradient*/, float* /*theta_gradient*/) override {}

 private:
  static constexpr int kCapacity = 64;
  Potential potential_;
  std::int64_t dimensions_;
};

inline std::unique_ptr<HostEnergy> separable(const SeparableTile::Potential& potential,
                                             std::int64_t dimensions) {
  return std::make_unique<HostEnergy>(std::make_unique<TiledEnergy>(
      [=] { return std::make_unique<SeparableTile>(potential, dimensions); }, [](const float*) {},
      0));
}

}  // namespace ebm
