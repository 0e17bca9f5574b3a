// Division that rounds up: how many parts of a size cover a whole.
#pragma once

#include <cstdint>

#include "cuda/base/host_device.cuh"

namespace ebm {

/// For a dividend of 0 or more and a positive divisor.
EBM_HOST_DEVICE constexpr std::int64_t ceil_div(std::int64_t dividend, std::int64_t divisor) {
  return (dividend + divisor - 1) / divisor;
}

}  // namespace ebm
