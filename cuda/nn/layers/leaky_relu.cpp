#include "cuda/nn/layers/leaky_relu.h"

#include "cuda/kernels/leaky_relu.cuh"
#include "cuda/nn/lowering.h"
#include "cuda/nn/plain_operation.h"

namespace ebm {
namespace {

Shape unchanged(const Layer& /*layer*/, const Shape& in) { return in; }

void lower_leaky_relu(const Layer& layer, const Shape& in, Lowering& to) {
  to.add(kLeakyRelu, layer, in, in);
}

}  // namespace

template <class T>
class LeakyReluOperation {
 public:
  explicit LeakyReluOperation(const PlainBatch<T>& batch)
      : queue_(batch.queue), values_(batch.inputs()), memory_(batch.memory) {}

  void forward() {
    launch_on<T>(queue_, [this](const auto&... stream) {
      leaky_relu_forward(stream..., {}, values_, memory_.x, memory_.y);
    });
  }
  void backward() {
    launch_on<T>(queue_, [this](const auto&... stream) {
      leaky_relu_backward(stream..., {}, values_, memory_.y, memory_.dy, memory_.dx);
    });
  }

 private:
  Queue queue_;
  std::int64_t values_;
  OperationMemory<T> memory_;
};

constinit const LayerType kLeakyReluLayer = {
    .name = "leaky_relu", .out_shape = unchanged, .lower = lower_leaky_relu};
constinit const OperationType kLeakyRelu = plain_operation<LeakyReluOperation>("leaky_relu");

}  // namespace ebm
