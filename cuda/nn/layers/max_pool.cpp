#include "cuda/nn/layers/max_pool.h"

#include "cuda/device/array.h"
#include "cuda/kernels/max_pool.cuh"
#include "cuda/nn/lowering.h"
#include "cuda/nn/plain_operation.h"

namespace ebm {
namespace {

Shape halved(const Layer& /*layer*/, const Shape& in) {
  require_fit(in.height % 2 == 0 && in.width % 2 == 0, "needs an even height and width");
  return {in.channels, in.height / 2, in.width / 2};
}

void lower_max_pool(const Layer& layer, const Shape& in, Lowering& to) {
  to.add(kMaxPool, layer, in, halved(layer, in));
}

CpuBytes cpu_argmax_bytes(const Operation& operation, const CpuTile& tile) {
  return {.own = tile.chains * operation.out.size()};
}

GpuBytes gpu_argmax_bytes(const Operation& operation, int images, Precision /*precision*/) {
  return {.own = images * operation.out.size()};
}

}  // namespace

template <class T>
class MaxPoolOperation {
 public:
  explicit MaxPoolOperation(const PlainBatch<T>& batch)
      : queue_(batch.queue),
        shape_{.images = batch.images,
               .height = batch.operation.in.height,
               .width = batch.operation.in.width,
               .channels = batch.operation.in.channels,
               .pixel_stride = batch.operation.in.channels,
               .after = {.slope = batch.operation.leaky_relu ? kLeakySlope : 1}},
        memory_(batch.memory),
        argmax_(batch.queue, batch.images * batch.operation.out.size()) {}

  void forward() {
    launch_on<T>(queue_, [this](const auto&... stream) {
      max_pool_forward(stream..., shape_, memory_.x, memory_.y, argmax_.data());
    });
  }
  void backward() {
    launch_on<T>(queue_, [this](const auto&... stream) {
      max_pool_backward(stream..., shape_, memory_.y, memory_.dy, argmax_.data(), memory_.dx);
    });
  }

 private:
  Queue queue_;
  PoolShape shape_;
  OperationMemory<T> memory_;
  Array<std::uint8_t> argmax_;
};

constinit const LayerType kMaxPoolLayer = {
    .name = "max_pool", .out_shape = halved, .lower = lower_max_pool};
constinit const OperationType kMaxPool =
    plain_operation<MaxPoolOperation>("max_pool", cpu_argmax_bytes, gpu_argmax_bytes);

}  // namespace ebm
