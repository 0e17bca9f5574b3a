// From a network's layers to the operations that executors run: which layers are one operation, in
// which order, and where their arrays are.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "cuda/nn/network.h"
#include "cuda/nn/operation.h"

namespace ebm {

/// Operations in the order of the forward pass: the first takes states, channel-major, the last is
/// a head. Values are images × pixels × channels.
struct LoweredNetwork {
  std::vector<Operation> operations{};
  std::vector<std::int64_t> values{};  ///< sizes, of one state: all are kept for the backward pass
  std::vector<std::int64_t> gradients{};  ///< sizes, of one state: arrays used again and again

  std::int64_t value_count() const;
  std::int64_t gradient_count() const;
};

/// For whom a network is lowered. On a GPU a convolution's library takes the derivative of the
/// LeakyReLU before it, and the weights of a linear layer behind a flatten are reordered instead of
/// its input.
enum class Executor { cpu, gpu };

LoweredNetwork lower(const Network& network, Executor executor);

/// What layers append their operations to.
class Lowering {
 public:
  explicit Lowering(const Network& network) : network_(network) {}

  /// An operation of this layer, kernel, stride and padding as the layer's.
  Operation& add(const OperationType& type, const Layer& layer, const Shape& in, const Shape& out);
  /// Those of layers one behind the other.
  void add_layers(const std::vector<Layer>& layers, Shape in);
  /// The parameters under these keys, stacked, of a map of so many input channels and positions.
  StackedParameters parameters(const std::vector<std::string>& keys, std::int64_t channels,
                               std::int64_t positions) const;

  std::vector<Operation> take() { return std::move(operations_); }

 private:
  const Network& network_;
  std::vector<Operation> operations_;
};

/// The arithmetic of a network, for one state.
OperationCount count_operations(const Network& network);

/// Bytes that tiles of the network take on the CPU; scratch is among each tile's own.
CpuBytes cpu_bytes(const LoweredNetwork& network, const CpuTile& tile);

/// Bytes of a device that an executor of the network takes for so many states at a time.
GpuBytes gpu_bytes(const LoweredNetwork& network, int images, Precision precision);

}  // namespace ebm
