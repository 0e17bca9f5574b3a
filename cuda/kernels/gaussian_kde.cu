#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <optional>

#include "cuda/base/ceil_div.h"
#include "cuda/base/cpu_clones.h"
#include "cuda/base/host_device.cuh"
#include "cuda/device/launch.cuh"
#ifdef __CUDACC__
#include "cuda/device/array.h"
#endif
#include "cuda/kernels/gaussian_kde.h"

namespace ebm {
namespace {

/// 2^t for t <= 0 to 2e-7 relative, without branches; exactly 0 for t < -126.5 and
/// for NaN. The polynomial is that of Cephes' exp2f (Moshier), on [-1/2, 1/2].
EBM_HOST_DEVICE float exp2_nonpositive(float t) {
  constexpr float kLowest = -127.0f;  // the bits of its power of two are those of zero
  constexpr float kRoundTrick =
      12582912.0f;  // 1.5 · 2^23: a sum with it ends in t's nearest integer
  t = t > kLowest ? t : kLowest;
  const float shifted = t + kRoundTrick;
  const float r = t - (shifted - kRoundTrick);
  float power = 1.535336188319500e-4f;
  power = power * r + 1.339887440266574e-3f;
  power = power * r + 9.618437357674640e-3f;
  power = power * r + 5.550332471162809e-2f;
  power = power * r + 2.402264791363012e-1f;
  power = power * r + 6.931472028550421e-1f;
  power = power * r + 1.0f;
  return power * std::bit_cast<float>((std::bit_cast<std::uint32_t>(shifted) + 127u) << 23);
}

/// The Gaussian kernel, up to its constant: 2^-|W (dx, dy)|² for a lower triangular W.
struct Kernel {
  float xx, yx, yy;  ///< W's entries

  EBM_HOST_DEVICE float operator()(float dx, float dy) const {
    const float u = xx * dx;
    const float v = yx * dx + yy * dy;
    return exp2_nonpositive(-(u * u + v * v));
  }
};

/// States summed in float32 before the sum is added to a float64 total. Part of the result's bits.
constexpr std::size_t kStatesPerPartialSum = 128;

/// Neighbouring points of a grid row that are computed together: the lanes of the vector loop.
constexpr std::size_t kLanes = 16;

/// Kernel sums over all states at the kLanes points (x[lane], y).
EBM_CPU_CLONES std::array<double, kLanes> kernel_sums(const Kernel& kernel,
                                                      std::span<const float> states, const float* x,
                                                      float y) {
  std::array<double, kLanes> totals{};
  for (std::size_t begin = 0; begin < states.size(); begin += 2 * kStatesPerPartialSum) {
    const std::size_t end = std::min(states.size(), begin + 2 * kStatesPerPartialSum);
    float sums[kLanes] = {};
    for (std::size_t i = begin; i < end; i += 2) {
      const float state_x = states[i];
      const float dy = y - states[i + 1];
#pragma omp simd
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        sums[lane] += kernel(x[lane] - state_x, dy);
      }
    }
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      totals[lane] += static_cast<double>(sums[lane]);
    }
  }
  return totals;
}

/// density = scale · kernel sum at every grid point.
void launch_on_cpu(const Kernel& kernel, double scale, std::span<const float> states,
                   std::span<const float> axis, std::span<float> density) {
  const std::size_t resolution = axis.size();
  const std::size_t blocks = ceil_div(resolution, kLanes);
  std::vector<float> x(axis.begin(), axis.end());
  x.resize(blocks * kLanes);  // the last block's spare lanes are computed and dropped
  const auto work = static_cast<std::int64_t>(states.size() * kLanes);
  for_each_row(static_cast<std::int64_t>(resolution * blocks), work, [&](std::int64_t index) {
    const std::size_t row = static_cast<std::size_t>(index) / blocks;
    const std::size_t begin = static_cast<std::size_t>(index) % blocks * kLanes;
    const auto sums = kernel_sums(kernel, states, &x[begin], axis[row]);
    const std::size_t used = std::min(kLanes, resolution - begin);
    for (std::size_t lane = 0; lane < used; ++lane) {
      density[row * resolution + begin + lane] = static_cast<float>(scale * sums[lane]);
    }
  });
}

/// A kernel and the constant that makes a sum over the states a density.
struct Fit {
  Kernel kernel;
  double scale;
};

