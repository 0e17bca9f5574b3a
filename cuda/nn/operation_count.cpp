#include "cuda/nn/operation_count.h"

namespace ebm {

OperationCount count_operations(const Network& network) {
  OperationCount count;
  for (std::size_t i = 0; i < network.layers().size(); ++i) {
    const Layer& layer = network.layers()[i];
    const Shape& in = network.shape_before(i);
    const Shape& out = network.shape_before(i + 1);
    if (layer.kind == LayerKind::conv || layer.kind == LayerKind::linear) {
      const std::int64_t inputs = layer.kind == LayerKind::linear
                                      ? in.size()
                                      : std::int64_t{in.channels} * layer.kernel * layer.kernel;
      count.forward += out.size() * inputs;
      count.input_gradient += out.size() * inputs;
    } else if (layer.kind == LayerKind::nonlocal) {
      const std::int64_t pixels = std::int64_t{in.height} * in.width;
      const std::int64_t half = in.channels / 2;
      const std::int64_t pointwise = 4 * pixels * in.channels * half;  // θ, φ, g and W
      const std::int64_t product = pixels * (pixels / 4) * half;
      count.forward += pointwise + 2 * product;         // QKᵀ and AV
      count.input_gradient += pointwise + 4 * product;  // of A, V, Q and K
    }
  }
  return count;
}

}  // namespace ebm
