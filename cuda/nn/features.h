// What layers make of states: features by which samples are compared with data.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "cuda/device/queue.h"
#include "cuda/nn/network.h"

namespace ebm {

/// A network that ends in features, in the form that executors take: behind `layers` comes one that
/// makes a number of them, whose key this is. Its parameters are the last of θ, and of no account.
inline constexpr std::string_view kFeatureHead = "feature_head";
Network feature_network(const Shape& states, std::vector<Layer> layers);

/// The features of such a network, compiled for a device, and its work in the order of a queue.
/// Those of an image come channel by channel, as PyTorch flattens it. The same bits every time.
class Features {
 public:
  Features() = default;
  virtual ~Features() = default;
  Features(const Features&) = delete;
  Features& operator=(const Features&) = delete;

  virtual const Queue& queue() const = 0;
  virtual std::int64_t state_size() const = 0;
  virtual std::int64_t size() const = 0;  ///< of one state's features
  /// The most states in a call of compute.
  virtual std::int64_t capacity() const = 0;

  /// Takes a new θ. What is at `theta`, where the queue computes, is copied.
  virtual void set_parameters(const float* theta) = 0;
  /// `features`, count × size(), of states where the queue computes.
  virtual void compute(const float* states, std::int64_t count, float* features) = 0;
};

/// Takes θ from the host's memory.
void set_parameters(Features& features, std::span<const float> theta);

/// The features of states in the host's memory, any number of them: rows of features.size().
std::vector<float> features_of(std::span<const float> states, Features& features);

}  // namespace ebm
