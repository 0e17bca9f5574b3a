#include "cuda/nn/onednn_network.h"

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include "cuda/kernels/channel_order.cuh"
#include "cuda/kernels/energy_head.cuh"
#include "cuda/kernels/leaky_relu.cuh"
#include "cuda/kernels/max_pool.cuh"

namespace ebm {

OneDnnNetwork::Part OneDnnNetwork::part(std::shared_ptr<ConvolutionPlan> plan,
                                        std::int64_t first_output, const std::string& key) const {
  return {std::move(plan), first_output, &network_.parameter(key + ".weight"),
          &network_.parameter(key + ".bias")};
}

/// Null where layer i is not the last or does not see its whole input at once.
std::unique_ptr<OneDnnNetwork::Head> OneDnnNetwork::make_head(std::size_t i) const {
  const Layer& layer = network_.layers()[i];
  const Shape& in = network_.shape_before(i);
  const bool sees_all =
      layer.kind == LayerKind::linear || (layer.kind == LayerKind::conv && layer.padding == 0 &&
                                          layer.kernel == in.height && layer.kernel == in.width);
  if (i + 1 != network_.layers().size() || !sees_all) {
    return nullptr;
  }
  return std::make_unique<Head>(Head{Buffer<float>(static_cast<std::size_t>(in.size())), 0,
                                     &network_.parameter(layer.key + ".weight"),
                                     &network_.parameter(layer.key + ".bias")});
}

/// Null where the first layer is not a convolution that image_gradient can do.
std::unique_ptr<ImageGradientWeights> OneDnnNetwork::make_image_gradient() const {
  const Layer& layer = network_.layers().front();
  const Shape& in = network_.input();
  constexpr int kMostChannels = 4;
  if (layer.kind != LayerKind::conv || layer.stride != 1 || layer.padding >= layer.kernel ||
      in.channels > kMostChannels) {
    return nullptr;
  }
  return std::make_unique<ImageGradientWeights>(ImageConvolution{.in_channels = in.channels,
                                                                 .height = in.height,
                                                                 .width = in.width,
                                                                 .out_channels = layer.outputs,
                                                                 .kernel = layer.kernel,
                                                                 .padding = layer.padding});
}

OneDnnNetwork::OneDnnNetwork(Network network, int tile_chains, Factors factors)
    : network_(std::move(network)), tile_chains_(tile_chains) {
  const std::vector<Layer>& layers = network_.layers();
  const auto is = [&layers](std::size_t i, LayerKind kind) {
    return i < layers.size() && layers[i].kind == kind;
  };
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const Layer& layer = layers[i];
    const Shape& in = network_.shape_before(i);
    PlannedLayer planned;
    switch (layer.kind) {
      case LayerKind::conv:
      case LayerKind::linear: {
        planned.head = make_head(i);
        if (planned.head) {
          break;
        }
        const bool relu_follows =
            is(i + 1, LayerKind::leaky_relu) && !is(i + 2, LayerKind::max_pool);
        planned.convolution = std::make_shared<ConvolutionPlan>(
            ConvolutionShape{.images = tile_chains,
                             .in_channels = in.channels,
                             .height = in.height,
                             .width = in.width,
                             .out_channels = layer.outputs,
                             .kernel = layer.kernel,
                             .stride = layer.stride,
                             .padding = layer.padding},
            relu_follows ? Epilogue::leaky_relu : Epilogue::store, factors);
        planned.parts.push_back(part(planned.convolution, 0, layer.key));
        planned.image_gradient = i == 0 ? make_image_gradient() : nullptr;
        break;
      }
      case LayerKind::nonlocal: {
        const int half = in.channels / 2;
        planned.nonlocal = std::make_unique<NonlocalPlan>(tile_chains, in, factors);
        planned.parts = {part(planned.nonlocal->embed, 0, layer.key + ".theta"),
                         part(planned.nonlocal->embed, half, layer.key + ".phi.0"),
                         part(planned.nonlocal->embed, std::int64_t{2} * half, layer.key + ".g.0"),
                         part(planned.nonlocal->merge, 0, layer.key + ".W")};
        break;
      }
      case LayerKind::leaky_relu:
        planned.pooled_relu = is(i + 1, LayerKind::max_pool);
        planned.relu_done = !planned.pooled_relu && i > 0 && layers_.back().convolution != nullptr;
        break;
      case LayerKind::max_pool:
        planned.pooled_relu = i > 0 && is(i - 1, LayerKind::leaky_relu);
        break;
      case LayerKind::flatten:
        break;
    }
    layers_.push_back(std::move(planned));
  }
}

