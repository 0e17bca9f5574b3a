#include "cuda/nn/gpu/perceptron_chain.cuh"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

#include "cuda/base/ceil_div.h"
#include "cuda/device/block_reduce.cuh"
#include "cuda/device/launch.cuh"
#include "cuda/nn/gpu/chain_noise.cuh"
#include "cuda/nn/gpu/perceptron_block.cuh"
#include "cuda/nn/gpu/toy_chain.cuh"

// A block works on one state at a time, whose units stay in its shared memory, and takes the next
// when it is done. The weights lie beside them where they fit; else they are read from θ, that is,
// from the second-level cache.

namespace ebm {
namespace {

constexpr int kThreads = kPerceptronThreads;
constexpr int kBlocksPerProcessor = 3;
constexpr std::int64_t kStatesAtATime = 128;  // of a weight gradient
constexpr int kStaticBytes = 1024;            // of shared memory; more than the kernels' own arrays

__global__ void __launch_bounds__(kThreads, kBlocksPerProcessor)
    perceptron_chain_kernel(PerceptronView net, ChainSteps run, std::int64_t chains, float* states,
                            float* norm_sums) {
  BlockPerceptron block(net);
  const int size = net.state_size;
  const int groups = noise_groups(size);
  const int steps_at_a_time = max(1, kNoiseGroups / groups);
  for (std::int64_t chain = blockIdx.x; chain < chains; chain += gridDim.x) {
    block.load(states + chain * size);
    float norm_sum = norm_sums[chain];
    for (int begin = 0; begin < run.steps; begin += steps_at_a_time) {
      const int count = min(steps_at_a_time, run.steps - begin);
      draw_noise(run, chain, begin, count, size, block.noise());
      for (int step = 0; step < count; ++step) {
        block.forward();
        block.backward(0);
        const auto* z = reinterpret_cast<const float*>(block.noise() + step * groups);
        float squares = 0;
        for (int i = static_cast<int>(threadIdx.x); i < size; i += kThreads) {
          const float g = block.gradient()[i];
          squares += g * g;
          block.state()[i] = run.update(block.state()[i], g, z[i]);
        }
        norm_sum += sqrtf(block_sum(squares));
        __syncthreads();  // the state has moved, and the noise has been used
      }
    }
    for (int i = static_cast<int>(threadIdx.x); i < size; i += kThreads) {
      states[chain * size + i] = block.state()[i];
    }
    if (threadIdx.x == 0) {
      norm_sums[chain] = norm_sum;
    }
    __syncthreads();  // before the next chain's state comes
  }
}

__global__ void __launch_bounds__(kThreads, kBlocksPerProcessor)
    perceptron_evaluate_kernel(PerceptronView net, const float* states, std::int64_t count,
                               float* f, float* gradients) {
  BlockPerceptron block(net);
  for (std::int64_t c = blockIdx.x; c < count; c += gridDim.x) {
    block.load(states + c * net.state_size);
    block.forward();
    const float energy = block.energy();
    if (threadIdx.x == 0) {
      f[c] = energy;
    }
    __syncthreads();  // the units have been used
    if (gradients != nullptr) {
      block.backward(0);
      for (int i = static_cast<int>(threadIdx.x); i < net.state_size; i += kThreads) {
        gradients[c * net.state_size + i] = block.gradient()[i];
      }
    }
  }
}

/// f, the inputs of every layer and the derivatives of its outputs: row c is state c's units, of
/// the first those of all layers but the output, of the second of all but the state.
__global__ void __launch_bounds__(kThreads, kBlocksPerProcessor)
    perceptron_derivatives_kernel(PerceptronView net, const float* states, int count, float* f,
                                  float* activations, float* derivatives) {
  BlockPerceptron block(net);
  for (int c = static_cast<int>(blockIdx.x); c < count; c += static_cast<int>(gridDim.x)) {
    block.load(states + std::int64_t{c} * net.state_size);
    block.forward();
    const float energy = block.energy();
    if (threadIdx.x == 0) {
      f[c] = energy;
    }
    const std::int64_t row = std::int64_t{c} * net.units;
    for (int u = static_cast<int>(threadIdx.x); u < net.units - 1; u += kThreads) {
      activations[row + u] = block.inputs()[u];
    }
    __syncthreads();  // the units have been used
    block.backward(1);
    for (int u = static_cast<int>(threadIdx.x); u < net.units - net.state_size; u += kThreads) {
      derivatives[row + net.state_size + u] = block.output_derivatives()[u];
    }
    __syncthreads();  // before the next state comes
  }
}

/// scale·Σ_c ∂f(x_c)/∂θ, in the order of c, a weight or bias of layer blockIdx.y a thread; added to
/// what is there if `add`.
__global__ void __launch_bounds__(kThreads, kBlocksPerProcessor)
    perceptron_theta_gradient_kernel(PerceptronView net, int count, const float* activations,
                                     const float* derivatives, float scale, bool add,
                                     float* theta_gradient) {
  const PerceptronLayer layer = net.layers[blockIdx.y];
  const std::int64_t columns = std::int64_t{layer.inputs} + 1;  // the last is the bias
  const std::int64_t stride = std::int64_t{gridDim.x} * kThreads;
  for (std::int64_t r = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
       r < columns * layer.outputs; r += stride) {
    const std::int64_t j = r / columns;
    const std::int64_t i = r % columns;
    const bool bias = i == layer.inputs;
    const float* input = activations + layer.first_input + i;
    const float* derivative = derivatives + layer.first_input + layer.inputs + j;
    float sum = 0;
#pragma unroll 8
    for (int c = 0; c < count; ++c) {
      const std::int64_t row = std::int64_t{c} * net.units;
      sum = fmaf(derivative[row], bias ? 1.0F : input[row], sum);
    }
    float* to = theta_gradient + (bias ? layer.bias + j : layer.weight + j * layer.inputs + i);
    *to = add ? *to + scale * sum : scale * sum;
  }
}

int device_attribute(cudaDeviceAttr attribute) {
  int device = 0;
  int value = 0;
  EBM_CHECK_CUDA(cudaGetDevice(&device));
  EBM_CHECK_CUDA(cudaDeviceGetAttribute(&value, attribute, device));
  return value;
}

/// Lets a kernel have more dynamic shared memory than the 48 KiB of every device.
template <class... Parameters>
void allow_shared_bytes(void (*kernel)(Parameters...), int bytes) {
  EBM_CHECK_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
}

std::vector<PerceptronLayer> layers_of(const std::vector<int>& widths,
                                       const std::vector<std::int64_t>& weight_offsets,
                                       const std::vector<std::int64_t>& bias_offsets) {
  std::vector<PerceptronLayer> layers;
  int first_input = 0;
  for (std::size_t l = 0; l + 1 < widths.size(); ++l) {
    layers.push_back(
        {widths[l], widths[l + 1], weight_offsets.at(l), bias_offsets.at(l), first_input});
    first_input += widths[l];
  }
  return layers;
}

ToyPlaces toy_places(const std::vector<PerceptronLayer>& layers) {
  ToyPlaces places{};
  for (std::size_t l = 0; l < kToyLayers; ++l) {
    places.weight[l] = layers[l].weight;
    places.bias[l] = layers[l].bias;
  }
  return places;
}

}  // namespace

DevicePerceptron::DevicePerceptron(const CudaStream& stream, const std::vector<int>& widths,
                                   const std::vector<std::int64_t>& weight_offsets,
                                   const std::vector<std::int64_t>& bias_offsets)
    : layers_(layers_of(widths, weight_offsets, bias_offsets)),
      state_size_(widths.front()),
      units_(std::accumulate(widths.begin(), widths.end(), 0)),
      is_toy_(std::ranges::equal(widths, kToyWidths)),
      processors_(device_attribute(cudaDevAttrMultiProcessorCount)) {
  const int limit = device_attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin) - kStaticBytes;
  std::int64_t bytes = perceptron_block_bytes(units_, state_size_, layers_.size());
  if (bytes > limit) {
    throw std::invalid_argument("a perceptron of " + std::to_string(units_) + " units needs " +
                                std::to_string(bytes) +
                                " bytes of a block's memory, of which this device has " +
                                std::to_string(limit) + "; make its layers narrower");
  }
  std::int64_t weight_bytes = 0;
  for (const PerceptronLayer& layer : layers_) {
    weight_bytes += perceptron_weight_bytes(layer);
  }
  weights_fit_ = bytes + weight_bytes <= limit;
  block_bytes_ = static_cast<std::size_t>(weights_fit_ ? bytes + weight_bytes : bytes);
  device_layers_ = DeviceBuffer<PerceptronLayer>(stream, layers_.size());
  device_layers_.upload(stream, layers_);
  const std::size_t scratch = kStatesAtATime * static_cast<std::size_t>(units_);
  activations_ = DeviceBuffer<float>(stream, scratch);
  derivatives_ = DeviceBuffer<float>(stream, scratch);
  allow_shared_bytes(perceptron_chain_kernel, limit);
  allow_shared_bytes(perceptron_evaluate_kernel, limit);
  allow_shared_bytes(perceptron_derivatives_kernel, limit);
}

