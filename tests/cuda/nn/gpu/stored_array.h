// Arrays of a network's layer in the device's memory, as a precision stores them, and what is to be
// computed of them.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cuda/device/bfloat16.cuh"
#include "cuda/device/device_buffer.h"
#include "cuda/nn/precision.h"
#include "tests/support/numbers.h"

namespace ebm {

/// Numbers that the precision stores as they are.
inline std::vector<float> numbers_of(Precision precision, std::size_t n, std::uint32_t seed) {
  std::vector<float> values = numbers(n, seed);
  for (float& value : values) {
    value = precision == Precision::bf16 ? static_cast<float>(Bfloat16(value)) : value;
  }
  return values;
}

/// Values in the device's memory as a precision stores them.
class StoredArray {
 public:
  StoredArray(const CudaStream& stream, bool as_bfloat16, const std::vector<float>& values)
      : stream_(stream),
        as_bfloat16_(as_bfloat16),
        size_(values.size()),
        bytes_(stream, size_ * (as_bfloat16 ? sizeof(Bfloat16) : sizeof(float))) {
    upload(values);
  }

  void upload(const std::vector<float>& values) {
    if (as_bfloat16_) {
      std::vector<Bfloat16> shorter;
      for (const float value : values) {
        shorter.emplace_back(value);
      }
      bytes_.upload(stream_, std::as_bytes(std::span(shorter)));
    } else {
      bytes_.upload(stream_, std::as_bytes(std::span(values)));
    }
  }
  void* data() { return bytes_.data(); }
  std::vector<float> values() const {
    std::vector<float> values(size_);
    if (as_bfloat16_) {
      std::vector<Bfloat16> shorter(size_);
      bytes_.download(stream_, std::as_writable_bytes(std::span(shorter)));
      stream_.wait();
      for (std::size_t i = 0; i < size_; ++i) {
        values[i] = static_cast<float>(shorter[i]);
      }
    } else {
      bytes_.download(stream_, std::as_writable_bytes(std::span(values)));
      stream_.wait();
    }
    return values;
  }

 private:
  const CudaStream& stream_;
  bool as_bfloat16_;
  std::size_t size_;
  DeviceBuffer<std::byte> bytes_;
};

/// Sums of products, and the sums of the products' magnitudes, which rounding is relative to.
struct Sums {
  explicit Sums(std::size_t size) : exact(size), magnitude(size) {}
  void add(std::size_t i, double product) {
    exact[i] += product;
    magnitude[i] += std::abs(product);
  }

  std::vector<double> exact;
  std::vector<double> magnitude;
};

/// |value − exact| is at most what sums of n products in float, in any order, are off by (Higham,
/// Accuracy and Stability of Numerical Algorithms, section 3.1); in tf32, of factors cut to 11
/// bits; and what storing `bfloat16_stores` results no larger than the magnitude as Bfloat16
/// rounds.
inline void expect_near(const std::vector<float>& values, const Sums& sums, std::int64_t n,
                        Precision precision, int bfloat16_stores) {
  const double factors = precision == Precision::tf32 ? 2 * 0x1p-10 : 0;
  const double storing = precision == Precision::bf16 ? bfloat16_stores * 0x1p-8 : 0;
  const double relative = static_cast<double>(n + 2) * kRounding + factors + storing;
  ASSERT_EQ(values.size(), sums.exact.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_NEAR(values[i], sums.exact[i], relative * sums.magnitude[i]) << "value " << i;
  }
}

}  // namespace ebm
