// Exact draws from the toy densities.
#pragma once

#include <cmath>
#include <cstdint>

#include "cuda/base/host_device.cuh"
#include "cuda/device/queue.h"
#include "cuda/random/normal.cuh"
#include "cuda/random/philox.cuh"
#include "cuda/random/shard.h"

namespace ebm {

/// A mixture of `groups` equally weighted components on R².
/// gmm: means radius·(cos 2πk/K, sin 2πk/K), covariance sd²·I.
/// rings: ring k at distance N(radius·(k+1), sd²) from the origin, angle uniform.
struct ToyDraw {
  bool rings = false;
  int groups = 8;
  float sd = 0.15F;
  float radius = 1.0F;

  EBM_HOST_DEVICE void operator()(const Words4& choice, const Words4& words, float* point) const {
    const auto k = static_cast<std::uint32_t>(
        (static_cast<std::uint64_t>(choice.v[0]) * static_cast<std::uint32_t>(groups)) >> 32);
    const Floats4 z = normals(words);
    if (rings) {
      const float distance = radius * static_cast<float>(k + 1) + sd * z.v[0];
      float sine;
      float cosine;
      sin_cos_turn(choice.v[1], sine, cosine);
      point[0] = distance * cosine;
      point[1] = distance * sine;
    } else {
      const float angle = 6.28318530717958648F * static_cast<float>(k) / static_cast<float>(groups);
      point[0] = radius * std::cos(angle) + sd * z.v[0];
      point[1] = radius * std::sin(angle) + sd * z.v[1];
    }
  }
};

/// points[i] (2 values each): independent draws of the stream's iteration, numbered as the shard's
/// chains. `points` is where the queue computes.
void draw_toy_data(const Queue& queue, const ToyDraw& draw, const RandomStream& stream,
                   const Shard& shard, float* points);

}  // namespace ebm
