// What a block of threads does with a perceptron of any widths. For nvcc only.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "cuda/base/ceil_div.h"
#include "cuda/device/block_reduce.cuh"
#include "cuda/device/launch.cuh"
#include "cuda/kernels/leaky_relu.cuh"
#include "cuda/nn/gpu/chain_noise.cuh"
#include "cuda/nn/gpu/perceptron_chain.cuh"

namespace ebm {

inline constexpr int kPerceptronThreads = 256;
inline constexpr int kPerceptronWarps = kPerceptronThreads / static_cast<int>(kWarp);
/// Groups of four normals that are drawn at a time, or as many as one state has.
inline constexpr int kNoiseGroups = kPerceptronThreads;

/// A layer as a block sees it. The derivatives of its inputs take the inputs' place, but for the
/// state's.
struct BlockLayer {
  const float* weight;  // (outputs, stride)
  const float* bias;
  float* in;
  float* in_derivative;
  int stride;
  int inputs;
  int outputs;
};

/// Rows of a weight in shared memory. The lanes of a warp read four rows and eight columns at a
/// time, in both directions: with this stride each from a bank of its own.
__host__ __device__ constexpr int padded_stride(int inputs) { return (inputs + 23) / 32 * 32 + 8; }

// Bytes of a block's memory, in the order in which things lie there: a state's units and its
// gradient, noise, the layers; and the weights, where they fit.
__host__ __device__ constexpr std::int64_t unit_bytes(int units, int state_size) {
  return 16 * ceil_div(std::int64_t{units} + state_size, 4);
}
__host__ __device__ constexpr std::int64_t noise_bytes(int state_size) {
  const int groups = noise_groups(state_size);
  return 16 * std::int64_t{groups < kNoiseGroups ? kNoiseGroups : groups};
}
constexpr std::int64_t perceptron_block_bytes(int units, int state_size, std::size_t layers) {
  return unit_bytes(units, state_size) + noise_bytes(state_size) +
         static_cast<std::int64_t>(layers * sizeof(BlockLayer));
}
constexpr std::int64_t perceptron_weight_bytes(const PerceptronLayer& layer) {
  return (std::int64_t{padded_stride(layer.inputs)} + 1) * layer.outputs * 4;
}

/// What a block does with a perceptron. All its threads call the same functions, each of which
/// ends with a barrier unless it says otherwise.
class BlockPerceptron {
 public:
  __device__ explicit BlockPerceptron(const PerceptronView& net)
      : count_(net.count), units_count_(net.units), size_(net.state_size) {
    units_ = dynamic_shared<float>();
    gradient_ = units_ + net.units;
    auto* memory = dynamic_shared<std::byte>() + unit_bytes(net.units, size_);
    noise_ = reinterpret_cast<float4*>(memory);
    layers_ = reinterpret_cast<BlockLayer*>(memory + noise_bytes(size_));
    auto* next = reinterpret_cast<float*>(layers_ + count_);
    for (int l = 0; l < count_; ++l) {
      const PerceptronLayer at = net.layers[l];
      const float* weight = net.theta + at.weight;
      const float* bias = net.theta + at.bias;
      int stride = at.inputs;
      if (net.weights_fit) {
        stride = padded_stride(at.inputs);
        copy_rows(weight, at.outputs, at.inputs, stride, next);
        weight = next;
        next += std::int64_t{stride} * at.outputs;
        copy_rows(bias, 1, at.outputs, at.outputs, next);
        bias = next;
        next += at.outputs;
      }
      if (threadIdx.x == 0) {
        float* in = units_ + at.first_input;
        layers_[l] = {weight, bias, in, l == 0 ? gradient_ : in, stride, at.inputs, at.outputs};
      }
    }
    __syncthreads();
  }

  __device__ float* state() { return units_; }
  __device__ const float* gradient() const { return gradient_; }
  __device__ float4* noise() { return noise_; }
  /// The inputs of all layers, after forward().
  __device__ const float* inputs() const { return units_; }
  /// The derivatives of all layers' outputs before their LeakyReLU, after backward(1).
  __device__ const float* output_derivatives() const { return units_ + size_; }

  __device__ void load(const float* from) {
    for (int i = static_cast<int>(threadIdx.x); i < size_; i += kPerceptronThreads) {
      units_[i] = from[i];
    }
    __syncthreads();
  }

