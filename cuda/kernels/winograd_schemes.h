// Winograd's filtering of two outputs, for two kinds of kernels: the one-dimensional transforms, as
// matrices that are written out (A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural
// Networks, CVPR 2016: Bᵀ of inputs, G of weights, Aᵀ of outputs). See winograd.h.
#pragma once

#include "cuda/device/host_device.cuh"

namespace ebm {

/// F(2, 2) for a kernel of 4 with stride 2: three points a dimension, from three inputs of each
/// parity.
struct FourTapsStrideTwo {
  static constexpr int kKernel = 4;
  static constexpr int kStride = 2;
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

/// F(2, 3): four points a dimension, from four inputs.
struct ThreeTaps {
  static constexpr int kKernel = 3;
  static constexpr int kStride = 1;
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
