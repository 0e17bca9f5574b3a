// Winograd's filtering in one dimension, F(outputs, taps): as many neighbouring outputs of a filter
// with as many taps, from outputs + taps − 1 products. The transforms are matrices, written out
// (A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016: G of
// weights, Bᵀ of inputs, Aᵀ of outputs). See winograd.h.
#pragma once

#include "cuda/base/host_device.cuh"

namespace ebm {

/// F(2, 2), at the points 0, 1 and ∞.
struct TwoOutputsTwoTaps {
  static constexpr int kOutputs = 2;
  static constexpr int kTaps = 2;
  static constexpr int kPoints = 3;

  template <class T>
  EBM_HOST_DEVICE static void weights(const T* g, T* u) {
    u[0] = g[0];
    u[1] = g[0] + g[1];
    u[2] = g[1];
  }
  template <class T>
  EBM_HOST_DEVICE static void inputs(const T* d, T* v) {
    v[0] = d[0] - d[1];
    v[1] = d[1];
    v[2] = d[2] - d[1];
  }
  template <class T>
  EBM_HOST_DEVICE static void outputs(const T* m, T* y) {
    y[0] = m[0] + m[1];
    y[1] = m[1] + m[2];
  }
  /// The last two, transposed.
  template <class T>
  EBM_HOST_DEVICE static void inputs_back(const T* dv, T* dd) {
    dd[0] = dv[0];
    dd[1] = dv[1] - dv[0] - dv[2];
    dd[2] = dv[2];
  }
  template <class T>
  EBM_HOST_DEVICE static void outputs_back(const T* dy, T* dm) {
    dm[0] = dy[0];
    dm[1] = dy[0] + dy[1];
    dm[2] = dy[1];
  }
};

/// F(4, 2), at ½, −½, 1, −1 and ∞. Sums of 256 channels err by 2.3 times what they do with F(2, 2)
/// at these points, with 0, 1, −1, 2 and ∞ by 3.1 times (B. Barabasz et al., Error Analysis and
/// Improving the Accuracy of Winograd Convolution for Deep Neural Networks, ACM TOMS 46, 2020, is
/// on choosing them).
struct FourOutputsTwoTaps {
  static constexpr int kOutputs = 4;
  static constexpr int kTaps = 2;
  static constexpr int kPoints = 5;

  template <class T>
  EBM_HOST_DEVICE static void weights(const T* g, T* u) {
    constexpr float kThird = 1.0F / 3;
    u[0] = (-4 * kThird) * g[0] - (2 * kThird) * g[1];
    u[1] = (4 * kThird) * g[0] - (2 * kThird) * g[1];
    u[2] = (2 * kThird) * g[0] + (2 * kThird) * g[1];
    u[3] = (2 * kThird) * g[1] - (2 * kThird) * g[0];
    u[4] = g[1];
  }
  template <class T>
  EBM_HOST_DEVICE static void inputs(const T* d, T* v) {
    const T rise = d[2] - d[0];
    const T next_rise = d[3] - d[1];
    const T even = d[2] - 0.25F * d[0];
    const T odd = d[3] - 0.25F * d[1];
    v[0] = next_rise + 0.5F * rise;
    v[1] = next_rise - 0.5F * rise;
    v[2] = odd + even;
    v[3] = odd - even;
    v[4] = d[4] - d[2] - 0.25F * rise;
  }
  template <class T>
  EBM_HOST_DEVICE static void outputs(const T* m, T* y) {
    const T half_even = m[0] + m[1];
    const T half_odd = m[0] - m[1];
    const T even = m[2] + m[3];
    const T odd = m[2] - m[3];
    y[0] = even + half_even;
    y[1] = odd + 0.5F * half_odd;
    y[2] = even + 0.25F * half_even;
    y[3] = odd + 0.125F * half_odd + m[4];
  }
  /// The last two, transposed.
  template <class T>
  EBM_HOST_DEVICE static void inputs_back(const T* dv, T* dd) {
    const T half_even = dv[0] + dv[1];
    const T half_odd = dv[0] - dv[1];
    const T even = dv[2] + dv[3];
    const T odd = dv[2] - dv[3];
    dd[0] = 0.25F * (dv[4] - odd) - 0.5F * half_odd;
    dd[1] = -half_even - 0.25F * even;
    dd[2] = odd + 0.5F * half_odd - 1.25F * dv[4];
    dd[3] = half_even + even;
    dd[4] = dv[4];
  }
  template <class T>
  EBM_HOST_DEVICE static void outputs_back(const T* dy, T* dm) {
    const T half_even = dy[0] + 0.25F * dy[2];
    const T half_odd = 0.5F * dy[1] + 0.125F * dy[3];
    const T even = dy[0] + dy[2];
    const T odd = dy[1] + dy[3];
    dm[0] = half_even + half_odd;
    dm[1] = half_even - half_odd;
    dm[2] = even + odd;
    dm[3] = even - odd;
    dm[4] = dy[3];
  }
};

/// F(2, 3), at 0, 1, −1 and ∞.
struct TwoOutputsThreeTaps {
  static constexpr int kOutputs = 2;
  static constexpr int kTaps = 3;
  static constexpr int kPoints = 4;

  template <class T>
  EBM_HOST_DEVICE static void weights(const T* g, T* u) {
    u[0] = g[0];
    u[1] = (g[0] + g[1] + g[2]) / 2;
    u[2] = (g[0] - g[1] + g[2]) / 2;
    u[3] = g[2];
  }
  template <class T>
  EBM_HOST_DEVICE static void inputs(const T* d, T* v) {
    v[0] = d[0] - d[2];
    v[1] = d[1] + d[2];
    v[2] = d[2] - d[1];
    v[3] = d[1] - d[3];
  }
  template <class T>
  EBM_HOST_DEVICE static void outputs(const T* m, T* y) {
    y[0] = m[0] + m[1] + m[2];
    y[1] = m[1] - m[2] - m[3];
  }
  /// The last two, transposed.
  template <class T>
  EBM_HOST_DEVICE static void inputs_back(const T* dv, T* dd) {
    dd[0] = dv[0];
    dd[1] = dv[1] - dv[2] + dv[3];
    dd[2] = dv[1] + dv[2] - dv[0];
    dd[3] = -dv[3];
  }
  template <class T>
  EBM_HOST_DEVICE static void outputs_back(const T* dy, T* dm) {
    dm[0] = dy[0];
    dm[1] = dy[0] + dy[1];
    dm[2] = dy[0] - dy[1];
    dm[3] = -dy[1];
  }
};

/// A one-dimensional transform from `from` to `to` values, done to columns and then to rows.
template <int from, int to, class T, class Transform>
EBM_HOST_DEVICE void in_both_dimensions(const T (&in)[from * from], T (&out)[to * to],
                                        const Transform& transform) {
  T half[from * to];  // row by row
  for (int column = 0; column < from; ++column) {
    T before[from];
    T after[to];
    for (int i = 0; i < from; ++i) {
      before[i] = in[i * from + column];
    }
    transform(before, after);
    for (int i = 0; i < to; ++i) {
      half[i * from + column] = after[i];
    }
  }
  for (int row = 0; row < to; ++row) {
    transform(half + row * from, out + row * to);
  }
}

}  // namespace ebm
