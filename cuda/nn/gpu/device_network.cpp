#include "cuda/nn/gpu/device_network.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "cuda/device/bfloat16.cuh"
#include "cuda/device/cuda_graph.h"
#include "cuda/nn/gpu/device_energy.h"
#include "cuda/nn/gpu/device_layers.h"
#include "cuda/nn/gpu/device_lowering.h"
#include "cuda/nn/gpu/device_nonlocal_layer.h"
#include "cuda/nn/gpu/subpixels.cuh"

namespace ebm {
namespace {

using Kind = DeviceOperation::Kind;

template <class T>
class DeviceNetwork final : public DeviceEnergy {
 public:
  DeviceNetwork(std::shared_ptr<CudaContext> context, const Network& network,
                std::int64_t capacity);

  std::int64_t state_size() const override { return network_.input().size(); }
  std::int64_t capacity() const override { return capacity_; }
  void set_parameters(const float* theta) override;
  void energies(const float* states, std::int64_t count, float* f) override;
  void energies_and_gradients(const float* states, std::int64_t count, float* f,
                              float* gradients) override;
  void weight_gradient(const float* states, std::int64_t count, float scale, float* f,
                       float* theta_gradient) override;

 protected:
  void langevin(const ChainRun& run, const Chains& chains) override;

 private:
  void build();
  void add_first_layer(const DeviceOperation& operation);
  std::unique_ptr<DeviceLayer> make_layer(const DeviceOperation& operation);
  LayerMemory<T> next_memory(const Shape& out);
  T* next_activation(const Shape& out);

  void load(const float* states, std::int64_t count);
  void forward();
  void backward();
  void step(const LangevinUpdate& update, std::int64_t chains, const float* noise,
            ChainCounter* counters);
  void capture(const LangevinUpdate& update);

  const CudaStream& stream_;
  LayerBatch batch_;
  Network network_;
  std::int64_t capacity_;

  DeviceBuffer<float> states_;
  DeviceBuffer<float> state_gradients_;
  DeviceBuffer<float> f_;
  DeviceBuffer<float> norm_sums_;
  DeviceBuffer<ChainCounter> counters_;

  // Between layers j and j + 1, activations_[j] and its gradient, in gradients_[j % 2].
  std::vector<DeviceBuffer<T>> activations_;
  std::array<DeviceBuffer<T>, 2> gradients_;
  std::vector<std::unique_ptr<DeviceLayer>> layers_;
  std::unique_ptr<HeadLayer<T>> head_;

