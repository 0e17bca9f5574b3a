// SIMD vectors (GCC's and Clang's vector types): how wide the processor has them, computing with
// those, and moving them whole between memory and registers. Code is written for vectors of the
// processor's own width: wider ones, which a compiler would take apart, are ten times slower.
#pragma once

#include "cuda/base/host_device.cuh"

namespace ebm {

using Float4 [[gnu::vector_size(16)]] = float;
using Float8 [[gnu::vector_size(32)]] = float;
using Float16 [[gnu::vector_size(64)]] = float;

/// Floats in this processor's widest vectors: 16, 8 or 4.
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

#if defined(__x86_64__)
template <class Work>
[[gnu::target("avx512f,avx512dq,avx512vl,avx512bw,fma")]] auto with_avx512(const Work& work) {
  return work.template operator()<Float16>();
}
template <class Work>
[[gnu::target("avx2,fma")]] auto with_avx2(const Work& work) {
  return work.template operator()<Float8>();
}
#endif

/// Runs work.operator()<Lanes>() with the vectors that have `lanes` floats, widest_vectors() or
/// fewer. What is always inlined there, down to `work` itself, is compiled for processors with such
/// vectors:
///
///   const auto work = [&]<class Lanes>() __attribute__((always_inline)) { … };
template <class Work>
auto with_vectors([[maybe_unused]] int lanes, const Work& work) {
#if defined(__x86_64__)
  if (lanes == 16) {
    return with_avx512(work);
  }
  if (lanes == 8) {
    return with_avx2(work);
  }
#endif
  return work.template operator()<Float4>();
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
