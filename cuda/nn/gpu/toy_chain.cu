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
// A block has 32 groups of lanes. The lanes of a group share 1/32 of a layer's outputs, a part of
// the inputs each, and add up what they have with shuffles. A thread ends up with one unit of every
// layer in both directions, and so has its LeakyReLU's branch at hand on the way back.
//
// Six barriers a step, and between two of them activations are loaded, multiplied by 16 or 32
// weights, shuffled, stored and waited for: latencies all. Four lanes a group are two shuffles,
// eight are three, and both add up the same in the same order. Where no multiprocessor has more
// than one chain to run, four are faster, and take the registers of two blocks of eight; with more
// chains, two blocks of eight fill each other's gaps. On an H200, a step of 100 chains takes 0.74
// µs with four lanes and 0.86 with eight; of 1,000 chains, 5.2 and 3.8.

namespace ebm {
namespace {

constexpr int kGroups = 32;
constexpr int kFours = 4;  // neighbouring groups
constexpr int kState = kToyWidths[0];
constexpr int kWidest = 64;

/// How a block's threads are arranged.
template <int lanes, int blocks>
struct Arrangement {
  static constexpr int kParts = lanes;  // of a layer's inputs: the lanes of a group
  static constexpr int kThreads = kGroups * lanes;
  static constexpr int kWarps = kThreads / static_cast<int>(kWarp);
  static constexpr int kNeighbours = kGroups / kWarps;  // lanes of a warp with the same part
  static constexpr int kBlocksPerProcessor = blocks;
};
using FewChains = Arrangement<4, 1>;
using ManyChains = Arrangement<8, 2>;

/// A thread's place in its block. Lanes with the same part, which read the same activations, are
/// neighbours.
template <class A>
struct Place {
  int lane = static_cast<int>(threadIdx.x % kWarp);
  int warp = static_cast<int>(threadIdx.x / kWarp);
  int part = lane / A::kNeighbours;
  int group = warp * A::kNeighbours + lane % A::kNeighbours;

  /// The one unit of a layer that this thread knows, and whether it is the one to store it.
  template <int outputs>
  __device__ int unit() const {
    return outputs == kGroups ? group : 2 * group + part / (A::kParts / 2);
  }
  template <int outputs>
  __device__ bool stores() const {
    return part % (outputs == kGroups ? A::kParts : A::kParts / 2) == 0;
  }
};

/// A thread's share of one matrix of weights.
template <class A, int inputs, int outputs>
struct Share {
  static constexpr int kOutputs = outputs / kGroups;
  static constexpr int kInputs = inputs / A::kParts;
  static constexpr int kSums = 8 / A::kParts;  // those of as many lanes, were there eight
  static_assert(kOutputs == 1 || kOutputs == 2);

  float weight[kOutputs][kInputs];

  /// The number of this thread's i-th input. Fours of neighbours, so that one load brings four.
  __device__ static int input(const Place<A>& place, int i) {
    return i / 4 * 4 * A::kParts + 4 * place.part + i % 4;
  }

