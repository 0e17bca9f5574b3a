#include "cuda/kernels/perceptron_chain.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "cuda/device/cpu_clones.h"
#include "cuda/kernels/leaky_relu.cuh"

namespace ebm {
namespace {

constexpr int kLanes = kPerceptronLanes;
/// One value of each chain of a group. Memory holds the groups of a value side by side.
using Lanes [[gnu::vector_size(kLanes * sizeof(float))]] = float;

/// Outputs [first, first + count): out[m] = start[m] + Σ_k weight[k][m]·in[k], lane by lane. The
/// sums stay in registers; few outputs are split into `ways` partial sums to hide latency. A lane's
/// sum is the same bits for any number of groups.
template <int groups, int count, int ways>
EBM_HOST_DEVICE void some_outputs(const float* weight, std::int64_t outputs, std::int64_t inputs,
                                  const float* start, const Lanes* in, Lanes* out) {
  Lanes sum[ways][count][groups];
  for (int m = 0; m < count; ++m) {
    for (int w = 0; w < ways; ++w) {
      for (int g = 0; g < groups; ++g) {
        sum[w][m][g] = Lanes{} + (w == 0 && start != nullptr ? start[m] : 0.0F);
      }
    }
  }
  std::int64_t k = 0;
  for (; k + ways <= inputs; k += ways) {
    for (int w = 0; w < ways; ++w) {
      const float* row = weight + (k + w) * outputs;
      for (int m = 0; m < count; ++m) {
        for (int g = 0; g < groups; ++g) {
          sum[w][m][g] += row[m] * in[(k + w) * groups + g];
        }
      }
    }
  }
  for (; k < inputs; ++k) {
    for (int m = 0; m < count; ++m) {
      for (int g = 0; g < groups; ++g) {
        sum[0][m][g] += weight[k * outputs + m] * in[k * groups + g];
      }
    }
  }
  for (int m = 0; m < count; ++m) {
    for (int g = 0; g < groups; ++g) {
      Lanes total = sum[0][m][g];
      for (int w = 1; w < ways; ++w) {
        total += sum[w][m][g];
      }
      out[m * groups + g] = total;
    }
  }
}

/// out = start + weightᵀ·in for every lane; weight is (inputs, outputs), start may be null.
template <int groups>
EBM_HOST_DEVICE void multiply(const float* weight, std::int64_t outputs, std::int64_t inputs,
                              const float* start, const Lanes* in, Lanes* out) {
  constexpr int kBlock = 8;
  std::int64_t m = 0;
  for (; m + kBlock <= outputs; m += kBlock) {
    some_outputs<groups, kBlock, 1>(weight + m, outputs, inputs,
                                    start == nullptr ? nullptr : start + m, in, out + m * groups);
  }
  for (; m < outputs; ++m) {
    some_outputs<groups, 1, 8>(weight + m, outputs, inputs, start == nullptr ? nullptr : start + m,
                               in, out + m * groups);
  }
}

Lanes* as_lanes(Buffer<float>& values) { return reinterpret_cast<Lanes*>(values.data()); }

template <int groups>
EBM_HOST_DEVICE void forward_groups(const Perceptron& net, const std::int64_t* offset,
                                    Lanes* activations) {
  const std::size_t layers = net.layers();
  for (std::size_t l = 0; l < layers; ++l) {
    const std::int64_t outputs = net.widths()[l + 1];
    Lanes* out = activations + offset[l + 1] * groups;
    multiply<groups>(net.by_input(l), outputs, net.widths()[l], net.bias(l),
                     activations + offset[l] * groups, out);
    if (l + 1 < layers) {
      for (std::int64_t j = 0; j < outputs * groups; ++j) {
        out[j] = out[j] > 0.0F ? out[j] : kLeakySlope * out[j];
      }
    }
  }
}

template <int groups>
EBM_HOST_DEVICE Lanes* backward_groups(const Perceptron& net, const std::int64_t* offset,
                                       const Lanes* activations, std::int64_t widest,
                                       Lanes* gradients) {
  Lanes* dy = gradients;
  Lanes* dx = gradients + widest * groups;
  for (int g = 0; g < groups; ++g) {
    dy[g] = Lanes{} + 1.0F;
  }
  for (std::size_t l = net.layers(); l-- > 0;) {
    const std::int64_t inputs = net.widths()[l];
    multiply<groups>(net.by_output(l), inputs, net.widths()[l + 1], nullptr, dy, dx);
    if (l > 0) {
      const Lanes* y = activations + offset[l] * groups;
      for (std::int64_t i = 0; i < inputs * groups; ++i) {
        dx[i] = y[i] > 0.0F ? dx[i] : kLeakySlope * dx[i];
      }
    }
    std::swap(dx, dy);
  }
  return dy;
}

/// Activations from the states in activations[0]; the energy ends in the last activation.
EBM_CPU_CLONES void forward(const Perceptron& net, int groups, const std::int64_t* offset,
                            Lanes* activations) {
  return groups == 1 ? forward_groups<1>(net, offset, activations)
                     : forward_groups<2>(net, offset, activations);
}

/// ∇ₓf from the activations. gradients holds two arrays of `widest` values, used in turn; returns
/// the one that holds the result.
EBM_CPU_CLONES Lanes* backward(const Perceptron& net, int groups, const std::int64_t* offset,
                               const Lanes* activations, std::int64_t widest, Lanes* gradients) {
  return groups == 1 ? backward_groups<1>(net, offset, activations, widest, gradients)
                     : backward_groups<2>(net, offset, activations, widest, gradients);
}

/// z[component][lane] for the lanes' chains, the first numbered first_chain.
EBM_CPU_CLONES void draw_noise(const LangevinUpdate& update, std::uint32_t first_chain, int lanes,
                               std::int64_t size, float* z) {
  for (int first = 0; first < lanes; first += kLanes) {
    for (std::int64_t begin = 0; begin < size; begin += 4) {
      alignas(64) float four[4][kLanes];
#pragma omp simd
      for (int lane = 0; lane < kLanes; ++lane) {
        const Floats4 noise =
            update.noise_of(first_chain + static_cast<std::uint32_t>(first + lane),
                            static_cast<std::uint32_t>(begin / 4));
        four[0][lane] = noise.v[0];
        four[1][lane] = noise.v[1];
        four[2][lane] = noise.v[2];
        four[3][lane] = noise.v[3];
      }
      const std::int64_t count = std::min<std::int64_t>(4, size - begin);
      for (std::int64_t i = 0; i < count; ++i) {
        std::copy_n(four[i], kLanes, z + (begin + i) * lanes + first);
      }
    }
  }
}

/// One update of all lanes; adds ‖∇f‖ to norms.
EBM_CPU_CLONES void move(const LangevinUpdate& update, int lanes, std::int64_t size,
                         const float* gradient, const float* z, float* x, float* norms) {
  alignas(64) float squares[kPerceptronCapacity] = {};
  for (std::int64_t i = 0; i < size; ++i) {
#pragma omp simd
    for (int lane = 0; lane < lanes; ++lane) {
      const float g = gradient[i * lanes + lane];
      squares[lane] += g * g;
      x[i * lanes + lane] = update(x[i * lanes + lane], g, z[i * lanes + lane]);
    }
  }
#pragma omp simd
  for (int lane = 0; lane < lanes; ++lane) {
    norms[lane] += sqrtf(squares[lane]);
  }
}

}  // namespace

Perceptron::Perceptron(std::vector<int> widths) : widths_(std::move(widths)) {
  for (std::size_t l = 0; l < layers(); ++l) {
    const auto size =
        static_cast<std::size_t>(widths_[l]) * static_cast<std::size_t>(widths_[l + 1]);
    by_input_.emplace_back(size);
    by_output_.emplace_back(size);
    bias_.emplace_back(static_cast<std::size_t>(widths_[l + 1]));
  }
}

int perceptron_chains_together(std::int64_t batch, int threads) {
#if defined(__x86_64__)
  const bool wide = __builtin_cpu_supports("avx512f") != 0;  // 32 registers of 16 lanes
#else
  const bool wide = false;
#endif
  return wide && batch > std::int64_t{kPerceptronLanes} * threads ? kPerceptronCapacity
                                                                  : kPerceptronLanes;
}

void Perceptron::set_layer(std::size_t l, const float* weight, const float* bias) {
  const auto inputs = static_cast<std::size_t>(widths_[l]);
  const auto outputs = static_cast<std::size_t>(widths_[l + 1]);
  std::copy_n(weight, inputs * outputs, by_output_[l].data());
  std::copy_n(bias, outputs, bias_[l].data());
  for (std::size_t j = 0; j < outputs; ++j) {
    for (std::size_t i = 0; i < inputs; ++i) {
      by_input_[l][i * outputs + j] = weight[j * inputs + i];
    }
  }
}

PerceptronChains::PerceptronChains(const Perceptron& perceptron) : perceptron_(&perceptron) {
  std::int64_t total = 0;
  for (const int width : perceptron.widths()) {
    offset_.push_back(total);
    total += width;
  }
  widest_ = *std::ranges::max_element(perceptron.widths());
  activations_ = Buffer<float>(static_cast<std::size_t>(total * kPerceptronCapacity));
  gradients_ = Buffer<float>(static_cast<std::size_t>(2 * widest_ * kPerceptronCapacity));
  noise_ =
      Buffer<float>(static_cast<std::size_t>(perceptron.widths().front() * kPerceptronCapacity));
}

/// Lanes beyond the chains hold zeros; their results are never read.
void PerceptronChains::load(const float* states, int chains) {
  groups_ = (chains + kLanes - 1) / kLanes;
  const int size = perceptron_->widths().front();
  std::fill_n(activations_.data(), size * lanes(), 0.0F);
  spread(states, chains, activations_.data());
}

/// lane_values[component][lane] = values[chain][component], of the chains that there are.
void PerceptronChains::spread(const float* values, int chains, float* lane_values) const {
  const int size = perceptron_->widths().front();
  for (int c = 0; c < chains; ++c) {
    for (int i = 0; i < size; ++i) {
      lane_values[i * lanes() + c] = values[c * size + i];
    }
  }
}

/// And back.
void PerceptronChains::gather(const float* lane_values, int chains, float* values) const {
  const int size = perceptron_->widths().front();
  for (int c = 0; c < chains; ++c) {
    for (int i = 0; i < size; ++i) {
      values[c * size + i] = lane_values[i * lanes() + c];
    }
  }
}

/// f, in the last activations, and ∇ₓf, which is returned, of the states in the first.
const float* PerceptronChains::gradient() {
  forward(*perceptron_, groups_, offset_.data(), as_lanes(activations_));
  return reinterpret_cast<const float*>(backward(*perceptron_, groups_, offset_.data(),
                                                 as_lanes(activations_), widest_,
                                                 as_lanes(gradients_)));
}

void PerceptronChains::evaluate(const float* states, int chains, float* f, float* gradients) {
  load(states, chains);
  if (gradients == nullptr) {
    forward(*perceptron_, groups_, offset_.data(), as_lanes(activations_));
  } else {
    gather(gradient(), chains, gradients);
  }
  std::copy_n(activations_.data() + offset_.back() * lanes(), chains, f);
}

void PerceptronChains::run(const LangevinUpdate& update, int steps, std::uint32_t first_chain,
                           int chains, const float* given_noise, std::int64_t noise_stride,
                           float* states, float* norm_sums) {
  const int size = perceptron_->widths().front();
  alignas(64) float norms[kPerceptronCapacity] = {};
  LangevinUpdate now = update;
  load(states, chains);
  for (int step = 0; step < steps; ++step, ++now.step) {
    const float* dx = gradient();
    if (given_noise == nullptr) {
      draw_noise(now, first_chain, lanes(), size, noise_.data());
    } else {
      spread(given_noise + step * noise_stride, chains, noise_.data());
    }
    move(now, lanes(), size, dx, noise_.data(), activations_.data(), norms);
  }
  for (int c = 0; c < chains; ++c) {
    norm_sums[c] += norms[c];
  }
  gather(activations_.data(), chains, states);
}

}  // namespace ebm
