// States, channel-major, as activations, channels last.
#pragma once

#include <algorithm>

#include "cuda/kernels/channel_order.cuh"
#include "cuda/nn/plain_batch.h"

namespace ebm {

extern const OperationType kStates;

template <class T>
class States {
 public:
  explicit States(const PlainBatch<T>& batch)
      : batch_(batch), shape_(batch.operation.in), pixels_(pixels(shape_)) {}

  void forward() {
    const OperationMemory<T>& memory = batch_.memory;
    launch_on<T>(batch_.queue, [&](const auto&... stream) {
      to_channels_last(stream..., images(), shape_.channels, pixels_, memory.ends->states,
                       memory.y);
    });
    if (batch_.queue.on_cpu()) {
      std::fill(memory.y + images() * shape_.size(), memory.y + batch_.inputs(), T(0.0F));
    }
  }
  void backward() {
    const OperationMemory<T>& memory = batch_.memory;
    launch_on<T>(batch_.queue, [&](const auto&... stream) {
      to_channel_major(stream..., images(), shape_.channels, pixels_, memory.dy,
                       memory.ends->gradients);
    });
  }

 private:
  /// Those that there are states of.
  std::int64_t images() const {
    return batch_.queue.on_cpu() ? batch_.memory.ends->live : batch_.images;
  }

  PlainBatch<T> batch_;
  Shape shape_;
  std::int64_t pixels_;
};

}  // namespace ebm
