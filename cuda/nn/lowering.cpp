#include "cuda/nn/lowering.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "cuda/nn/cpu/cpu_operation.h"
#include "cuda/nn/layer_type.h"
#include "cuda/nn/layers/convolution.h"
#include "cuda/nn/layers/flatten.h"
#include "cuda/nn/layers/head.h"
#include "cuda/nn/layers/leaky_relu.h"
#include "cuda/nn/layers/max_pool.h"
#include "cuda/nn/layers/residual.cuh"
#include "cuda/nn/layers/states.h"

namespace ebm {
namespace {

using Operations = std::vector<Operation>;

/// A first convolution of more channels is a library's business.
constexpr int kMostImageChannels = 4;

bool is_pointwise(const Operation& operation) {
  return operation.kernel == 1 && operation.stride == 1 && operation.padding == 0;
}

/// Whether a convolution sees its whole input at once, and makes one number of it.
bool sees_all(const Operation& operation) {
  return operation.out.size() == 1 && operation.padding == 0 &&
         operation.kernel == operation.in.height && operation.kernel == operation.in.width;
}

/// The last convolution becomes the head if it sees its whole input at once; else f is what there
/// is.
void end_in_head(Operations& operations) {
  if (!operations.empty() && operations.back().type == &kConvolution &&
      sees_all(operations.back())) {
    operations.back().type = &kHead;
  } else {
    operations.push_back({.type = &kHead, .in = {.channels = 1}, .out = {.channels = 1}});
  }
}

/// The first convolution takes states as they are if they are images of few channels; else they
/// are brought into the order of activations.
void begin_with_states(Operations& operations, const Shape& states) {
  Operation& first = operations.front();
  if (first.type == &kConvolution && states.channels <= kMostImageChannels) {
    first.type = &kImageConvolution;
  } else {
    operations.insert(operations.begin(), {.type = &kStates, .in = states, .out = states});
  }
}

/// A linear layer behind a flatten takes the image as it is.
void drop_flattens(Operations& operations) {
  for (std::size_t i = 1; i < operations.size(); ++i) {
    Operation& linear = operations[i];
    if (operations[i - 1].type != &kFlatten || linear.parameters.size() != 1 ||
        !is_pointwise(linear)) {
      continue;
    }
    linear.in = operations[i - 1].in;
    linear.flattens = true;
    linear.parameters.front().channels = linear.in.channels;
    linear.parameters.front().positions = pixels(linear.in);
    operations.erase(operations.begin() + static_cast<std::ptrdiff_t>(--i));
  }
}

/// A LeakyReLU becomes part of the max-pooling behind it, where it has a fourth of the work, or of
/// the convolution before it.
void fuse_leaky_relus(Operations& operations, Executor executor) {
  for (std::size_t i = 1; i + 1 < operations.size(); ++i) {
    if (operations[i].type != &kLeakyRelu) {
      continue;
    }
    Operation& before = operations[i - 1];
    Operation& behind = operations[i + 1];
    const bool image = before.type == &kImageConvolution;
    if (behind.type == &kMaxPool) {
      behind.leaky_relu = true;
    } else if ((image || before.type == &kConvolution) && !before.leaky_relu &&
               behind.type != &kJoin) {  // whose gradient is the branch's, too: not to be changed
      before.leaky_relu = true;
      behind.input_is_leaky = executor == Executor::gpu && !image &&
                              (behind.type == &kConvolution || behind.type == &kHead);
      before.own_derivative = !behind.input_is_leaky;
    } else {
      continue;
    }
    operations.erase(operations.begin() + static_cast<std::ptrdiff_t>(i--));
  }
}

/// Gives every operation its values: x of the operation before it, y of its own.
void place_values(LoweredNetwork& network) {
  int x = -1;
  std::vector<int> forks;
  for (Operation& operation : network.operations) {
    Operands& memory = operation.memory;
    memory.x = x;
    if (operation.type == &kFork) {
      memory.y = x;
      forks.push_back(x);
      continue;
    }
    if (operation.type == &kJoin) {
      memory.skip = forks.back();
      forks.pop_back();
    }
    if (operation.type != &kHead) {
      memory.y = x = static_cast<int>(network.values.size());
      network.values.push_back(operation.out.size());
    }
  }
}

/// Gives every operation gradients, which flow from the last to the first. An array is free again
/// when what it held has been read; that of a join's output not before its fork has read it.
void place_gradients(LoweredNetwork& network) {
  std::vector<std::int64_t>& sizes = network.gradients;
  std::vector<int> held;  // those of joins whose forks are still to come
  const auto is_held = [&](int array) { return std::ranges::count(held, array) > 0; };
  int dy = -1;
  const auto take = [&](std::int64_t size) {
    int array = 0;
    while (array == dy || is_held(array)) {
      ++array;
    }
    if (array == static_cast<int>(sizes.size())) {
      sizes.push_back(0);
    }
    std::int64_t& largest = sizes[static_cast<std::size_t>(array)];
    largest = std::max(largest, size);
    return array;
  };
  for (std::size_t i = network.operations.size(); i-- > 0;) {
    Operation& operation = network.operations[i];
    Operands& memory = operation.memory;
    memory.dy = dy;
    if (operation.type == &kJoin) {  // the gradient of a sum is that of its terms
      held.push_back(dy);
      memory.dx = dy;
    } else if (operation.type == &kFork) {
      memory.skip_dy = held.back();
      held.pop_back();
      // In place, unless an outer join's output has the same gradient.
      memory.dx = is_held(dy) ? take(operation.in.size()) : dy;
    } else if (memory.x >= 0) {
      memory.dx = take(operation.in.size());
    }
    dy = memory.dx;
  }
}

}  // namespace

std::int64_t StackedParameters::outputs() const {
  return std::accumulate(parts.begin(), parts.end(), std::int64_t{0},
                         [](std::int64_t sum, const Part& part) { return sum + part.outputs; });
}

void StackedParameters::add(const Network& network, const std::string& key) {
  const ParameterTensor& weight = network.parameter(key + ".weight");
  parts.push_back({.weight = weight.offset,
                   .bias = network.parameter(key + ".bias").offset,
                   .outputs = weight.shape.front()});
}

Operation& Lowering::add(const OperationType& type, const Layer& layer, const Shape& in,
                         const Shape& out) {
  operations_.push_back({.type = &type,
                         .layer = layer.key,
                         .in = in,
                         .out = out,
                         .kernel = layer.kernel,
                         .stride = layer.stride,
                         .padding = layer.padding});
  return operations_.back();
}

void Lowering::add_layers(const std::vector<Layer>& layers, Shape in) {
  for (const Layer& layer : layers) {
    layer.type->lower(layer, in, *this);
    in = layer.type->out_shape(layer, in);
  }
}

StackedParameters Lowering::parameters(const std::vector<std::string>& keys, std::int64_t channels,
                                       std::int64_t positions) const {
  StackedParameters parameters{.channels = channels, .positions = positions};
  for (const std::string& key : keys) {
    parameters.add(network_, key);
  }
  return parameters;
}

LoweredNetwork lower(const Network& network, Executor executor) {
  Lowering layers(network);
  layers.add_layers(network.layers(), network.input());
  LoweredNetwork lowered{.operations = layers.take()};
  end_in_head(lowered.operations);
  begin_with_states(lowered.operations, network.input());
  if (executor == Executor::gpu) {
    drop_flattens(lowered.operations);
  }
  fuse_leaky_relus(lowered.operations, executor);
  place_values(lowered);
  place_gradients(lowered);
  return lowered;
}

std::int64_t LoweredNetwork::value_count() const {
  return std::accumulate(values.begin(), values.end(), std::int64_t{0});
}

std::int64_t LoweredNetwork::gradient_count() const {
  return std::accumulate(gradients.begin(), gradients.end(), std::int64_t{0});
}

ConvolutionShape convolution_shape(int images, const Operation& operation) {
  const Shape in = operation.flattens ? Shape{static_cast<int>(operation.in.size())} : operation.in;
  return {.images = images,
          .in_channels = in.channels,
          .height = in.height,
          .width = in.width,
          .out_channels = operation.out.channels,
          .kernel = operation.kernel,
          .stride = operation.stride,
          .padding = operation.padding};
}

OperationCount count_operations(const Network& network) {
  OperationCount sum;
  for (const Operation& operation : lower(network, Executor::cpu).operations) {
    if (operation.type->count != nullptr) {
      const OperationCount count = operation.type->count(operation);
      sum.forward += count.forward;
      sum.input_gradient += count.input_gradient;
    }
  }
  return sum;
}

CpuBytes cpu_bytes(const LoweredNetwork& network, const CpuTile& tile) {
  CpuBytes sum{.own = std::int64_t{4} * tile.chains *
                      (network.value_count() + network.gradient_count())};
  for (const Operation& operation : network.operations) {
    if (operation.type->cpu_bytes != nullptr) {
      const CpuBytes bytes = operation.type->cpu_bytes(operation, tile);
      sum.shared += bytes.shared;
      sum.own += bytes.own;
      sum.scratch = std::max(sum.scratch, bytes.scratch);
      sum.gradient += bytes.gradient;
    }
  }
  sum.own += std::exchange(sum.scratch, 0);
  return sum;
}

GpuBytes gpu_bytes(const LoweredNetwork& network, int images, Precision precision) {
  const std::int64_t value = precision == Precision::bf16 ? 2 : 4;
  GpuBytes sum{.own = images * value * (network.value_count() + network.gradient_count())};
  for (const Operation& operation : network.operations) {
    if (operation.type->gpu_bytes != nullptr) {
      const GpuBytes bytes = operation.type->gpu_bytes(operation, images, precision);
      sum.own += bytes.own;
      sum.shared = std::max(sum.shared, bytes.shared);
    }
  }
  return sum;
}

}  // namespace ebm