  /// Some steps, captured with the numbers that their kernels got by value.
  struct Graphs {
    LangevinUpdate update;
    std::array<CudaGraph, kGraphSteps.size()> of_steps;
  };
  std::optional<Graphs> graphs_;
};

template <class T>
DeviceNetwork<T>::DeviceNetwork(std::shared_ptr<CudaContext> context, const Network& network,
                                std::int64_t capacity)
    : DeviceEnergy(std::move(context)),
      stream_(queue().stream()),
      batch_{this->context(), static_cast<int>(capacity)},
      network_(network),
      capacity_(capacity),
      states_(device_zeros<float>(batch_, state_size())),
      state_gradients_(device_values<float>(batch_, state_size())),
      f_(device_values<float>(batch_, 1)),
      norm_sums_(device_zeros<float>(batch_, 1)),
      counters_(device_zeros<ChainCounter>(batch_, 1)) {
  std::int64_t largest = 0;
  for (std::size_t i = 0; i <= network.layers().size(); ++i) {
    largest = std::max(largest, network.shape_before(i).size());
  }
  for (DeviceBuffer<T>& gradient : gradients_) {
    gradient = device_values<T>(batch_, largest);
  }
  build();
}

template <class T>
T* DeviceNetwork<T>::next_activation(const Shape& out) {
  activations_.push_back(device_values<T>(batch_, out.size()));
  return activations_.back().data();
}

/// Memory of a layer behind those there are.
template <class T>
LayerMemory<T> DeviceNetwork<T>::next_memory(const Shape& out) {
  const T* const x = activations_.back().data();
  const std::size_t j = activations_.size();
  return {.x = x,
          .y = next_activation(out),
          .dx = gradients_[(j - 1) % 2].data(),
          .dy = gradients_[j % 2].data()};
}

/// From states to activations.
template <class T>
void DeviceNetwork<T>::add_first_layer(const DeviceOperation& operation) {
  const T* const dy = gradients_[0].data();
  T* const y = next_activation(operation.out);
  if (operation.kind == Kind::entrance) {
    layers_.push_back(std::make_unique<NchwToNhwcLayer<T>>(batch_, operation.in, states_.data(),
                                                           state_gradients_.data(), y, dy));
  } else {
    layers_.push_back(std::make_unique<ImageConvolutionLayer<T>>(
        batch_, network_, operation, states_.data(), state_gradients_.data(), y, dy));
  }
}

/// Any layer but the first and the head.
template <class T>
std::unique_ptr<DeviceLayer> DeviceNetwork<T>::make_layer(const DeviceOperation& operation) {
  const LayerMemory<T> memory = next_memory(operation.out);
  switch (operation.kind) {
    case Kind::convolution:
      return std::make_unique<ConvolutionLayer<T>>(batch_, network_, operation, memory);
    case Kind::leaky_relu:
      return std::make_unique<LeakyReluLayer<T>>(batch_, operation, memory);
    case Kind::max_pool:
      return std::make_unique<MaxPoolLayer<T>>(batch_, operation, memory);
    case Kind::nonlocal:
      return std::make_unique<NonlocalLayer<T>>(batch_, network_, operation, memory);
    case Kind::entrance:
    case Kind::image_convolution:
    case Kind::head:
      break;
  }
  throw std::logic_error("an operation where only layers between the first and the last can be");
}

template <class T>
void DeviceNetwork<T>::build() {
  const std::vector<DeviceOperation> operations = lower_for_device(network_);
  batch_.context.compile_ahead(
      library_convolutions(network_, batch_.images, batch_.context.precision()));
  add_first_layer(operations.front());
  for (const DeviceOperation& operation : std::span(operations).subspan(1, operations.size() - 2)) {
    layers_.push_back(make_layer(operation));
  }
  head_ = std::make_unique<HeadLayer<T>>(batch_, network_, operations.back(),
                                         activations_.back().data(),
                                         gradients_[(activations_.size() - 1) % 2].data());
  batch_.context.forget_compiled();
}

template <class T>
void DeviceNetwork<T>::set_parameters(const float* theta) {
  for (const auto& layer : layers_) {
    layer->set_parameters(theta);
  }
  head_->set_parameters(theta);
}

/// Brings states in; a batch that is not full is filled up with zeros.
template <class T>
void DeviceNetwork<T>::load(const float* states, std::int64_t count) {
  copy_floats(stream_, states_.data(), states, count * state_size());
  if (count < capacity_) {
    EBM_CHECK_CUDA(cudaMemsetAsync(
        states_.data() + count * state_size(), 0,
        static_cast<std::size_t>((capacity_ - count) * state_size()) * sizeof(float),
        stream_.get()));
  }
}

/// All but the head: its f is not what a gradient is made of.
template <class T>
void DeviceNetwork<T>::forward() {
  for (const auto& layer : layers_) {
    layer->forward();
  }
}

/// ∇ₓf of all states.
template <class T>
void DeviceNetwork<T>::backward() {
  head_->backward(1, capacity_);
  std::for_each(layers_.rbegin(), layers_.rend(),
                [](const std::unique_ptr<DeviceLayer>& layer) { layer->backward(); });
}

template <class T>
void DeviceNetwork<T>::energies(const float* states, std::int64_t count, float* f) {
  load(states, count);
  forward();
  head_->forward(f_.data());
  copy_floats(stream_, f, f_.data(), count);
}

template <class T>
void DeviceNetwork<T>::energies_and_gradients(const float* states, std::int64_t count, float* f,
                                              float* gradients) {
  energies(states, count, f);
  backward();
  copy_floats(stream_, gradients, state_gradients_.data(), count * state_size());
}

template <class T>
void DeviceNetwork<T>::weight_gradient(const float* states, std::int64_t count, float scale,
                                       float* f, float* theta_gradient) {
  energies(states, count, f);
  head_->backward(scale, count);
  head_->weight_gradient(scale, count, theta_gradient);
  for (std::size_t j = layers_.size(); j-- > 0;) {
    if (j > 0) {
      layers_[j]->backward();
    }
    layers_[j]->weight_gradient(theta_gradient);
  }
}

template <class T>
void DeviceNetwork<T>::step(const LangevinUpdate& update, std::int64_t chains, const float* noise,
                            ChainCounter* counters) {
  forward();
  backward();
  langevin_update(stream_, update, 0, static_cast<int>(chains), state_size(),
                  state_gradients_.data(), noise, states_.data(), norm_sums_.data(), counters);
}

/// Makes graphs_ those of such steps. Leaves nothing in states_, norm_sums_ and counters_.
template <class T>
void DeviceNetwork<T>::capture(const LangevinUpdate& update) {
  const auto numbers = [](const LangevinUpdate& u) {
    return std::array{u.epsilon, u.gradient_scale, u.lowest, u.highest};
  };
  if (graphs_ && numbers(graphs_->update) == numbers(update)) {
    return;
  }
  // Once as it is: kernels are loaded when they are first launched, which may have to wait for the
  // device, and nothing may while it is captured.
  step(update, capacity_, nullptr, counters_.data());
  const auto steps = [&](int count) {
    return CudaGraph::capture(stream_, [&] {
      for (int i = 0; i < count; ++i) {
        step(update, capacity_, nullptr, counters_.data());
      }
    });
  };
  graphs_.emplace(
      Graphs{update, {steps(kGraphSteps[0]), steps(kGraphSteps[1]), steps(kGraphSteps[2])}});
}

template <class T>
void DeviceNetwork<T>::langevin(const ChainRun& run, const Chains& chains) {
  const bool drawn = chains.given_noise == nullptr;
  if (drawn) {
    capture(run.update);
  }
  load(chains.memory.states, chains.count);
  copy_floats(stream_, norm_sums_.data(), chains.norm_sums, chains.count);
  if (drawn) {
    set_chain_counters(stream_, run.update.noise, run.update.step, chains.first, capacity_,
                       counters_.data());
    int left = run.steps;
    for (std::size_t i = 0; i < kGraphSteps.size(); ++i) {
      for (; left >= kGraphSteps[i]; left -= kGraphSteps[i]) {
        graphs_->of_steps[i].launch(stream_);
      }
    }
  } else {
    for (int i = 0; i < run.steps; ++i) {
      step(run.update, chains.count, chains.row_of(chains.given_noise, i, state_size()), nullptr);
    }
  }
  copy_floats(stream_, chains.memory.states, states_.data(), chains.count * state_size());
  copy_floats(stream_, chains.norm_sums, norm_sums_.data(), chains.count);
}

}  // namespace

std::unique_ptr<Energy> make_device_network(std::shared_ptr<CudaContext> context,
                                            const Network& network, std::int64_t capacity) {
  if (context->precision() == Precision::bf16) {
    return std::make_unique<DeviceNetwork<Bfloat16>>(std::move(context), network, capacity);
  }
  return std::make_unique<DeviceNetwork<float>>(std::move(context), network, capacity);
}

std::size_t device_network_bytes(const Network& network, std::int64_t capacity,
                                 Precision precision) {
  const std::int64_t value = precision == Precision::bf16 ? 2 : 4;
  std::int64_t largest = 0;
  std::int64_t values = 0;     // of type T, of one image
  std::int64_t scratch = 0;    // floats, at once
  std::int64_t subpixels = 0;  // of one image, the most
  const std::vector<Layer>& layers = network.layers();
  for (std::size_t i = 0; i <= layers.size(); ++i) {
    const Shape& shape = network.shape_before(i);
    largest = std::max(largest, shape.size());
    values += shape.size();
    if (i < layers.size() && layers[i].kind == LayerKind::nonlocal) {
      values += 8 * shape.size();  // embedded, pooled, mixed, their gradients; sums and counters
      // Its parameters and their gradients once more, for one kernel a direction.
      scratch += std::int64_t{shape.channels} * (4 * std::int64_t{shape.channels} + 5);
    }
    if (i < layers.size() && layers[i].kind == LayerKind::conv) {
      const ConvolutionShape convolution = {.images = static_cast<int>(capacity),
                                            .in_channels = shape.channels,
                                            .height = shape.height,
                                            .width = shape.width,
                                            .out_channels = layers[i].outputs,
                                            .kernel = layers[i].kernel,
                                            .stride = layers[i].stride,
                                            .padding = layers[i].padding};
      scratch += static_cast<std::int64_t>(convolution_weight_gradient_scratch(convolution));
      if (has_subpixels(convolution)) {
        const ConvolutionShape to = subpixel_convolution(convolution);
        subpixels =
            std::max(subpixels, std::int64_t{to.out_channels} * to.out_height() * to.out_width());
      }
    }
  }
#ifdef EBM_CUDNN
  // The most of cuDNN's plans, and as much again while they are measured; then there are arrays to
  // measure on (x, y and dx), and in bf16, both times, the float copies of x and y. The largest y
  // is half as large again as x: queries, keys and values. Subpixels share the workspace with the
  // copies.
  const std::int64_t arrays = precision == Precision::bf16 ? 9 : 4;
  const std::int64_t workspace =
      (std::int64_t{512} << 20) + 4 * capacity * (arrays * largest + 2 * subpixels);
#else
  constexpr std::int64_t workspace = 0;
#endif
  const std::int64_t floats = 4 * capacity * (2 * network.input().size() + 16);
  return static_cast<std::size_t>(capacity * value * (values + 2 * largest) + floats + 4 * scratch +
                                  3 * 4 * network.parameter_count() + workspace);
}

}  // namespace ebm
