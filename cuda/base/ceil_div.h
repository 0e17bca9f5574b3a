// Division that rounds up: how many parts of a size cover a whole, and what they cover.
#pragma once

#include <concepts>

#include "cuda/base/host_device.cuh"

namespace ebm {

/// For a dividend of 0 or more and a positive divisor.
template <std::integral Dividend, std::integral Divisor>
EBM_HOST_DEVICE constexpr auto ceil_div(Dividend dividend, Divisor divisor) {
  return (dividend + divisor - 1) / divisor;
}

/// The first multiple that is not less than a value of 0 or more.
template <std::integral Value, std::integral Multiple>
EBM_HOST_DEVICE constexpr auto round_up(Value value, Multiple multiple) {
  return ceil_div(value, multiple) * multiple;
}

}  // namespace ebm
