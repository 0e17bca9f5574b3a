// The golden tensors computed with PyTorch in float64 (tests/data), and the inputs they name.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cuda/nn/network.h"
#include "host/files/safetensors.h"
#include "tests/support/places.h"

namespace ebm {

/// The inputs of a golden file: n values uniform on (−1, 1), a pure function of a name: FNV-1a,
/// then splitmix64. Every value is a float32.
inline std::vector<double> hashed(std::string_view name, std::int64_t n) {
  std::uint64_t h = 0xcbf29ce484222325U;
  for (const char c : name) {
    h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  }
  std::vector<double> values;
  for (std::int64_t i = 0; i < n; ++i) {
    std::uint64_t z = h + static_cast<std::uint64_t>(i + 1) * 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    z ^= z >> 31;
    values.push_back((static_cast<double>(z >> 40) + 0.5) * 0x1p-23 - 1.0);
  }
  return values;
}

/// scale·hashed(name), rounded to float32.
inline std::vector<float> hashed_floats(std::string_view name, std::int64_t n, double scale = 1) {
  std::vector<float> values;
  for (const double v : hashed(name, n)) {
    values.push_back(static_cast<float>(v * scale));
  }
  return values;
}

inline TensorFile golden_file(const std::string& stem) {
  return read_safetensors(test_data() / (stem + ".safetensors"));
}

/// The golden parameters of a network: every value hashed(TAG/STEM/KEY)/√fan_in, 64 for biases.
inline std::vector<float> golden_parameters(const Network& network, const std::string& prefix) {
  std::vector<float> theta;
  for (const ParameterTensor& tensor : network.parameters()) {
    const double fan_in = tensor.shape.size() == 1 ? 64.0 : static_cast<double>(tensor.fan_in);
    const std::vector<float> values =
        hashed_floats(prefix + "/" + tensor.name, tensor.size, 1.0 / std::sqrt(fan_in));
    theta.insert(theta.end(), values.begin(), values.end());
  }
  return theta;
}

template <class Values>
std::vector<double> doubles(const Values& values) {
  return {values.begin(), values.end()};
}

inline double sum_of(std::span<const double> values) {
  double sum = 0;
  for (const double v : values) {
    sum += v;
  }
  return sum;
}

/// ‖values‖.
inline double norm_of(std::span<const double> values) {
  double squares = 0;
  for (const double v : values) {
    squares += v * v;
  }
  return std::sqrt(squares);
}

/// ‖out − expected‖ / ‖expected‖, for floats or doubles.
template <class Out, class Expected>
double relative_error(const Out& out, const Expected& expected) {
  EXPECT_EQ(out.size(), expected.size());
  std::vector<double> difference = doubles(out);
  for (std::size_t i = 0; i < std::min(out.size(), expected.size()); ++i) {
    difference[i] -= static_cast<double>(expected[i]);
  }
  return norm_of(difference) / norm_of(doubles(expected));
}

/// A tensor as the goldens sample it: the first 256 of every s-th value, s = max(1, n/256); then
/// its sum and its L2 norm.
template <class Values>
std::vector<double> sampled(const Values& tensor) {
  const std::vector<double> all = doubles(tensor);
  std::vector<double> out;
  const std::size_t stride = std::max<std::size_t>(1, all.size() / 256);
  for (std::size_t i = 0; i < all.size() && out.size() < 256; i += stride) {
    out.push_back(all[i]);
  }
  out.push_back(sum_of(all));
  out.push_back(norm_of(all));
  return out;
}

/// The error of a sample, relative to `scale`: the whole tensor, or for one that cancels to zero
/// the magnitudes of what cancels. Values and norm are relative to its norm. The sum, whose terms
/// may cancel as well, is relative to the sum of absolute values.
inline double sample_error(std::span<const double> sample, std::span<const double> expected,
                           std::span<const double> scale) {
  EXPECT_EQ(sample.size(), expected.size());
  std::vector<double> difference(sample.begin(), sample.end());
  double absolute_sum = 0;
  for (std::size_t i = 0; i < difference.size(); ++i) {
    difference[i] -= expected[i];
  }
  for (const double v : scale) {
    absolute_sum += std::abs(v);
  }
  const std::size_t sum_at = difference.size() - 2;
  const double sum_error = std::abs(difference[sum_at]) / absolute_sum;
  difference[sum_at] = 0;
  return std::max(norm_of(difference) / norm_of(scale), sum_error);
}

}  // namespace ebm
