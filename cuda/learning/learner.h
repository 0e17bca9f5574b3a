// Algorithm 1's iterations on a device.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "cuda/device/buffer.h"
#include "cuda/kernels/gaussian_kde.h"
#include "cuda/learning/learning_limits.cuh"
#include "cuda/learning/optimizer.h"
#include "cuda/mcmc/data_batches.h"
#include "cuda/mcmc/initial_states.h"
#include "cuda/mcmc/persistent_bank.h"
#include "cuda/nn/energy.h"
#include "cuda/nn/network.h"
#include "cuda/nn/precision.h"

namespace ebm {

/// What an iteration changes.
struct LearnerState {
  Buffer<float> theta;
  Optimizer optimizer;
  std::optional<PersistentBank> bank;  ///< init: persistent
};

/// What stays the same from one iteration to the next.
struct LearnerSettings {
  float epsilon = 0;
  int steps = 0;                                   ///< L
  std::optional<std::pair<float, float>> clamp{};  ///< of every component after each step
  InitialStates init = InitialStates::persistent;
  float noise_factor = 1;  ///< of uniform and Gaussian starts
  std::int64_t batch_size = 0;
  LearningLimits limits{};
};

/// One iteration, numbered from 1.
struct Iteration {
  std::int64_t number = 0;
  double learning_rate = 0;   ///< as recorded
  double optimizer_rate = 0;  ///< what θ's gradient is multiplied by
};

/// What came of it.
struct IterationResult {
  Iteration iteration{};
  double d_s = 0;
  double r_s = 0;
  double largest_energy = 0;  ///< max |U| of both batches
  float largest_weight = 0;   ///< max |θ| after the step; 0 when there was none
  Fault fault = Fault::none;
  double seconds =
      0;  ///< that it took; an average over neighbouring iterations where no clock stops
};

/// Computes iterations one after the other. The state is in the device's hands between begin() and
/// synchronize(); a device may still be at work on an iteration, and on some before it, when
/// iterate() returns.
///
/// An iteration whose numbers are beyond the limits ends learning: bank, and (unless it is the
/// weights that are) θ and the optimizer stay as they were before it, and iterations that have been
/// begun after it leave no trace.
class Learner {
 public:
  virtual ~Learner() = default;
  Learner() = default;
  Learner(const Learner&) = delete;
  Learner& operator=(const Learner&) = delete;

  /// Goes on from `state`, whose random numbers are those of `seed`. Borrowed until the next
  /// begin().
  virtual void begin(LearnerState& state, std::uint64_t seed) = 0;

  /// The next iteration. Now and then asks whether to give it up, and if so returns false and
  /// leaves everything as it was before it.
  virtual bool iterate(const Iteration& iteration, const std::function<bool()>& give_up) = 0;

  /// The results, in order, that have not been returned yet. With `all`, waits for those of all
  /// iterations begun; else returns what there is, but at least every few hundred iterations and
  /// seconds, and at once when there is a fault, whose result is the last. Valid until the next
  /// call.
  virtual std::span<const IterationResult> results(bool all) = 0;

  /// Brings the borrowed state and chains() up to date with the last iteration begun.
  virtual void synchronize() = 0;
  /// X⁻ of the last iteration, after its Langevin steps.
  virtual std::span<const float> chains() const = 0;

  /// The energy at the θ of now, for diagnostics.
  virtual Energy& energy() = 0;
  /// gaussian_kde() on this device.
  virtual KernelDensity density(std::span<const float> states, double bandwidth,
                                std::span<const float> axis) = 0;
  /// Turns a profiler of the device on or off that waits for that; on the CPU there is none.
  virtual void profile(bool on) = 0;
};

/// The learner of the CPU, with an energy of this precision (see make_cpu_energy). `data` is
/// borrowed, and is drawn from by nobody else meanwhile.
std::unique_ptr<Learner> make_cpu_learner(const Network& network, const LearnerSettings& settings,
                                          DataBatches& data, Precision precision);

}  // namespace ebm
