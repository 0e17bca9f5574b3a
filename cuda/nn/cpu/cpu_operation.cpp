#include "cuda/nn/cpu/cpu_operation.h"

#include <algorithm>

#include "cuda/kernels/channel_order.cuh"

namespace ebm {

void CpuEnds::bring_states(const Shape& shape, int images, float* x) const {
  to_channels_last(chains, shape.channels, pixels(shape), states, x);
  std::fill(x + chains * shape.size(), x + images * shape.size(), 0.0F);
}

void CpuEnds::give_gradients(const Shape& shape, const float* dx) const {
  to_channel_major(chains, shape.channels, pixels(shape), dx, gradients);
}

}  // namespace ebm