PerceptronView DevicePerceptron::view(const float* theta) const {
  return {device_layers_.data(), theta,       static_cast<int>(layers_.size()), units_,
          state_size_,           weights_fit_};
}

unsigned DevicePerceptron::blocks(std::int64_t states) const {
  return static_cast<unsigned>(std::min(states, std::int64_t{kBlocksPerProcessor} * processors_));
}

void DevicePerceptron::langevin(const CudaStream& stream, const float* theta,
                                const LangevinUpdate& update, int steps, std::uint32_t first_chain,
                                std::int64_t chains, const float* given_noise, float* states,
                                float* norm_sums) const {
  if (chains == 0 || steps == 0) {
    return;
  }
  const ChainSteps run{update, steps, first_chain, {given_noise, chains}};
  if (is_toy_) {
    toy_langevin(stream, processors_, toy_places(layers_), theta, run, chains, states, norm_sums);
  } else {
    launch_kernel(stream, blocks(chains), kThreads, block_bytes_, perceptron_chain_kernel,
                  view(theta), run, chains, states, norm_sums);
  }
}

void DevicePerceptron::evaluate(const CudaStream& stream, const float* theta, const float* states,
                                std::int64_t count, float* f, float* gradients) const {
  if (count > 0) {
    launch_kernel(stream, blocks(count), kThreads, block_bytes_, perceptron_evaluate_kernel,
                  view(theta), states, count, f, gradients);
  }
}

void DevicePerceptron::weight_gradient(const CudaStream& stream, const float* theta,
                                       const float* states, std::int64_t count, float scale,
                                       float* f, float* theta_gradient) {
  std::int64_t largest = 0;
  for (const PerceptronLayer& layer : layers_) {
    largest = std::max(largest, (std::int64_t{layer.inputs} + 1) * layer.outputs);
  }
  const dim3 gradient_blocks(static_cast<unsigned>(ceil_div(largest, kThreads)),
                             static_cast<unsigned>(layers_.size()));
  for (std::int64_t first = 0; first < count; first += kStatesAtATime) {
    const int some = static_cast<int>(std::min(kStatesAtATime, count - first));
    launch_kernel(stream, blocks(some), kThreads, block_bytes_, perceptron_derivatives_kernel,
                  view(theta), states + first * state_size_, some, f + first, activations_.data(),
                  derivatives_.data());
    launch_kernel(stream, gradient_blocks, kThreads, 0, perceptron_theta_gradient_kernel,
                  view(theta), some, activations_.data(), derivatives_.data(), scale, first > 0,
                  theta_gradient);
  }
}

}  // namespace ebm
