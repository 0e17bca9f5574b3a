// SIMD vectors (GCC's and Clang's vector types): how wide the processor has them, and moving them
// whole between memory and registers. Code is written for vectors of the processor's own width:
// wider ones, which a compiler would take apart, are ten times slower.
#pragma once

#include "cuda/base/host_device.cuh"

namespace ebm {

using Float4 [[gnu::vector_size(16)]] = float;
using Float8 [[gnu::vector_size(32)]] = float;
using Float16 [[gnu::vector_size(64)]] = float;

#if defined(__x86_64__)
#define EBM_AVX512 [[gnu::target("avx512f,avx512dq,avx512vl,avx512bw,fma")]]
#define EBM_AVX2 [[gnu::target("avx2,fma")]]
#endif

/// Floats in this processor's widest vectors: 16, whose functions are marked EBM_AVX512, 8, marked
/// EBM_AVX2, or 4.
inline int widest_vectors() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    return 16;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return 8;
  }
#endif
  return 4;
}

/// A vector anywhere in memory. Copying its bytes instead would go through halves of vectors on the
/// way, which a processor cannot read back whole before they have reached its cache.
template <class Vector, class Value>
struct Unaligned {
  using Type [[gnu::vector_size(sizeof(Vector)), gnu::aligned(alignof(Value)), gnu::may_alias]] =
      Value;
};

template <class Vector, class Value>
EBM_HOST_DEVICE void load(const Value* from, Vector& to) {
  to = *reinterpret_cast<const typename Unaligned<Vector, Value>::Type*>(from);
}

/// The same, but the compiler may not load again wherever the value is used.
template <class Vector, class Value>
EBM_HOST_DEVICE void load_once(const Value* from, Vector& to) {
  to = *reinterpret_cast<const volatile typename Unaligned<Vector, Value>::Type*>(from);
}

template <class Vector, class Value>
EBM_HOST_DEVICE void store(Value* to, const Vector& from) {
  *reinterpret_cast<typename Unaligned<Vector, Value>::Type*>(to) = from;
}

}  // namespace ebm