void OneDnnNetwork::set_parameters(std::span<const float> theta) {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const PlannedLayer& layer = layers_[i];
    if (layer.head) {
      Head& head = *layer.head;
      const std::int64_t channels = network_.shape_before(i).channels;
      to_channels_last(1, channels, head.weight_tensor->size / channels,
                       theta.data() + head.weight_tensor->offset, head.weights.data());
      head.bias = theta[static_cast<std::size_t>(head.bias_tensor->offset)];
    }
    if (layer.image_gradient) {
      layer.image_gradient->set(theta.data() + layer.parts.front().weight->offset);
    }
    for (const Part& part : layer.parts) {
      const std::int64_t inputs = part.weight->size / part.bias->size;
      std::copy_n(theta.data() + part.weight->offset, part.weight->size,
                  part.plan->weights().data() + part.first_output * inputs);
      std::copy_n(theta.data() + part.bias->offset, part.bias->size,
                  part.plan->bias().data() + part.first_output);
    }
    for (const Part& part : layer.parts) {
      if (part.first_output == 0) {
        part.plan->prepare();
      }
    }
  }
}

/// One thread's tile: activations kept for the backward pass, two gradient arrays used in turn.
class OneDnnTile final : public TileEnergy {
 public:
  explicit OneDnnTile(std::shared_ptr<const OneDnnNetwork> shared);

  int capacity() const override { return shared_->tile_chains_; }
  std::int64_t state_size() const override { return input_.size(); }
  void energies(const float* states, int chains, float* f) override;
  void energies_and_gradients(const float* states, int chains, float* f, float* gradients) override;
  void weight_gradient(const float* states, int chains, float scale, float* f,
                       float* gradient) override;
  std::int64_t gradient_values() const override { return gradient_values_; }
  void add_in_order_of_parameters(float* gradient, float* theta_gradient) override;
  void langevin(const LangevinSteps& run, std::uint32_t first_chain, int chains, float* states,
                float* norm_sums) override;

 private:
  /// A layer's memory: input x, output y, their gradients; and what runs on it.
  struct BoundLayer {
    LayerKind kind;
    Shape in;
    Shape out;
    float* x;
    float* y;
    float* dx;
    float* dy;
    bool relu_done = false;
    bool pooled_relu = false;
    std::int64_t gradient = 0;  // where its weights' gradient is in the tile's
    const OneDnnNetwork::Head* head = nullptr;
    std::unique_ptr<Convolution> convolution = nullptr;
    std::unique_ptr<NonlocalBlock> nonlocal = nullptr;
    std::vector<std::uint8_t> places = {};  // max_pool
  };

  PoolShape pool_shape(const BoundLayer& layer) const;
  void load(const float* states, int chains);
  void forward(BoundLayer& layer);
  void backward(BoundLayer& layer);
  void input_gradients(int chains, float* gradients);
  void add_layer_in_order(std::size_t layer, float* gradient, float* theta_gradient);

  std::shared_ptr<const OneDnnNetwork> shared_;
  Shape input_;
  std::vector<Buffer<float>> activations_;  // activations_[i] is the input of layer i
  std::array<Buffer<float>, 2> gradients_;
  std::vector<BoundLayer> layers_;
  Buffer<float> image_gradient_scratch_;
  std::int64_t gradient_values_ = 0;
  Buffer<float> step_energies_;  // of a tile, for the Langevin loop
  Buffer<float> step_gradients_;
};

