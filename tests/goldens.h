// The golden tensors computed with PyTorch in float64 (tests/data), and the inputs they name.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cuda/nn/network.h"
#include "host/output/safetensors.h"

namespace ebm {

/// The inputs of a golden file: n values uniform on (−1, 1), a pure function of a name: FNV-1a, then
/// splitmix64.
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
  return read_safetensors(std::string(EBM_TEST_DATA) + "/" + stem + ".safetensors");
}


/// ‖out − golden‖ / ‖golden‖.
inline double relative_error(std::span<const float> out, std::span<const float> golden) {
  EXPECT_EQ(out.size(), golden.size());
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < golden.size(); ++i) {
    const double d = static_cast<double>(out[i]) - static_cast<double>(golden[i]);
    difference += d * d;
    norm += static_cast<double>(golden[i]) * static_cast<double>(golden[i]);
  }
  return std::sqrt(difference / norm);
}

/// A tensor as the goldens sample it: the first 256 of every s-th value, s = max(1, n/256); then
/// its sum and its L2 norm.
inline std::vector<float> sampled(std::span<const float> tensor) {
  std::vector<float> out;
  const std::size_t stride = std::max<std::size_t>(1, tensor.size() / 256);
  for (std::size_t i = 0; i < tensor.size() && out.size() < 256; i += stride) {
    out.push_back(tensor[i]);
  }
  double sum = 0;
  double squares = 0;
  for (const float v : tensor) {
    sum += static_cast<double>(v);
    squares += static_cast<double>(v) * static_cast<double>(v);
  }
  out.push_back(static_cast<float>(sum));
  out.push_back(static_cast<float>(std::sqrt(squares)));
  return out;
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

}  // namespace ebm