  /// The weight from input i to output j is matrix[j·output_stride + i·input_stride].
  __device__ void load(const Place<A>& place, const float* matrix, int output_stride,
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
  __device__ float operator()(const Place<A>& place, const float (&in)[kInputs]) const {
    float sums[kOutputs][kSums] = {};
#pragma unroll
    for (int i = 0; i < kInputs; ++i) {
#pragma unroll
      for (int o = 0; o < kOutputs; ++o) {
        sums[o][i / 4 % kSums] = fmaf(weight[o][i], in[i], sums[o][i / 4 % kSums]);
      }
    }
#pragma unroll
    for (int o = 0; o < kOutputs; ++o) {
#pragma unroll
      for (int k = 1; k < kSums; ++k) {
        sums[o][0] += sums[o][k];
      }
    }
    // The lower half of the lanes goes on with the first output, the upper half with the second.
    const bool second = kOutputs == 2 && place.part >= A::kParts / 2;
    float total = second ? sums[kOutputs - 1][0] : sums[0][0];
    total += __shfl_xor_sync(kWholeWarp, second ? sums[0][0] : sums[kOutputs - 1][0], 16);
#pragma unroll
    for (int lanes = 8; lanes >= A::kNeighbours; lanes /= 2) {
      total += __shfl_xor_sync(kWholeWarp, total, lanes);
    }
    return total;
  }

  /// The same with inputs from shared memory.
  __device__ float operator()(const Place<A>& place, const float4* in) const {
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
template <class A>
struct Exchange {
  float4 units[2][kWidest / 4];
  float gradient[kGroups / kFours][kState];  // four groups' part of ∇ₓf
};

/// A thread's share of the whole network.
template <class A>
struct ToyNetwork {
  FirstLayerUnit first[Share<A, 32, 64>::kInputs];  // its inputs of the second layer
  FirstLayerUnit own;                               // its own unit
  Share<A, 32, 64> second;
  Share<A, 64, 64> third;
  Share<A, 64, 64> fourth;
  float bias[3];  // of its units in these
  float last;     // weight of its unit of the fourth layer
  Share<A, 64, 64> fourth_back;
  Share<A, 64, 64> third_back;
  Share<A, 64, 32> second_back;

  __device__ void load(const Place<A>& place, const ToyPlaces& places, const float* theta) {
#pragma unroll
    for (int i = 0; i < Share<A, 32, 64>::kInputs; ++i) {
      first[i].load(places, theta, Share<A, 32, 64>::input(place, i));
    }
    own.load(places, theta, place.template unit<32>());
    second.load(place, theta + places.weight[1], 32, 1);
    third.load(place, theta + places.weight[2], 64, 1);
    fourth.load(place, theta + places.weight[3], 64, 1);
    fourth_back.load(place, theta + places.weight[3], 1, 64);
    third_back.load(place, theta + places.weight[2], 1, 64);
    second_back.load(place, theta + places.weight[1], 1, 32);
#pragma unroll
    for (int l = 0; l < 3; ++l) {
      bias[l] = theta[places.bias[l + 1] + place.template unit<64>()];
    }
    last = theta[places.weight[4] + place.template unit<64>()];
  }

  /// ∇ₓf at x, on every thread, and the same bits. The value f itself is not needed: of the last
  /// layers, only the signs.
  __device__ void gradient(const Place<A>& place, const float (&x)[kState], Exchange<A>& exchange,
                           float (&g)[kState]) const {
    constexpr LeakyRelu relu;
    float in[Share<A, 32, 64>::kInputs];
#pragma unroll
    for (int i = 0; i < Share<A, 32, 64>::kInputs; ++i) {
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
  __device__ static void publish(const Place<A>& place, float value, float4* units) {
    if (place.template stores<64>()) {
      reinterpret_cast<float*>(units)[place.template unit<64>()] = value;
    }
    __syncthreads();
  }

  /// g = Σ over the units of the first layer of weight·d: over four groups, then over the fours.
  __device__ void sum_over_units(const Place<A>& place, float d,
                                 float (&fours)[kGroups / kFours][kState],
                                 float (&g)[kState]) const {
    const int component = place.part % kState;  // other parts know the same d
    float sum = d * (component == 0 ? own.weight[0] : own.weight[1]);
    sum += __shfl_xor_sync(kWholeWarp, sum, 1);
    sum += __shfl_xor_sync(kWholeWarp, sum, 2);
    if (place.part < kState && place.group % kFours == 0) {
      fours[place.group / kFours][component] = sum;
    }
    __syncthreads();
    g[0] = fours[0][0];
    g[1] = fours[0][1];
#pragma unroll
    for (int four = 1; four < kGroups / kFours; ++four) {
      g[0] += fours[four][0];
      g[1] += fours[four][1];
    }
  }
};

/// A block takes every gridDim.x-th chain. Its threads all move the same state, in their registers.
template <class A>
__global__ void __launch_bounds__(A::kThreads, A::kBlocksPerProcessor)
    toy_chain_kernel(ToyPlaces places, const float* theta, ChainSteps run, std::int64_t chains,
                     float* states, float* norm_sums) {
  __shared__ Exchange<A> exchange;
  __shared__ float4 noise[A::kThreads];  // of as many steps
  const Place<A> place;
  ToyNetwork<A> network;
  network.load(place, places, theta);
  for (std::int64_t chain = blockIdx.x; chain < chains; chain += gridDim.x) {
    float x[kState] = {states[kState * chain], states[kState * chain + 1]};
    float norm_sum = norm_sums[chain];
    for (int begin = 0; begin < run.steps; begin += A::kThreads) {
      const int count = min(A::kThreads, run.steps - begin);
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

template <class A>
void launch(const CudaStream& stream, int processors, const ToyPlaces& places, const float* theta,
            const ChainSteps& run, std::int64_t chains, float* states, float* norm_sums) {
  const auto blocks =
      static_cast<unsigned>(std::min<std::int64_t>(chains, A::kBlocksPerProcessor * processors));
  launch_kernel(stream, blocks, A::kThreads, 0, toy_chain_kernel<A>, places, theta, run, chains,
                states, norm_sums);
}

}  // namespace

void toy_langevin(const CudaStream& stream, int processors, const ToyPlaces& places,
                  const float* theta, const ChainSteps& run, std::int64_t chains, float* states,
                  float* norm_sums) {
  const auto launch_arranged = chains <= processors ? launch<FewChains> : launch<ManyChains>;
  launch_arranged(stream, processors, places, theta, run, chains, states, norm_sums);
}

}  // namespace ebm
