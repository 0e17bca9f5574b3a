// Whole Langevin chains of a perceptron in one call, on one CPU thread: the states, activations and
// gradients of a group of chains never leave the first-level cache. SIMD lanes are a layer's
// outputs, and a vector of weights that has been read serves every chain of the group: so no lane
// is wasted when chains are few, as it would be if lanes were chains.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cuda/base/buffer.h"
#include "cuda/base/ceil_div.h"
#include "cuda/base/vector_memory.h"
#include "cuda/kernels/langevin_update.cuh"

namespace ebm {

/// Chains that run together. Their sums for two vectors of outputs and what is being multiplied
/// take 15 registers, of the 16 that processors have at least.
inline constexpr int kPerceptronGroup = 6;

/// A perceptron: linear layers with LeakyReLU between them and one output.
/// widths[0] inputs, widths[l] outputs of layer l, widths.back() == 1.
class Perceptron {
 public:
  explicit Perceptron(std::vector<int> widths);

  /// Values that one of such widths takes.
  static std::int64_t values(std::span<const int> widths);

  const std::vector<int>& widths() const { return widths_; }
  std::size_t layers() const { return widths_.size() - 1; }
  /// Copies layer l's weights (out, in) and bias (out).
  void set_layer(std::size_t l, const float* weight, const float* bias);

  /// Values from one row to the next of an array of `width` values a row: whole vectors of any
  /// processor. Those beyond the width are zeros in the weights.
  static std::int64_t row(int width) { return round_up(std::int64_t{width}, 16); }
  /// (in, row(out)): what one input contributes to each output, contiguous.
  const float* by_input(std::size_t l) const { return by_input_[l].data(); }
  /// (out, row(in)): what one output's gradient contributes to each input's.
  const float* by_output(std::size_t l) const { return by_output_[l].data(); }
  const float* bias(std::size_t l) const { return bias_[l].data(); }

 private:
  std::vector<int> widths_;
  std::vector<Buffer<float>> by_input_;
  std::vector<Buffer<float>> by_output_;
  std::vector<Buffer<float>> bias_;
};

/// What one thread needs to run chains of a perceptron, any number in a call, a group at a time.
/// Makes no allocation after construction. A chain's results are the same bits whatever the chains
/// beside it.
class PerceptronChains {
 public:
  /// `lanes` are the floats of the vectors to compute with: widest_vectors() or fewer.
  explicit PerceptronChains(const Perceptron& perceptron, int lanes = widest_vectors());

  /// Values that they take.
  static std::int64_t values(std::span<const int> widths);

  /// f and, when gradients is not null, ∇ₓf of some states.
  void evaluate(const float* states, int chains, float* f, float* gradients);

  /// `steps` Langevin steps of the chains in place, the first numbered update.step; adds
  /// Σ_steps ‖∇ₓf‖ to norm_sums. given_noise, when not null, replaces the normals: that of step s
  /// and chain first_chain + c starts at given_noise + s·noise_stride + c·state_size.
  void run(const LangevinUpdate& update, int steps, std::uint32_t first_chain, int chains,
           const float* given_noise, std::int64_t noise_stride, float* states, float* norm_sums);

 private:
  int state_size() const { return perceptron_->widths().front(); }
  void run_group(const LangevinUpdate& update, int steps, std::uint32_t first_chain, int chains,
                 const float* given_noise, std::int64_t noise_stride, float* states,
                 float* norm_sums);
  void load(const float* states, int chains);
  const float* noise(const LangevinUpdate& update, int step, std::uint32_t first_chain, int chains);
  void forward(int chains, std::size_t layers);
  const float* backward(int chains);

  const Perceptron* perceptron_;
  int lanes_;
  std::vector<std::int64_t> offset_;  // of layer l's input in activations_
  std::int64_t widest_ = 0;           // row
  Buffer<float> activations_;         // [layer][chain][row]
  Buffer<float> gradients_;           // [2][chain][row]
  Buffer<float> noise_;               // [step][chain][component] of the next few steps
};

}  // namespace ebm
