#include "cuda/nn/gpu/toy_chain.cuh"

#include <algorithm>
#include <cmath>

#include "cuda/device/block_reduce.cuh"
#include "cuda/device/launch.cuh"
#include "cuda/kernels/leaky_relu.cuh"

// One block runs one chain: a batch is smaller than the number of multiprocessors, so what counts
// is how long a step takes, not how many there are. All weights stay in the block's registers, once
// for each direction; only activations go through shared memory.
//
// A warp has four groups of eight lanes, a block 32 groups. The lanes of a group share 1/32 of a
// layer's outputs, an eighth of the inputs each, and add up what they have with three shuffles.
// A thread ends up with one unit of every layer in both directions, and so has its LeakyReLU's
// branch at hand on the way back.
//
// Six barriers a step, and between two of them about 30 cycles to load activations, 35 for 16
// multiply-adds of two warps, 75 for the shuffles, 60 to store and to wait: some 1200 cycles or
// 0.7 µs a step, 0.35 ms for 500 steps, on a 1.7 GHz processor. (An estimate from instruction
// latencies.) The arithmetic alone would take 160 cycles; a second block on the same multiprocessor
// fills some of the gaps when there are many chains, as for a density estimate.

namespace ebm {
namespace {

constexpr int kThreads = 256;
constexpr int kBlocksPerProcessor = 2;
constexpr int kWarps = kThreads / static_cast<int>(kWarp);
constexpr int kParts = 8;                   // lanes that share outputs
constexpr int kGroups = kThreads / kParts;  // of such lanes
constexpr int kState = kToyWidths[0];
constexpr int kWidest = 64;

/// A thread's place in its block. Lanes with the same part, which read the same activations, are
/// neighbours.
struct Place {
  int lane = static_cast<int>(threadIdx.x % kWarp);
  int warp = static_cast<int>(threadIdx.x / kWarp);
  int part = lane / (kGroups / kWarps);
  int group = warp * (kGroups / kWarps) + lane % (kGroups / kWarps);

  /// The one unit of a layer that this thread knows, and whether it is the one to store it.
  template <int outputs>
  __device__ int unit() const {
    return outputs == kGroups ? group : 2 * group + part / (kParts / 2);
  }
  template <int outputs>
  __device__ bool stores() const {
    return part % (outputs == kGroups ? kParts : kParts / 2) == 0;
  }
};

/// A thread's share of one matrix of weights.
template <int inputs, int outputs>
struct Share {
  static constexpr int kOutputs = outputs / kGroups;
  static constexpr int kInputs = inputs / kParts;
  static_assert(kOutputs == 1 || kOutputs == 2);

  float weight[kOutputs][kInputs];

  /// The number of this thread's i-th input. Fours of neighbours, so that one load brings four.
  __device__ static int input(const Place& place, int i) {
    return i / 4 * 4 * kParts + 4 * place.part + i % 4;
  }

  /// The weight from input i to output j is matrix[j·output_stride + i·input_stride].
  __device__ void load(const Place& place, const float* matrix, int output_stride,
                       int input_stride) {
#pragma unroll
    for (int o = 0; o < kOutputs; ++o) {
#pragma unroll
      for (int i = 0; i < kInputs; ++i) {
        weight[o][i] =
            matrix[(place.group * kOutputs + o) * output_stride + input(place, i) * input_stride];
      }
    }
  }

  /// Σ weight·in of this thread's unit, from its share of the inputs and the other lanes' sums.
  __device__ float operator()(const Place& place, const float (&in)[kInputs]) const {
    float sum[kOutputs] = {};
#pragma unroll
    for (int i = 0; i < kInputs; ++i) {
#pragma unroll
      for (int o = 0; o < kOutputs; ++o) {
        sum[o] = fmaf(weight[o][i], in[i], sum[o]);
      }
    }
    // The half of the lanes that has part < 4 goes on with the first output, the other half with
    // the second.
    const bool second = kOutputs == 2 && place.part >= kParts / 2;
    float total = second ? sum[kOutputs - 1] : sum[0];
    total += __shfl_xor_sync(kWholeWarp, second ? sum[0] : sum[kOutputs - 1], 16);
    total += __shfl_xor_sync(kWholeWarp, total, 8);
    return total + __shfl_xor_sync(kWholeWarp, total, 4);
  }

  /// The same with inputs from shared memory.
  __device__ float operator()(const Place& place, const float4* in) const {
    float mine[kInputs];
#pragma unroll
    for (int i = 0; i < kInputs; i += 4) {
      const float4 four = in[input(place, i) / 4];
      mine[i] = four.x;
      mine[i + 1] = four.y;
      mine[i + 2] = four.z;
      mine[i + 3] = four.w;
    }
    return (*this)(place, mine);
  }
};

/// One unit of the first layer.
struct FirstLayerUnit {
  float weight[kState];
  float bias;

  __device__ void load(const ToyPlaces& places, const float* theta, int unit) {
    weight[0] = theta[places.weight[0] + kState * unit];
    weight[1] = theta[places.weight[0] + kState * unit + 1];
    bias = theta[places.bias[0] + unit];
  }
  __device__ float operator()(const float (&x)[kState]) const {
    return LeakyRelu{}(fmaf(weight[1], x[1], fmaf(weight[0], x[0], bias)));
  }
};

/// What goes from thread to thread. Two layers' units, used in turn: a layer's are written when
/// all threads have read those of the layer before the last.
struct Exchange {
  float4 units[2][kWidest / 4];
  float gradient[kWarps][kState];  // each warp's part of ∇ₓf
};

/// A thread's share of the whole network.
struct ToyNetwork {
  FirstLayerUnit first[Share<32, 64>::kInputs];  // its inputs of the second layer
  FirstLayerUnit own;                            // its own unit
  Share<32, 64> second;
  Share<64, 64> third;
  Share<64, 64> fourth;
  float bias[3];  // of its units in these
  float last;     // weight of its unit of the fourth layer
  Share<64, 64> fourth_back;
  Share<64, 64> third_back;
  Share<64, 32> second_back;