OneDnnTile::OneDnnTile(std::shared_ptr<const OneDnnNetwork> shared)
    : shared_(std::move(shared)), input_(shared_->network_.input()) {
  const Network& network = shared_->network_;
  const std::int64_t tile = shared_->tile_chains_;
  const std::size_t count = network.layers().size();
  std::int64_t largest = 0;
  for (std::size_t i = 0; i <= count; ++i) {
    largest = std::max(largest, network.shape_before(i).size());
  }
  for (Buffer<float>& gradient : gradients_) {
    gradient = Buffer<float>(static_cast<std::size_t>(tile * largest));
  }
  activations_.emplace_back(static_cast<std::size_t>(tile * input_.size()));
  float* x = activations_.back().data();
  // Gradients flow backwards from the last layer; which of the two arrays a layer starts from
  // follows from how many layers after it change arrays. A leaky_relu works in place.
  std::size_t swaps = 0;
  for (const Layer& layer : network.layers()) {
    swaps += layer.kind == LayerKind::leaky_relu ? 0 : 1;
  }
  for (std::size_t i = 0; i < count; ++i) {
    const Layer& layer = network.layers()[i];
    const OneDnnNetwork::PlannedLayer& planned = shared_->layers_[i];
    BoundLayer bound{.kind = layer.kind,
                     .in = network.shape_before(i),
                     .out = network.shape_before(i + 1),
                     .x = x,
                     .y = x,
                     .dx = gradients_[swaps % 2].data(),
                     .dy = gradients_[swaps % 2].data(),
                     .relu_done = planned.relu_done,
                     .pooled_relu = planned.pooled_relu,
                     .head = planned.head.get()};
    if (layer.kind != LayerKind::leaky_relu) {
      --swaps;
      bound.dy = gradients_[swaps % 2].data();
      activations_.emplace_back(static_cast<std::size_t>(tile * bound.out.size()));
      bound.y = activations_.back().data();
    }
    bound.gradient = gradient_values_;
    if (planned.head) {
      gradient_values_ += bound.in.size() + 1;
    } else if (planned.convolution) {
      bound.convolution =
          std::make_unique<Convolution>(planned.convolution, bound.x, bound.y, bound.dx, bound.dy);
      gradient_values_ += bound.convolution->gradient_values();
    } else if (planned.nonlocal) {
      bound.nonlocal = std::make_unique<NonlocalBlock>(
          *planned.nonlocal, shared_->tile_chains_, bound.in, bound.x, bound.y, bound.dx, bound.dy);
      gradient_values_ += bound.nonlocal->gradient_values();
    } else if (layer.kind == LayerKind::max_pool) {
      bound.places.resize(static_cast<std::size_t>(tile * bound.out.size()));
    }
    x = bound.y;
    layers_.push_back(std::move(bound));
  }
  if (const auto& first = shared_->layers_.front().image_gradient) {
    image_gradient_scratch_ =
        Buffer<float>(static_cast<std::size_t>(image_gradient_scratch(first->convolution())));
  }
  step_energies_ = Buffer<float>(static_cast<std::size_t>(tile));
  step_gradients_ = Buffer<float>(static_cast<std::size_t>(tile * input_.size()));
}

PoolShape OneDnnTile::pool_shape(const BoundLayer& layer) const {
  return {.images = capacity(),
          .height = layer.in.height,
          .width = layer.in.width,
          .channels = layer.in.channels,
          .pixel_stride = layer.in.channels,
          .after = {.slope = layer.pooled_relu ? kLeakySlope : 1}};
}

/// Brings the states in, channels last; a tile that is not full is filled up with zeros.
void OneDnnTile::load(const float* states, int chains) {
  float* x = activations_.front().data();
  const std::int64_t pixels = std::int64_t{input_.height} * input_.width;
  to_channels_last(chains, input_.channels, pixels, states, x);
  std::fill(x + chains * input_.size(), x + capacity() * input_.size(), 0.0F);
}

void OneDnnTile::forward(BoundLayer& layer) {
  switch (layer.kind) {
    case LayerKind::conv:
    case LayerKind::linear:
      if (layer.head != nullptr) {
        energy_head_forward(capacity(), layer.in.size(), layer.head->weights.data(),
                            layer.head->bias, layer.x, layer.y);
      } else {
        layer.convolution->forward();
      }
      break;
    case LayerKind::nonlocal:
      layer.nonlocal->forward();
      break;
    case LayerKind::leaky_relu:
      if (!layer.relu_done && !layer.pooled_relu) {
        leaky_relu_forward({}, capacity() * layer.in.size(), layer.x, layer.y);
      }
      break;
    case LayerKind::max_pool:
      max_pool_forward(pool_shape(layer), layer.x, layer.y, layer.places.data());
      break;
    case LayerKind::flatten:
      to_channel_major(capacity(), layer.in.channels, layer.in.size() / layer.in.channels, layer.x,
                       layer.y);
      break;
  }
}

void OneDnnTile::backward(BoundLayer& layer) {
  switch (layer.kind) {
    case LayerKind::conv:
    case LayerKind::linear:
      if (layer.head != nullptr) {
        energy_head_backward(capacity(), layer.in.size(), layer.head->weights.data(), layer.dy,
                             layer.dx);
      } else {
        layer.convolution->backward();
      }
      break;
    case LayerKind::nonlocal:
      layer.nonlocal->backward();
      break;
    case LayerKind::leaky_relu:
      if (!layer.pooled_relu) {
        leaky_relu_backward({}, capacity() * layer.in.size(), layer.y, layer.dy, layer.dx);
      }
      break;
    case LayerKind::max_pool:
      max_pool_backward(pool_shape(layer), layer.y, layer.dy, layer.places.data(), layer.dx);
      break;
    case LayerKind::flatten:
      to_channels_last(capacity(), layer.in.channels, layer.in.size() / layer.in.channels, layer.dy,
                       layer.dx);
      break;
  }
}

void OneDnnTile::energies(const float* states, int chains, float* f) {
  load(states, chains);
  for (BoundLayer& layer : layers_) {
    forward(layer);
  }
  std::copy_n(layers_.back().y, chains, f);
}

