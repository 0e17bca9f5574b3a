// The fused chains of a perceptron against plain loops, in vectors of every width and in groups of
// every size.

#include "cuda/nn/cpu/simd_perceptron.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <ostream>
#include <string>
#include <vector>

#include "cuda/kernels/leaky_relu.cuh"
#include "tests/support/goldens.h"

namespace ebm {
namespace {

constexpr int kChains = 15;  // two whole groups and half of one
constexpr double kFloat32 = 2e-6;

struct Widths {
  std::vector<int> of;
};

void PrintTo(const Widths& widths, std::ostream* out) {
  for (const int width : widths.of) {
    *out << width << " ";
  }
}

/// Layers as they are written in a textbook, one number at a time, in double.
class PlainPerceptron {
 public:
  explicit PlainPerceptron(const Widths& widths) : widths_(widths.of) {
    for (std::size_t l = 0; l + 1 < widths_.size(); ++l) {
      const std::string name = "perceptron_chain/" + std::to_string(l);
      weights_.push_back(hashed_floats(name + "/w", std::int64_t{widths_[l]} * widths_[l + 1]));
      biases_.push_back(hashed_floats(name + "/b", widths_[l + 1]));
    }
  }

  Perceptron fused() const {
    Perceptron perceptron(widths_);
    for (std::size_t l = 0; l < perceptron.layers(); ++l) {
      perceptron.set_layer(l, weights_[l].data(), biases_[l].data());
    }
    return perceptron;
  }

  /// f(x); gradient becomes ∇ₓf.
  double evaluate(const std::vector<double>& x, std::vector<double>& gradient) const {
    std::vector<std::vector<double>> activations{x};
    for (std::size_t l = 0; l < weights_.size(); ++l) {
      const std::vector<double>& in = activations.back();
      std::vector<double> out(biases_[l].begin(), biases_[l].end());
      for (std::size_t j = 0; j < out.size(); ++j) {
        for (std::size_t i = 0; i < in.size(); ++i) {
          out[j] += static_cast<double>(weights_[l][j * in.size() + i]) * in[i];
        }
        out[j] *= l + 1 < weights_.size() ? slope(out[j]) : 1.0;
      }
      activations.push_back(out);
    }
    gradient.assign(1, 1.0);
    for (std::size_t l = weights_.size(); l-- > 0;) {
      const std::vector<double>& in = activations[l];
      std::vector<double> dx(in.size());
      for (std::size_t i = 0; i < in.size(); ++i) {
        for (std::size_t j = 0; j < gradient.size(); ++j) {
          dx[i] += static_cast<double>(weights_[l][j * in.size() + i]) * gradient[j];
        }
        dx[i] *= l > 0 ? slope(in[i]) : 1.0;
      }
      gradient = dx;
    }
    return activations.back().front();
  }

 private:
  static double slope(double y) { return y > 0 ? 1.0 : static_cast<double>(kLeakySlope); }

  std::vector<int> widths_;
  std::vector<std::vector<float>> weights_;
  std::vector<std::vector<float>> biases_;
};

class PerceptronChain : public testing::TestWithParam<Widths> {
 protected:
  PerceptronChain()
      : plain_(GetParam()),
        fused_(plain_.fused()),
        size_(GetParam().of.front()),
        states_(hashed_floats("perceptron_chain/x", std::int64_t{kChains} * size_)) {}

  std::vector<double> state(int chain) const {
    const auto begin = states_.begin() + std::ptrdiff_t{chain} * size_;
    return {begin, begin + size_};
  }
  LangevinUpdate update() const {
    LangevinUpdate update;
    update.epsilon = 0.125F;
    update.noise = {7, Purpose::langevin, 3};
    update.step = 5;
    return update;
  }
  /// The first chains' states and Σ‖∇f‖ after some steps.
  std::vector<float> run(int lanes, int steps, int first, int chains,
                         const float* noise = nullptr) {
    std::vector<float> x(states_.begin() + std::ptrdiff_t{first} * size_,
                         states_.begin() + std::ptrdiff_t{first + chains} * size_);
    std::vector<float> norms(static_cast<std::size_t>(chains));
    PerceptronChains(fused_, lanes)
        .run(update(), steps, static_cast<std::uint32_t>(first), chains, noise,
             std::int64_t{kChains} * size_, x.data(), norms.data());
    x.insert(x.end(), norms.begin(), norms.end());
    return x;
  }