  __device__ void load(const Place& place, const ToyPlaces& places, const float* theta) {
#pragma unroll
    for (int i = 0; i < Share<32, 64>::kInputs; ++i) {
      first[i].load(places, theta, Share<32, 64>::input(place, i));
    }
    own.load(places, theta, place.unit<32>());
    second.load(place, theta + places.weight[1], 32, 1);
    third.load(place, theta + places.weight[2], 64, 1);
    fourth.load(place, theta + places.weight[3], 64, 1);
    fourth_back.load(place, theta + places.weight[3], 1, 64);
    third_back.load(place, theta + places.weight[2], 1, 64);
    second_back.load(place, theta + places.weight[1], 1, 32);
#pragma unroll
    for (int l = 0; l < 3; ++l) {
      bias[l] = theta[places.bias[l + 1] + place.unit<64>()];
    }
    last = theta[places.weight[4] + place.unit<64>()];
  }

  /// ∇ₓf at x, on every thread, and the same bits. The value f itself is not needed: of the last
  /// layers, only the signs.
  __device__ void gradient(const Place& place, const float (&x)[kState], Exchange& exchange,
                           float (&g)[kState]) const {
    constexpr LeakyRelu relu;
    float in[Share<32, 64>::kInputs];
#pragma unroll
    for (int i = 0; i < Share<32, 64>::kInputs; ++i) {
      in[i] = first[i](x);
    }
    const float h2 = relu(second(place, in) + bias[0]);
    publish(place, h2, exchange.units[0]);
    const float h3 = relu(third(place, exchange.units[0]) + bias[1]);
    publish(place, h3, exchange.units[1]);
    const float h4 = fourth(place, exchange.units[1]) + bias[2];
    publish(place, relu.gradient(h4, last), exchange.units[0]);
    const float d3 = relu.gradient(h3, fourth_back(place, exchange.units[0]));
    publish(place, d3, exchange.units[1]);
    const float d2 = relu.gradient(h2, third_back(place, exchange.units[1]));
    publish(place, d2, exchange.units[0]);
    const float d1 = relu.gradient(own(x), second_back(place, exchange.units[0]));
    sum_over_units(place, d1, exchange.gradient, g);
  }

 private:
  /// Makes a layer's units known to the block.
  __device__ static void publish(const Place& place, float value, float4* units) {
    if (place.stores<64>()) {
      reinterpret_cast<float*>(units)[place.unit<64>()] = value;
    }
    __syncthreads();
  }

  /// g = Σ over the units of the first layer of weight·d: over the groups of a warp, then over the
  /// warps.
  __device__ void sum_over_units(const Place& place, float d, float (&warps)[kWarps][kState],
                                 float (&g)[kState]) const {
    const int component = place.part % kState;  // other parts know the same d
    float sum = d * (component == 0 ? own.weight[0] : own.weight[1]);
    sum += __shfl_xor_sync(kWholeWarp, sum, 1);
    sum += __shfl_xor_sync(kWholeWarp, sum, 2);
    if (place.part < kState && place.lane % (kGroups / kWarps) == 0) {
      warps[place.warp][component] = sum;
    }
    __syncthreads();
    g[0] = warps[0][0];
    g[1] = warps[0][1];
#pragma unroll
    for (int warp = 1; warp < kWarps; ++warp) {
      g[0] += warps[warp][0];
      g[1] += warps[warp][1];
    }
  }
};

/// A block takes every gridDim.x-th chain. Its threads all move the same state, in their registers.
__global__ void __launch_bounds__(kThreads, kBlocksPerProcessor)
    toy_chain_kernel(ToyPlaces places, const float* theta, ChainSteps run, std::int64_t chains,
                     float* states, float* norm_sums) {
  __shared__ Exchange exchange;
  __shared__ float4 noise[kThreads];  // of as many steps
  const Place place;
  ToyNetwork network;
  network.load(place, places, theta);
  for (std::int64_t chain = blockIdx.x; chain < chains; chain += gridDim.x) {
    float x[kState] = {states[kState * chain], states[kState * chain + 1]};
    float norm_sum = norm_sums[chain];
    for (int begin = 0; begin < run.steps; begin += kThreads) {
      const int count = min(kThreads, run.steps - begin);
      __syncthreads();  // the last noise has been used
      draw_noise(run, chain, begin, count, kState, noise);
      __syncthreads();
      for (int step = 0; step < count; ++step) {
        float g[kState];
        network.gradient(place, x, exchange, g);
        const float4 z = noise[step];
        norm_sum += sqrtf(g[0] * g[0] + g[1] * g[1]);
        x[0] = run.update(x[0], g[0], z.x);
        x[1] = run.update(x[1], g[1], z.y);
      }
    }
    if (threadIdx.x == 0) {
      states[kState * chain] = x[0];
      states[kState * chain + 1] = x[1];
      norm_sums[chain] = norm_sum;
    }
  }
}

}  // namespace

void toy_langevin(const CudaStream& stream, int processors, const ToyPlaces& places,
                  const float* theta, const ChainSteps& run, std::int64_t chains, float* states,
                  float* norm_sums) {
  const auto blocks =
      static_cast<unsigned>(std::min<std::int64_t>(chains, kBlocksPerProcessor * processors));
  launch_kernel(stream, blocks, kThreads, 0, toy_chain_kernel, places, theta, run, chains, states,
                norm_sums);
}

}  // namespace ebm
