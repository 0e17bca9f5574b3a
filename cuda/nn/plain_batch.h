// What an operation that is written once for both devices is made of.
#pragma once

#include <cstdint>
#include <type_traits>

#include "cuda/device/queue.h"
#include "cuda/nn/operation_memory.h"

namespace ebm {

/// What a plain operation is made of, a class template of one type of values that is constructed
/// from this and has forward(), y from x, and backward(), dx from dy.
template <class T>
struct PlainBatch {
  Queue queue{};
  int images = 0;
  Operation operation{};
  OperationMemory<T> memory{};

  std::int64_t inputs() const { return images * operation.in.size(); }
};

/// Calls enqueue(), of a device's queue enqueue(stream): for kernels that have a launcher for each.
template <class T, class Enqueue>
void launch_on([[maybe_unused]] const Queue& queue, const Enqueue& enqueue) {
#ifdef EBM_CUDA
  if (!queue.on_cpu()) {
    return enqueue(queue.stream());
  }
#endif
  if constexpr (std::is_same_v<T, float>) {  // the CPU's only type
    enqueue();
  }
}

}  // namespace ebm
