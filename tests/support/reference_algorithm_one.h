// Algorithm 1 in float64, written from its definition: what whole training runs are tested against.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cuda/nn/network.h"
#include "cuda/random/philox.cuh"
#include "host/config/config.h"
#include "tests/support/reference_learning.h"

namespace ebm {

/// What learning goes on from. Of a program, every value is a float.
struct ReferenceState {
  std::vector<double> theta;
  std::vector<double> first_moments;   ///< Adam's; none with SGD
  std::vector<double> second_moments;  ///< likewise
  std::vector<double> bank;            ///< rows × state size; none unless chains are persistent
};

/// An iteration and all that is made on its way.
struct ReferenceIteration {
  double learning_rate = 0;       ///< as recorded
  double optimizer_rate = 0;      ///< what θ's gradient, or Adam's quotient, is multiplied by
  std::vector<double> data;       ///< X⁺
  std::vector<double> chains;     ///< X⁻
  double r_s = 0;                 ///< gradient strength
  double steepest = 0;            ///< the largest ‖∇ₓf‖ of any chain at any step
  std::vector<double> magnitude;  ///< of each chain's component, the largest |x| on its way
  std::vector<std::size_t> rows;  ///< of the bank, that the chains start from and are put back to
  ReferenceGradient gradient;     ///< with d_s
  std::size_t undecided = 0;      ///< branches that float32 leaves open, of chains and gradient
  ReferenceState after;
};

/// Training with one configuration. Random numbers are a run's own: the same words, to which the
/// definitions are applied here.
class ReferenceAlgorithmOne {
 public:
  /// `images` are the prepared training images; none for a toy density.
  ReferenceAlgorithmOne(const TrainConfig& config, std::span<const float> images);

  const Network& network() const { return network_; }
  ReferenceState start() const;
  /// Iteration t, counted from 1, of a run that is in this state.
  ReferenceIteration iterate(std::uint32_t t, const ReferenceState& state) const;

 private:
  RandomStream stream(Purpose purpose, std::uint32_t t) const { return {config_.seed, purpose, t}; }
  std::size_t batch() const { return static_cast<std::size_t>(config_.train.batch_size); }
  std::vector<std::size_t> drawn_rows(Purpose purpose, std::uint32_t t, std::size_t rows) const;
  std::vector<double> drawn_data(std::uint32_t t, bool as_starts) const;
  std::vector<double> drawn_starts(const ReferenceIteration& iteration, std::uint32_t t,
                                   const ReferenceState& state) const;
  void run_chains(std::uint32_t t, std::span<const double> theta,
                  ReferenceIteration& iteration) const;
  void step_weights(std::uint32_t t, const ReferenceState& state,
                    ReferenceIteration& iteration) const;

  TrainConfig config_;
  Network network_;
  std::vector<double> images_;
  std::size_t size_;  // of a state
};

}  // namespace ebm
