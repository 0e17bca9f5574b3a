#include "cuda/nn/layers/flatten.h"

#include "cuda/kernels/channel_order.cuh"
#include "cuda/nn/lowering.h"
#include "cuda/nn/plain_operation.h"

namespace ebm {
namespace {

Shape flat(const Layer& /*layer*/, const Shape& in) { return {static_cast<int>(in.size())}; }

/// Activations are channels last: of more than one pixel they have to be reordered.
void lower_flatten(const Layer& layer, const Shape& in, Lowering& to) {
  if (pixels(in) > 1) {
    to.add(kFlatten, layer, in, flat(layer, in));
  }
}

}  // namespace

template <class T>
class FlattenOperation {
 public:
  explicit FlattenOperation(const PlainBatch<T>& batch) : batch_(batch), in_(batch.operation.in) {}

  void forward() {
    launch_on<T>(batch_.queue, [this](const auto&... stream) {
      to_channel_major(stream..., batch_.images, in_.channels, pixels(in_), batch_.memory.x,
                       batch_.memory.y);
    });
  }
  void backward() {
    launch_on<T>(batch_.queue, [this](const auto&... stream) {
      to_channels_last(stream..., batch_.images, in_.channels, pixels(in_), batch_.memory.dy,
                       batch_.memory.dx);
    });
  }

 private:
  PlainBatch<T> batch_;
  Shape in_;
};

constinit const LayerType kFlattenLayer = {
    .name = "flatten", .out_shape = flat, .lower = lower_flatten};
constinit const OperationType kFlatten = plain_operation<FlattenOperation>("flatten");

}  // namespace ebm
