// What this machine can do at most: the scale that speeds are judged on.
#pragma once

#include <cstdint>
#include <span>

namespace ebm {

/// Independent fused multiply–adds in the registers of this thread, with the widest vectors that
/// the processor has. Returns the floating-point operations done: two each.
double multiply_add(std::int64_t rounds);

/// a[i] = b[i] + 3·c[i] (the triad of McCalpin's STREAM).
void triad(std::span<float> a, std::span<const float> b, std::span<const float> c);

}  // namespace ebm
