#include "cuda/nn/device_network.h"

#include <algorithm>
#include <array>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda/device/bfloat16.cuh"
#include "cuda/device/cuda_graph.h"
#include "cuda/nn/device_layers.h"
#include "cuda/nn/device_nonlocal_layer.h"

namespace ebm {
namespace {

/// A first convolution of more channels is a library's business.
constexpr int kMostImageChannels = 4;

template <class T>
class DeviceNetwork final : public DeviceEnergy {
 public:
  DeviceNetwork(CudaContext& context, const Network& network, std::int64_t capacity);

  std::int64_t state_size() const override { return network_.input().size(); }
  std::int64_t capacity() const override { return capacity_; }
  void set_parameters(const float* theta) override;
  void energies(const float* states, std::int64_t count, float* f) override;
  void energies_and_gradients(const float* states, std::int64_t count, float* f,
                              float* gradients) override;
  void weight_gradient(const float* states, std::int64_t count, float scale, float* f,
                       float* theta_gradient) override;
  void langevin(const LangevinSteps& run, std::uint32_t first_chain, std::int64_t chains,
                float* states, float* norm_sums) override;

 private:
  void build();
  std::size_t add_first_layer();
  LayerMemory<T> next_memory(const Shape& out);
  T* next_activation(const Shape& out);
  const Layer* layer_after(std::size_t i, int distance) const;
  bool is_head(std::size_t i) const;

  void load(const float* states, std::int64_t count);
  void forward();
  void backward();
  void step(const LangevinUpdate& update, std::int64_t chains, const float* noise,
            LangevinPlace* places);
  void capture(const LangevinUpdate& update);

  const CudaStream& stream_;
  LayerBatch batch_;
  Network network_;
  std::int64_t capacity_;