  /// All layers but the last.
  __device__ void forward() {
    for (int l = 0; l + 1 < count_; ++l) {
      forward_layer(layers_[l], layers_[l + 1].in);
    }
  }

  /// The last layer, after forward(), on every thread of a warp. No barrier.
  __device__ float energy() const {
    const BlockLayer& last = layers_[count_ - 1];
    double sum = 0;
    for (int i = static_cast<int>(threadIdx.x % kWarp); i < last.inputs;
         i += static_cast<int>(kWarp)) {
      sum += static_cast<double>(last.weight[i]) * static_cast<double>(last.in[i]);
    }
    return static_cast<float>(static_cast<double>(last.bias[0]) + warp_sum(sum));
  }

  /// After forward(): the derivatives of the inputs of all layers from `lowest` on; of the state
  /// (lowest 0), ∇ₓf, they are gradient().
  __device__ void backward(int lowest) {
    float* derivative = units_ + units_count_ - 1;  // of the output
    if (threadIdx.x == 0) {
      *derivative = 1;
    }
    __syncthreads();
    for (int l = count_ - 1; l >= lowest; --l) {
      backward_layer(layers_[l], l > 0, derivative);
      derivative = layers_[l].in_derivative;
    }
  }

 private:
  /// to[row·stride + column] = from[row·columns + column], eight loads under way at a time. No
  /// barrier.
  __device__ static void copy_rows(const float* from, int rows, int columns, int stride,
                                   float* to) {
    constexpr int kBatch = 8;
    const int size = rows * columns;
    for (int first = static_cast<int>(threadIdx.x); first < size;
         first += kBatch * kPerceptronThreads) {
      float value[kBatch];
#pragma unroll
      for (int b = 0; b < kBatch; ++b) {
        const int r = first + b * kPerceptronThreads;
        value[b] = r < size ? from[r] : 0.0F;
      }
#pragma unroll
      for (int b = 0; b < kBatch; ++b) {
        const int r = first + b * kPerceptronThreads;
        if (r < size) {
          to[r / columns * stride + r % columns] = value[b];
        }
      }
    }
  }

  /// Eight lanes share an output.
  __device__ static void forward_layer(const BlockLayer layer, float* out) {
    const int lane = static_cast<int>(threadIdx.x % kWarp);
    const int warp = static_cast<int>(threadIdx.x / kWarp);
    const int part = lane % 8;
    for (int first = 4 * warp; first < layer.outputs; first += 4 * kPerceptronWarps) {
      const int j = first + lane / 8;
      float sum = 0;
      if (j < layer.outputs) {
        const float* row = layer.weight + std::int64_t{j} * layer.stride;
        for (int i = part; i < layer.inputs; i += 8) {
          sum = fmaf(row[i], layer.in[i], sum);
        }
      }
      sum += __shfl_xor_sync(kWholeWarp, sum, 4);
      sum += __shfl_xor_sync(kWholeWarp, sum, 2);
      sum += __shfl_xor_sync(kWholeWarp, sum, 1);
      if (part == 0 && j < layer.outputs) {
        out[j] = LeakyRelu{}(sum + layer.bias[j]);
      }
    }
    __syncthreads();
  }

  /// Four lanes share an input, which eight neighbours have next to each other.
  __device__ static void backward_layer(const BlockLayer layer, bool hidden,
                                        const float* out_derivative) {
    const int lane = static_cast<int>(threadIdx.x % kWarp);
    const int warp = static_cast<int>(threadIdx.x / kWarp);
    const int part = lane / 8;
    for (int first = 8 * warp; first < layer.inputs; first += 8 * kPerceptronWarps) {
      const int i = first + lane % 8;
      float sum = 0;
      if (i < layer.inputs) {
        for (int j = part; j < layer.outputs; j += 4) {
          sum = fmaf(layer.weight[std::int64_t{j} * layer.stride + i], out_derivative[j], sum);
        }
      }
      sum += __shfl_xor_sync(kWholeWarp, sum, 16);
      sum += __shfl_xor_sync(kWholeWarp, sum, 8);
      if (part == 0 && i < layer.inputs) {
        layer.in_derivative[i] = hidden ? LeakyRelu{}.gradient(layer.in[i], sum) : sum;
      }
    }
    __syncthreads();
  }

  int count_;  // of layers
  int units_count_;
  int size_;
  float* units_;
  float* gradient_;
  float4* noise_;
  BlockLayer* layers_;
};

}  // namespace ebm
