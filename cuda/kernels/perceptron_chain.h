// Whole Langevin chains of a perceptron in one call, on one CPU thread: the states, activations and
// gradients of a group of chains never leave the first-level cache, and SIMD lanes are chains.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cuda/device/buffer.h"
#include "cuda/kernels/langevin_update.cuh"

namespace ebm {

/// Chains that run together, one a vector lane; and twice as many, which share every weight that is
/// read where there are registers for them.
inline constexpr int kPerceptronLanes = 16;
inline constexpr int kPerceptronCapacity = 2 * kPerceptronLanes;

/// How many chains of a batch had best run together when `threads` threads share it.
int perceptron_chains_together(std::int64_t batch, int threads);

/// A perceptron: linear layers with LeakyReLU between them and one output.
/// widths[0] inputs, widths[l] outputs of layer l, widths.back() == 1.
class Perceptron {
 public:
  explicit Perceptron(std::vector<int> widths);

  const std::vector<int>& widths() const { return widths_; }
  std::size_t layers() const { return widths_.size() - 1; }
  /// Copies layer l's weights (out, in) and bias (out).
  void set_layer(std::size_t l, const float* weight, const float* bias);

  /// (in, out): what one input contributes to each output, contiguous.
  const float* by_input(std::size_t l) const { return by_input_[l].data(); }
  /// (out, in): what one output's gradient contributes to each input's.
  const float* by_output(std::size_t l) const { return by_output_[l].data(); }
  const float* bias(std::size_t l) const { return bias_[l].data(); }

 private:
  std::vector<int> widths_;
  std::vector<Buffer<float>> by_input_;
  std::vector<Buffer<float>> by_output_;
  std::vector<Buffer<float>> bias_;
};

/// What one thread needs to run a perceptron on kPerceptronCapacity chains. Makes no allocation
/// after construction.
class PerceptronChains {
 public:
  explicit PerceptronChains(const Perceptron& perceptron);

  /// f and, when gradients is not null, ∇ₓf of 1 … kPerceptronCapacity states.
  void evaluate(const float* states, int chains, float* f, float* gradients);

  /// `steps` Langevin steps of 1 … kPerceptronCapacity chains in place, the first numbered
  /// update.step; adds Σ_steps ‖∇ₓf‖ to norm_sums. given_noise, when not null, replaces the
  /// normals: that of step s and this group's chain c starts at given_noise + s·noise_stride +
  /// c·state_size.
  void run(const LangevinUpdate& update, int steps, std::uint32_t first_chain, int chains,
           const float* given_noise, std::int64_t noise_stride, float* states, float* norm_sums);

 private:
  void load(const float* states, int chains);
  void spread(const float* values, int chains, float* lane_values) const;
  void gather(const float* lane_values, int chains, float* values) const;
  const float* gradient();
  int lanes() const { return groups_ * kPerceptronLanes; }

  const Perceptron* perceptron_;
  int groups_ = 1;                    // of kPerceptronLanes chains that are loaded
  std::int64_t widest_ = 0;           // layer
  std::vector<std::int64_t> offset_;  // of layer l's input in activations_
  Buffer<float> activations_;         // [layer][unit][lane]
  Buffer<float> gradients_;           // [2][unit][lane]
  Buffer<float> noise_;               // [component][lane]
};

}  // namespace ebm