/// The kernel of covariance bandwidth² · C, C the sample covariance of finite states; none when C
/// is singular at the scale of a grid that reaches `extent` from 0.
std::optional<Fit> fit(std::span<const float> states, double bandwidth, double extent) {
  const auto count = static_cast<double>(states.size()) / 2;
  if (count < 3) return std::nullopt;

  double mean_x = 0, mean_y = 0;
  for (std::size_t i = 0; i < states.size(); i += 2) {
    mean_x += static_cast<double>(states[i]) / count;
    mean_y += static_cast<double>(states[i + 1]) / count;
  }
  double xx = 0, xy = 0, yy = 0;
  for (std::size_t i = 0; i < states.size(); i += 2) {
    const double dx = static_cast<double>(states[i]) - mean_x;
    const double dy = static_cast<double>(states[i + 1]) - mean_y;
    xx += dx * dx / (count - 1);
    xy += dx * dy / (count - 1);
    yy += dy * dy / (count - 1);
  }

  // C = L Lᵀ; W = (bandwidth · L)⁻¹ √(log₂e / 2), so that exp(−½ dᵀ(bandwidth² C)⁻¹d) = 2^−|W d|².
  const double l_xx = std::sqrt(xx);
  const double l_yx = xy / l_xx;
  const double l_yy = std::sqrt(yy - l_yx * l_yx);
  constexpr double kResolvable = 1e-6;  // a relative spread below this is float32 rounding
  const bool spans_plane = l_xx > kResolvable * std::max(std::abs(mean_x), extent) &&
                           l_yy > kResolvable * std::max({std::abs(mean_y), std::sqrt(yy), extent});
  if (!spans_plane) return std::nullopt;  // also when an entry is NaN
  const double unit = std::sqrt(std::numbers::log2e / 2) / bandwidth;
  return Fit{.kernel = {.xx = static_cast<float>(unit / l_xx),
                        .yx = static_cast<float>(-unit * l_yx / (l_xx * l_yy)),
                        .yy = static_cast<float>(unit / l_yy)},
             .scale = 1 / (count * 2 * std::numbers::pi * bandwidth * bandwidth * l_xx * l_yy)};
}

std::vector<float> finite_states(std::span<const float> states) {
  std::vector<float> finite;
  finite.reserve(states.size());
  for (std::size_t i = 0; i + 1 < states.size(); i += 2) {
    if (std::isfinite(states[i]) && std::isfinite(states[i + 1])) {
      finite.insert(finite.end(), {states[i], states[i + 1]});
    }
  }
  return finite;
}

#ifdef __CUDACC__
/// One point of the grid, its sums in the CPU's order.
struct DensityBody {
  Kernel kernel;
  double scale;
  const float* states;
  std::int64_t values;  // 2 a state
  const float* axis;
  std::int64_t resolution;
  float* density;

  EBM_HOST_DEVICE void operator()(std::int64_t i) const {
    const float x = axis[i % resolution];
    const float y = axis[i / resolution];
    double total = 0;
    for (std::int64_t begin = 0; begin < values; begin += kBlock) {
      const std::int64_t end = begin + kBlock < values ? begin + kBlock : values;
      float sum = 0;
      for (std::int64_t k = begin; k < end; k += 2) {
        sum += kernel(x - states[k], y - states[k + 1]);
      }
      total += static_cast<double>(sum);
    }
    density[i] = static_cast<float>(scale * total);
  }

  static constexpr std::int64_t kBlock = 2 * kStatesPerPartialSum;
};

/// What launch_on_cpu does, on a device.
void launch_on_device(const CudaStream& stream, const Kernel& kernel, double scale,
                      std::span<const float> states, std::span<const float> axis,
                      std::span<float> density) {
  const Mirror<const float> states_there(stream, states);
  const Mirror<const float> axis_there(stream, axis);
  DeviceBuffer<float> result(stream, density.size());
  for_each_index(stream, std::ssize(density),
                 DensityBody{kernel, scale, states_there.data(), std::ssize(states),
                             axis_there.data(), std::ssize(axis), result.data()});
  result.download(stream, density);
  stream.wait();
}

#endif

}  // namespace

KernelDensity gaussian_kde([[maybe_unused]] const Queue& queue, std::span<const float> states,
                           double bandwidth, std::span<const float> axis) {
  const std::vector<float> finite = finite_states(states);
  KernelDensity result{.density = std::vector<float>(axis.size() * axis.size(), 0.0f),
                       .left_out = (states.size() - finite.size()) / 2};
  const double extent = std::max(std::abs(axis.front()), std::abs(axis.back()));
  const std::optional<Fit> found = fit(finite, bandwidth, extent);
  if (!found) {
    return result;
  }
#ifdef __CUDACC__
  if (!queue.on_cpu()) {
    launch_on_device(queue.stream(), found->kernel, found->scale, finite, axis, result.density);
    return result;
  }
#endif
  launch_on_cpu(found->kernel, found->scale, finite, axis, result.density);
  return result;
}

}  // namespace ebm
