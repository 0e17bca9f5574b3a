// The arrays that one operation works on, on either device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cuda/nn/operation.h"

namespace ebm {

/// The two ends of a network: what goes into its first operation and comes out of its last, where
/// the network is computed. On the CPU, arrays are the caller's, of the first `live` images, and
/// the others' states are zeros; on a device they are the network's, of all images.
struct NetworkEnds {
  const float* states = nullptr;  ///< channel-major
  float* gradients = nullptr;     ///< ∇ₓ of the states
  float* f = nullptr;             ///< energies
  float df = 1;  ///< what all gradients are of: Σ df·f over the first `live` images
  std::int64_t live = 0;
};

/// Arrays of images × pixels × channels of type T, borrowed. A device's T is float or Bfloat16.
template <class T>
struct OperationMemory {
  const NetworkEnds* ends = nullptr;
  T* x = nullptr;
  T* y = nullptr;
  T* dx = nullptr;
  T* dy = nullptr;
  const T* skip = nullptr;     ///< of a join
  const T* skip_dy = nullptr;  ///< of a fork
};

/// The arrays that operands name; `Values` has data().
template <class T, class Values>
OperationMemory<T> memory_of(const Operands& operands, const NetworkEnds& ends,
                             std::vector<Values>& values, std::vector<Values>& gradients) {
  const auto array = [](std::vector<Values>& arrays, int i) {
    return i < 0 ? nullptr : arrays[static_cast<std::size_t>(i)].data();
  };
  return {.ends = &ends,
          .x = array(values, operands.x),
          .y = array(values, operands.y),
          .dx = array(gradients, operands.dx),
          .dy = array(gradients, operands.dy),
          .skip = array(values, operands.skip),
          .skip_dy = array(gradients, operands.skip_dy)};
}

}  // namespace ebm
