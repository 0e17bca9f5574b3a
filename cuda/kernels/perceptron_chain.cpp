#include "cuda/kernels/perceptron_chain.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "cuda/device/cpu_clones.h"
#include "cuda/kernels/leaky_relu.cuh"

namespace ebm {
namespace {

constexpr int kLanes = kPerceptronLanes;
/// One value of each chain.
using Lanes [[gnu::vector_size(kLanes * sizeof(float))]] = float;

/// Outputs [first, first + count): out[m] = start[m] + Σ_k weight[k][m]·in[k], lane by lane. The
/// sums stay in registers; few outputs are split into `ways` partial sums to hide latency.
template <int count, int ways>
EBM_HOST_DEVICE void some_outputs(const float* weight, std::int64_t outputs, std::int64_t inputs,
                                  const float* start, const Lanes* in, Lanes* out) {
  Lanes sum[ways][count];
  for (int m = 0; m < count; ++m) {
    for (int w = 0; w < ways; ++w) {
      sum[w][m] = Lanes{} + (w == 0 && start != nullptr ? start[m] : 0.0F);
    }
  }
  std::int64_t k = 0;
  for (; k + ways <= inputs; k += ways) {
    for (int w = 0; w < ways; ++w) {
      const Lanes x = in[k + w];
      const float* row = weight + (k + w) * outputs;
      for (int m = 0; m < count; ++m) {
        sum[w][m] += row[m] * x;
      }
    }
  }
  for (; k < inputs; ++k) {
    for (int m = 0; m < count; ++m) {
      sum[0][m] += weight[k * outputs + m] * in[k];
    }
  }
  for (int m = 0; m < count; ++m) {
    Lanes total = sum[0][m];
    for (int w = 1; w < ways; ++w) {
      total += sum[w][m];
    }
    out[m] = total;
  }
}

/// out = start + weightᵀ·in for every lane; weight is (inputs, outputs), start may be null.
EBM_HOST_DEVICE void multiply(const float* weight, std::int64_t outputs, std::int64_t inputs,
                              const float* start, const Lanes* in, Lanes* out) {
  constexpr int kBlock = 8;
  std::int64_t m = 0;
  for (; m + kBlock <= outputs; m += kBlock) {
    some_outputs<kBlock, 1>(weight + m, outputs, inputs, start == nullptr ? nullptr : start + m, in,
                            out + m);
  }
  for (; m < outputs; ++m) {
    some_outputs<1, 8>(weight + m, outputs, inputs, start == nullptr ? nullptr : start + m, in,
                       out + m);
  }
}

Lanes* as_lanes(Buffer<float>& values) { return reinterpret_cast<Lanes*>(values.data()); }

/// Activations from the states in activations[0]; the energy ends in the last activation.
EBM_CPU_CLONES void forward(const Perceptron& net, const std::int64_t* offset, Lanes* activations) {
  const std::size_t layers = net.layers();
  for (std::size_t l = 0; l < layers; ++l) {
    const std::int64_t outputs = net.widths()[l + 1];
    Lanes* out = activations + offset[l + 1];
    multiply(net.by_input(l), outputs, net.widths()[l], net.bias(l), activations + offset[l], out);
    if (l + 1 < layers) {
      for (std::int64_t j = 0; j < outputs; ++j) {
        out[j] = out[j] > 0.0F ? out[j] : kLeakySlope * out[j];
      }
    }
  }
}

/// ∇ₓf from the activations. gradients holds two arrays of `widest` values, used in turn; returns
/// the one that holds the result.
EBM_CPU_CLONES Lanes* backward(const Perceptron& net, const std::int64_t* offset,
                               const Lanes* activations, std::int64_t widest, Lanes* gradients) {
  Lanes* dy = gradients;
  Lanes* dx = gradients + widest;
  dy[0] = Lanes{} + 1.0F;
  for (std::size_t l = net.layers(); l-- > 0;) {
    const std::int64_t inputs = net.widths()[l];
    multiply(net.by_output(l), inputs, net.widths()[l + 1], nullptr, dy, dx);
    if (l > 0) {
      const Lanes* y = activations + offset[l];
      for (std::int64_t i = 0; i < inputs; ++i) {
        dx[i] = y[i] > 0.0F ? dx[i] : kLeakySlope * dx[i];
      }
    }
    std::swap(dx, dy);
  }
  return dy;
}

/// z[component][lane] for the chains of this group.
EBM_CPU_CLONES void draw_noise(const LangevinUpdate& update, std::uint32_t first_chain,
                               std::int64_t size, float* z) {
  for (std::int64_t begin = 0; begin < size; begin += 4) {
    alignas(64) float four[4][kLanes];
#pragma omp simd
    for (int lane = 0; lane < kLanes; ++lane) {
      const Floats4 noise = update.noise_of(first_chain + static_cast<std::uint32_t>(lane),
                                            static_cast<std::uint32_t>(begin / 4));
      four[0][lane] = noise.v[0];
      four[1][lane] = noise.v[1];
      four[2][lane] = noise.v[2];
      four[3][lane] = noise.v[3];
    }
    const std::int64_t count = std::min<std::int64_t>(4, size - begin);
    for (std::int64_t i = 0; i < count; ++i) {
      std::copy_n(four[i], kLanes, z + (begin + i) * kLanes);
    }
  }
}

/// One update of all lanes; adds ‖∇f‖ to norms.
EBM_CPU_CLONES void move(const LangevinUpdate& update, std::int64_t size, const float* gradient,
                         const float* z, float* x, float* norms) {
  alignas(64) float squares[kLanes] = {};
  for (std::int64_t i = 0; i < size; ++i) {
#pragma omp simd
    for (int lane = 0; lane < kLanes; ++lane) {
      const float g = gradient[i * kLanes + lane];
      squares[lane] += g * g;
      x[i * kLanes + lane] = update(x[i * kLanes + lane], g, z[i * kLanes + lane]);
    }
  }
#pragma omp simd
  for (int lane = 0; lane < kLanes; ++lane) {
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
  const int widest = *std::ranges::max_element(perceptron.widths());
  activations_ = Buffer<float>(static_cast<std::size_t>(total * kLanes));
  gradients_ = Buffer<float>(static_cast<std::size_t>(2 * widest * kLanes));
  noise_ = Buffer<float>(static_cast<std::size_t>(perceptron.widths().front() * kLanes));
}

/// Lanes beyond the chains hold zeros; their results are never read.
void PerceptronChains::load(const float* states, int chains) {
  const int size = perceptron_->widths().front();
  float* x = activations_.data();
  std::fill_n(x, size * kLanes, 0.0F);
  for (int c = 0; c < chains; ++c) {
    for (int i = 0; i < size; ++i) {
      x[i * kLanes + c] = states[c * size + i];
    }
  }
}

void PerceptronChains::evaluate(const float* states, int chains, float* f, float* gradients) {
  load(states, chains);
  forward(*perceptron_, offset_.data(), as_lanes(activations_));
  std::copy_n(activations_.data() + offset_.back() * kLanes, chains, f);
  if (gradients == nullptr) {
    return;
  }
  const auto widest = static_cast<std::int64_t>(gradients_.size()) / 2 / kLanes;
  const auto* dx = reinterpret_cast<const float*>(
      backward(*perceptron_, offset_.data(), as_lanes(activations_), widest, as_lanes(gradients_)));
  const int size = perceptron_->widths().front();
  for (int c = 0; c < chains; ++c) {
    for (int i = 0; i < size; ++i) {
      gradients[c * size + i] = dx[i * kLanes + c];
    }
  }
}

void PerceptronChains::run(const LangevinUpdate& update, int steps, std::uint32_t first_chain,
                           int chains, const float* given_noise, std::int64_t noise_stride,
                           float* states, float* norm_sums) {
  const int size = perceptron_->widths().front();
  const auto widest = static_cast<std::int64_t>(gradients_.size()) / 2 / kLanes;
  alignas(64) float norms[kLanes] = {};
  LangevinUpdate now = update;
  load(states, chains);
  for (int step = 0; step < steps; ++step, ++now.step) {
    forward(*perceptron_, offset_.data(), as_lanes(activations_));
    const auto* gradient = reinterpret_cast<const float*>(backward(
        *perceptron_, offset_.data(), as_lanes(activations_), widest, as_lanes(gradients_)));
    if (given_noise == nullptr) {
      draw_noise(now, first_chain, size, noise_.data());
    } else {
      const float* given = given_noise + step * noise_stride;
      for (int c = 0; c < chains; ++c) {
        for (int i = 0; i < size; ++i) {
          noise_[static_cast<std::size_t>(std::int64_t{i} * kLanes + c)] = given[c * size + i];
        }
      }
    }
    move(now, size, gradient, noise_.data(), activations_.data(), norms);
  }
  for (int c = 0; c < chains; ++c) {
    norm_sums[c] += norms[c];
    for (int i = 0; i < size; ++i) {
      states[c * size + i] = activations_[static_cast<std::size_t>(std::int64_t{i} * kLanes + c)];
    }
  }
}

}  // namespace ebm
