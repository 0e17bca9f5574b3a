// One thread's executor of a OneDnnNetwork.

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include "cuda/kernels/channel_order.cuh"
#include "cuda/kernels/energy_head.cuh"
#include "cuda/kernels/leaky_relu.cuh"
#include "cuda/kernels/max_pool.cuh"
#include "cuda/nn/cpu/onednn_network.h"

namespace ebm {

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
  void langevin(const ChainRun& run, const Chains& chains) override;

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
  Buffer<float> convolution_scratch_;
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
  std::int64_t scratch = 0;
  for (const OneDnnNetwork::PlannedLayer& planned : shared_->layers_) {
    scratch = std::max(scratch, planned.convolution ? planned.convolution->scratch_values() : 0);
  }
  convolution_scratch_ = Buffer<float>(static_cast<std::size_t>(scratch));
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
      bound.convolution = std::make_unique<Convolution>(
          planned.convolution, bound.x, bound.y, bound.dx, bound.dy, convolution_scratch_.data());
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
  const std::size_t left = first == nullptr ? 0 : masked ? 2 : 1;
  const auto takes_relu_back = [this](std::size_t i) {
    return layers_[i].convolution && layers_[i].convolution->takes_relu_back();
  };
  for (std::size_t i = layers_.size(); i-- > left;) {
    if (takes_relu_back(i)) {
      layers_[i].convolution->backward_with_relu();
    } else if (i == 0 || !takes_relu_back(i - 1)) {
      backward(layers_[i]);
    }
  }
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
    layer.convolution->reorder_to_plain(gradient);
  } else if (layer.nonlocal) {
    layer.nonlocal->reorder_to_plain(gradient);
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

void OneDnnTile::langevin(const ChainRun& run, const Chains& chains) {
  langevin_by_steps(*this, run, chains, step_energies_.span(), step_gradients_.span());
}

std::unique_ptr<TileEnergy> OneDnnNetwork::make_tile(std::shared_ptr<const OneDnnNetwork> shared) {
  return std::make_unique<OneDnnTile>(std::move(shared));
}

}  // namespace ebm