  PlainPerceptron plain_;
  Perceptron fused_;
  int size_;
  std::vector<float> states_;
};

TEST_P(PerceptronChain, EvaluatesAsPlainLoopsDo) {
  std::vector<double> exact_f;
  std::vector<double> exact_gradients;
  for (int chain = 0; chain < kChains; ++chain) {
    std::vector<double> gradient;
    exact_f.push_back(plain_.evaluate(state(chain), gradient));
    exact_gradients.insert(exact_gradients.end(), gradient.begin(), gradient.end());
  }
  for (int lanes = widest_vectors(); lanes >= 4; lanes /= 2) {
    std::vector<float> f(kChains);
    std::vector<float> gradients(states_.size());
    PerceptronChains(fused_, lanes).evaluate(states_.data(), kChains, f.data(), gradients.data());
    EXPECT_LT(relative_error(f, exact_f), kFloat32) << lanes << " lanes";
    EXPECT_LT(relative_error(gradients, exact_gradients), kFloat32) << lanes << " lanes";
  }
}

TEST_P(PerceptronChain, IsTheSameBitsInAnyCompany) {
  constexpr int kSteps = 20;
  for (int lanes = widest_vectors(); lanes >= 4; lanes /= 2) {
    const std::vector<float> all = run(lanes, kSteps, 0, kChains);
    for (int chains = 1; chains < kChains; ++chains) {
      const int first = kChains - chains;  // so that they sit elsewhere in their groups
      const std::vector<float> some = run(lanes, kSteps, first, chains);
      EXPECT_TRUE(std::equal(some.begin(), some.end() - chains,
                             all.begin() + std::ptrdiff_t{first} * size_))
          << "states of the last " << chains << ", " << lanes << " lanes";
      EXPECT_TRUE(std::equal(some.end() - chains, some.end(), all.end() - chains))
          << "norms of the last " << chains << ", " << lanes << " lanes";
    }
  }
}

TEST_P(PerceptronChain, DrawsEachChainsOwnNoise) {
  constexpr int kSteps = 37;  // noise is drawn for sixteen steps at once
  std::vector<float> noise;
  for (int step = 0; step < kSteps; ++step) {
    LangevinUpdate now = update();
    now.step += static_cast<std::uint32_t>(step);
    for (std::uint32_t chain = 0; chain < kChains; ++chain) {
      for (int i = 0; i < size_; ++i) {
        noise.push_back(now.noise_of(chain, static_cast<std::uint32_t>(i / 4)).v[i % 4]);
      }
    }
  }
  for (int lanes = widest_vectors(); lanes >= 4; lanes /= 2) {
    // Not to the bit: scalars and vectors may be rounded apart in the normals' last place.
    EXPECT_LT(relative_error(run(lanes, kSteps, 0, kChains),
                             run(lanes, kSteps, 0, kChains, noise.data())),
              1e-5)
        << lanes << " lanes";
  }
}

TEST_P(PerceptronChain, FollowsPlainSteps) {
  constexpr int kSteps = 3;
  const std::int64_t values = std::int64_t{kChains} * size_;
  const std::vector<float> noise = hashed_floats("perceptron_chain/z", kSteps * values);
  std::vector<double> exact(states_.begin(), states_.end());
  exact.resize(static_cast<std::size_t>(values + kChains));
  for (int step = 0; step < kSteps; ++step) {
    for (int chain = 0; chain < kChains; ++chain) {
      const auto x = exact.begin() + std::ptrdiff_t{chain} * size_;
      std::vector<double> gradient;
      plain_.evaluate({x, x + size_}, gradient);
      double squares = 0;
      for (int i = 0; i < size_; ++i) {
        const double g = gradient[static_cast<std::size_t>(i)];
        const auto z = static_cast<std::size_t>(step * values + std::int64_t{chain} * size_ + i);
        x[i] += 0.125 * static_cast<double>(noise[z]) - g;
        squares += g * g;
      }
      exact[static_cast<std::size_t>(values + chain)] += std::sqrt(squares);
    }
  }
  for (int lanes = widest_vectors(); lanes >= 4; lanes /= 2) {
    EXPECT_LT(relative_error(run(lanes, kSteps, 0, kChains, noise.data()), exact), 1e-5)
        << lanes << " lanes";
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, PerceptronChain,
                         testing::Values(Widths{{2, 32, 64, 64, 64, 1}}, Widths{{1, 1}},
                                         Widths{{3, 5, 1}}, Widths{{5, 17, 40, 1}},
                                         Widths{{2, 48, 16, 1}}, Widths{{19, 33, 1}}));

}  // namespace
}  // namespace ebm