void OneDnnTile::energies_and_gradients(const float* states, int chains, float* f,
                                        float* gradients) {
  energies(states, chains, f);
  std::fill_n(layers_.back().dy, capacity(), 1.0F);
  input_gradients(chains, gradients);
}

/// ∇ₓf, channel-major, from the gradient with respect to the last layer's output.
void OneDnnTile::input_gradients(int chains, float* gradients) {
  const ImageGradientWeights* first = shared_->layers_.front().image_gradient.get();
  // The first convolution's own LeakyReLU goes with it.
  const bool masked = first != nullptr && layers_.size() > 1 && layers_[1].relu_done;
  const std::ptrdiff_t left = first == nullptr ? 0 : masked ? 2 : 1;
  std::for_each(layers_.rbegin(), layers_.rend() - left,
                [this](BoundLayer& layer) { backward(layer); });
  const BoundLayer& layer = layers_.front();
  if (first == nullptr) {
    const std::int64_t pixels = std::int64_t{input_.height} * input_.width;
    to_channel_major(chains, input_.channels, pixels, layer.dx, gradients);
    return;
  }
  for (int chain = 0; chain < chains; ++chain) {
    const std::int64_t at = chain * layer.out.size();
    image_gradient(*first, layer.dy + at, masked ? layer.y + at : nullptr,
                   image_gradient_scratch_.data(), gradients + chain * input_.size());
  }
}

void OneDnnTile::weight_gradient(const float* states, int chains, float scale, float* f,
                                 float* gradient) {
  energies(states, chains, f);
  float* seed = layers_.back().dy;
  std::fill_n(seed, chains, scale);
  std::fill(seed + chains, seed + capacity(), 0.0F);
  for (std::size_t i = layers_.size(); i-- > 0;) {
    BoundLayer& layer = layers_[i];
    float* mine = gradient + layer.gradient;
    if (layer.nonlocal) {  // its inner gradients come first
      layer.nonlocal->backward();
      layer.nonlocal->weight_gradient(mine);
      continue;
    }
    if (layer.convolution) {
      layer.convolution->weight_gradient(mine);
    } else if (layer.head != nullptr) {
      mine[layer.in.size()] =
          energy_head_weight_gradient(capacity(), layer.in.size(), layer.dy, layer.x, mine);
    }
    if (i > 0) {
      backward(layer);
    }
  }
}

void OneDnnTile::add_in_order_of_parameters(float* gradient, float* theta_gradient) {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    add_layer_in_order(i, gradient + layers_[i].gradient, theta_gradient);
  }
}

void OneDnnTile::add_layer_in_order(std::size_t index, float* gradient, float* theta_gradient) {
  const auto add = [theta_gradient](std::int64_t count, const float* from, std::int64_t at) {
    std::transform(from, from + count, theta_gradient + at, theta_gradient + at, std::plus<>());
  };
  BoundLayer& layer = layers_[index];
  if (layer.head != nullptr) {
    const std::int64_t inputs = layer.in.size();
    float* in_order = gradients_.front().data();  // a state's size at least
    to_channel_major(1, layer.in.channels, inputs / layer.in.channels, gradient, in_order);
    add(inputs, in_order, layer.head->weight_tensor->offset);
    add(1, gradient + inputs, layer.head->bias_tensor->offset);
  } else if (layer.convolution) {
    layer.convolution->put_in_order(gradient);
  } else if (layer.nonlocal) {
    layer.nonlocal->put_in_order(gradient);
  }
  const OneDnnNetwork::PlannedLayer& planned = shared_->layers_[index];
  for (const OneDnnNetwork::Part& part : planned.parts) {
    const Convolution& from = layer.convolution                      ? *layer.convolution
                              : part.plan == planned.nonlocal->merge ? layer.nonlocal->merge()
                                                                     : layer.nonlocal->embed();
    const std::int64_t inputs = part.weight->size / part.bias->size;
    add(part.weight->size, from.weights_gradient().data() + part.first_output * inputs,
        part.weight->offset);
    add(part.bias->size, from.bias_gradient().data() + part.first_output, part.bias->offset);
  }
}

void OneDnnTile::langevin(const LangevinSteps& run, std::uint32_t first_chain, int chains,
                          float* states, float* norm_sums) {
  langevin_by_steps(*this, run, first_chain, chains, step_energies_.span(), step_gradients_.span(),
                    states, norm_sums);
}

std::unique_ptr<TileEnergy> OneDnnNetwork::make_tile(std::shared_ptr<const OneDnnNetwork> shared) {
  return std::make_unique<OneDnnTile>(std::move(shared));
}

}  // namespace ebm
