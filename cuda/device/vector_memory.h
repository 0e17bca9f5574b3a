// Moves whole SIMD vectors (GCC's and Clang's vector types) between memory and registers.
#pragma once

#include "cuda/device/host_device.cuh"

namespace ebm {

/// A vector anywhere in memory. Copying its bytes instead would go through halves of vectors on the
/// way, which a processor cannot read back whole before they have reached its cache.
template <class Vector, class Value>
struct Anywhere {
  using Type [[gnu::vector_size(sizeof(Vector)), gnu::aligned(alignof(Value)), gnu::may_alias]] =
      Value;
};

template <class Vector, class Value>
EBM_HOST_DEVICE void load(const Value* from, Vector& to) {
  to = *reinterpret_cast<const typename Anywhere<Vector, Value>::Type*>(from);
}

/// The same, but the compiler may not load again wherever the value is used.
template <class Vector, class Value>
EBM_HOST_DEVICE void load_once(const Value* from, Vector& to) {
  to = *reinterpret_cast<const volatile typename Anywhere<Vector, Value>::Type*>(from);
}

template <class Vector, class Value>
EBM_HOST_DEVICE void store(Value* to, const Vector& from) {
  *reinterpret_cast<typename Anywhere<Vector, Value>::Type*>(to) = from;
}

}  // namespace ebm
