// The largest of many values in size: whether numbers are still within bounds.
#pragma once

#include <cstdint>

namespace ebm {

/// max |values[i]|, 0 of none; NaN when there is a NaN, infinite when there is an infinity.
float largest_size(std::int64_t n, const float* values);

}  // namespace ebm