  DeviceBuffer<float> states_;
  DeviceBuffer<float> state_gradients_;
  DeviceBuffer<float> f_;
  DeviceBuffer<float> norm_sums_;
  DeviceBuffer<LangevinPlace> places_;

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
DeviceNetwork<T>::DeviceNetwork(CudaContext& context, const Network& network, std::int64_t capacity)
    : stream_(context.stream()),
      batch_{context, static_cast<int>(capacity)},
      network_(network),
      capacity_(capacity),
      states_(device_values<float>(batch_, state_size())),
      state_gradients_(device_values<float>(batch_, state_size())),
      f_(device_values<float>(batch_, 1)),
      norm_sums_(device_values<float>(batch_, 1)),
      places_(device_values<LangevinPlace>(batch_, 1)) {
  std::int64_t largest = 0;
  for (std::size_t i = 0; i <= network.layers().size(); ++i) {
    largest = std::max(largest, network.shape_before(i).size());
  }
  for (DeviceBuffer<T>& gradient : gradients_) {
    gradient = device_values<T>(batch_, largest);
  }
  build();
}

/// The layer that many places on, flattens not counted; null behind the last.
template <class T>
const Layer* DeviceNetwork<T>::layer_after(std::size_t i, int distance) const {
  const std::vector<Layer>& layers = network_.layers();
  while (distance > 0 && ++i < layers.size()) {
    distance -= layers[i].kind == LayerKind::flatten ? 0 : 1;
  }
  return i < layers.size() ? &layers[i] : nullptr;
}

/// Whether layer i is the last and sees its whole input at once.
template <class T>
bool DeviceNetwork<T>::is_head(std::size_t i) const {
  const Layer& layer = network_.layers()[i];
  const Shape& in = network_.shape_before(i);
  return i + 1 == network_.layers().size() &&
         (layer.kind == LayerKind::linear ||
          (layer.kind == LayerKind::conv && layer.padding == 0 && layer.kernel == in.height &&
           layer.kernel == in.width));
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

/// From states to activations. Returns how many layers of the network that is.
template <class T>
std::size_t DeviceNetwork<T>::add_first_layer() {
  const Layer& first = network_.layers().front();
  const Shape& in = network_.input();
  const T* const dy = gradients_[0].data();
  if (first.kind != LayerKind::conv || in.channels > kMostImageChannels || is_head(0)) {
    layers_.push_back(std::make_unique<EntranceLayer<T>>(
        batch_, in, states_.data(), state_gradients_.data(), next_activation(in), dy));
    return 0;
  }
  const Layer* const second = layer_after(0, 1);
  const Layer* const third = layer_after(0, 2);
  const bool leaky_relu = second != nullptr && second->kind == LayerKind::leaky_relu &&
                          (third == nullptr || third->kind != LayerKind::max_pool);
  layers_.push_back(std::make_unique<ImageConvolutionLayer<T>>(
      batch_, network_, 0, leaky_relu, states_.data(), state_gradients_.data(),
      next_activation(network_.shape_before(1)), dy));
  return leaky_relu ? static_cast<std::size_t>(second - network_.layers().data()) + 1 : 1;
}

template <class T>
void DeviceNetwork<T>::build() {
  const std::vector<Layer>& layers = network_.layers();
  std::size_t i = add_first_layer();
  Shape in = i == 0 ? network_.input() : network_.shape_before(1);  // in memory: not flattened
  bool leaky_input = false;     // the layer before left its LeakyReLU's derivative to the next
  bool leaky_relu_due = false;  // one is left to the max_pool
  for (; i < layers.size() && !is_head(i); ++i) {
    const Layer& layer = layers[i];
    const Shape& out = network_.shape_before(i + 1);
    switch (layer.kind) {
      case LayerKind::flatten:
        break;
      case LayerKind::conv:
      case LayerKind::linear: {
        if (layer.kind == LayerKind::conv && in != network_.shape_before(i)) {
          throw std::invalid_argument(
              "layer " + std::to_string(i) +
              ": a convolution behind a flatten is not computed on CUDA devices; write a linear "
              "layer instead, or use --device cpu");
        }
        const Layer* const next = layer_after(i, 1);
        const Layer* const after_next = layer_after(i, 2);
        const bool fused =
            next != nullptr && next->kind == LayerKind::leaky_relu && after_next != nullptr &&
            (after_next->kind == LayerKind::conv || after_next->kind == LayerKind::linear);
        layers_.push_back(std::make_unique<ConvolutionLayer<T>>(batch_, network_, i, in, fused,
                                                                leaky_input, next_memory(out)));
        leaky_input = fused;
        in = out;
        if (fused) {
          i = static_cast<std::size_t>(next - layers.data());
        }
        break;
      }
      case LayerKind::leaky_relu:
        if (const Layer* next = layer_after(i, 1);
            next != nullptr && next->kind == LayerKind::max_pool) {
          leaky_relu_due = true;
        } else {
          layers_.push_back(std::make_unique<LeakyReluLayer<T>>(batch_, in, next_memory(in)));
        }
        break;
      case LayerKind::max_pool:
        layers_.push_back(
            std::make_unique<MaxPoolLayer<T>>(batch_, in, leaky_relu_due, next_memory(out)));
        leaky_relu_due = false;
        in = out;
        break;
      case LayerKind::nonlocal:
        layers_.push_back(
            std::make_unique<NonlocalLayer<T>>(batch_, network_, i, in, next_memory(out)));
        break;
    }
  }
  head_ = std::make_unique<HeadLayer<T>>(batch_, network_, i, in, leaky_input,
                                         activations_.back().data(),
                                         gradients_[(activations_.size() - 1) % 2].data());
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
                            LangevinPlace* places) {
  forward();
  backward();
  langevin_update(stream_, update, 0, static_cast<int>(chains), state_size(),
                  state_gradients_.data(), noise, states_.data(), norm_sums_.data(), places);
}

/// Makes graphs_ those of such steps. Leaves nothing in states_, norm_sums_ and places_.
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
  step(update, capacity_, nullptr, places_.data());
  const auto steps = [&](int count) {
    return CudaGraph::capture(stream_, [&] {
      for (int i = 0; i < count; ++i) {
        step(update, capacity_, nullptr, places_.data());
      }
    });
  };
  graphs_.emplace(
      Graphs{update, {steps(kGraphSteps[0]), steps(kGraphSteps[1]), steps(kGraphSteps[2])}});
}

template <class T>
void DeviceNetwork<T>::langevin(const LangevinSteps& run, std::uint32_t first_chain,
                                std::int64_t chains, float* states, float* norm_sums) {
  if (run.given_noise == nullptr) {
    capture(run.update);
  }
  load(states, chains);
  copy_floats(stream_, norm_sums_.data(), norm_sums, chains);
  if (run.given_noise != nullptr) {
    LangevinUpdate update = run.update;
    for (int i = 0; i < run.steps; ++i, ++update.step) {
      step(update, chains, run.given_noise + i * run.noise_chains * state_size(), nullptr);
    }
  } else {
    set_places(stream_, run.update.noise, run.update.step, first_chain, capacity_, places_.data());
    int left = run.steps;
    for (std::size_t i = 0; i < kGraphSteps.size(); ++i) {
      for (; left >= kGraphSteps[i]; left -= kGraphSteps[i]) {
        graphs_->of_steps[i].launch(stream_);
      }
    }
  }
  copy_floats(stream_, states, states_.data(), chains * state_size());
  copy_floats(stream_, norm_sums, norm_sums_.data(), chains);
}

}  // namespace

std::unique_ptr<DeviceEnergy> make_device_network(CudaContext& context, const Network& network,
                                                  std::int64_t capacity) {
  if (context.precision() == Precision::bf16) {
    return std::make_unique<DeviceNetwork<Bfloat16>>(context, network, capacity);
  }
  return std::make_unique<DeviceNetwork<float>>(context, network, capacity);
}

std::size_t device_network_bytes(const Network& network, std::int64_t capacity,
                                 Precision precision) {
  const std::int64_t value = precision == Precision::bf16 ? 2 : 4;
  std::int64_t largest = 0;
  std::int64_t values = 0;   // of type T, of one image
  std::int64_t scratch = 0;  // floats, at once
  const std::vector<Layer>& layers = network.layers();
  for (std::size_t i = 0; i <= layers.size(); ++i) {
    const Shape& shape = network.shape_before(i);
    largest = std::max(largest, shape.size());
    values += shape.size();
    if (i < layers.size() && layers[i].kind == LayerKind::nonlocal) {
      values += 8 * shape.size();  // embedded, pooled, mixed, their gradients; sums and places
    }
    if (i < layers.size() && layers[i].kind == LayerKind::conv) {
      scratch += static_cast<std::int64_t>(
          convolution_weight_gradient_scratch({.images = static_cast<int>(capacity),
                                               .in_channels = shape.channels,
                                               .height = shape.height,
                                               .width = shape.width,
                                               .out_channels = layers[i].outputs,
                                               .kernel = layers[i].kernel,
                                               .stride = layers[i].stride,
                                               .padding = layers[i].padding}));
    }
  }
#ifdef EBM_CUDNN
  // The most of cuDNN's plans, and as much again while they are measured; then there are arrays to
  // measure on (x, y and dx), and in bf16, both times, the float copies of x and y.
  const std::int64_t arrays = precision == Precision::bf16 ? 7 : 3;
  const std::int64_t workspace = (std::int64_t{512} << 20) + arrays * 4 * capacity * largest;
#else
  constexpr std::int64_t workspace = 0;
#endif
  const std::int64_t floats = 4 * capacity * (2 * network.input().size() + 16);
  return static_cast<std::size_t>(capacity * value * (values + 2 * largest) + floats + 4 * scratch +
                                  3 * 4 * network.parameter_count() + workspace);
}

}  // namespace ebm
