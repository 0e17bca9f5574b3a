// Functions of one value, applied to every element of an array on a device, and their derivatives.
// For .cu files.
#pragma once

#include <cstdint>

#include "cuda/device/launch.cuh"
#ifdef __CUDACC__
#include "cuda/device/bfloat16.cuh"
#include "cuda/device/packs.cuh"

namespace ebm {

template <class Function, class T, int count>
struct ApplyBody {
  Function f;
  const T* x;
  T* y;

  EBM_HOST_DEVICE void operator()(std::int64_t pack) const {
    Floats<count> values = load_pack<count>(x + pack * count);
    for (int k = 0; k < count; ++k) {
      values.v[k] = f(values.v[k]);
    }
    store_pack(y + pack * count, values);
  }
};

template <class Function, class T, int count>
struct ApplyGradientBody {
  Function f;
  const T* at;
  const T* dy;
  T* dx;

  EBM_HOST_DEVICE void operator()(std::int64_t pack) const {
    const Floats<count> places = load_pack<count>(at + pack * count);
    Floats<count> gradients = load_pack<count>(dy + pack * count);
    for (int k = 0; k < count; ++k) {
      gradients.v[k] = f.gradient(places.v[k], gradients.v[k]);
    }
    store_pack(dx + pack * count, gradients);
  }
};

/// y[i] = f(x[i]) for n values, enqueued. x and y may be the same memory.
template <class Function, class T>
void apply(const CudaStream& stream, const Function& f, std::int64_t n, const T* x, T* y) {
  with_widest_pack<T>(
      n,
      [&](auto width) {
        constexpr int kCount = decltype(width)::value;
        for_each_index(stream, n / kCount, ApplyBody<Function, T, kCount>{f, x, y});
      },
      x, y);
}

/// dx[i] = f.gradient(at[i], dy[i]) for n values, enqueued; `at` is f's input or its output, as
/// gradient wants it. dx and dy may be the same memory.
template <class T, class Function>
void apply_gradient(const CudaStream& stream, const Function& f, std::int64_t n, const T* at,
                    const T* dy, T* dx) {
  with_widest_pack<T>(
      n,
      [&](auto width) {
        constexpr int kCount = decltype(width)::value;
        for_each_index(stream, n / kCount, ApplyGradientBody<Function, T, kCount>{f, at, dy, dx});
      },
      at, dy, dx);
}

}  // namespace ebm
#endif
