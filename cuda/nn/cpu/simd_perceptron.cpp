#include "cuda/nn/cpu/simd_perceptron.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "cuda/base/cpu_clones.h"
#include "cuda/kernels/leaky_relu.cuh"

namespace ebm {
namespace {

/// Steps whose noise is drawn at once, one a lane: chains may be too few to fill vectors.
constexpr int kNoiseSteps = 16;

// What becomes of sums before they are stored at `at` in the output array.

struct Keep {
  template <class Lanes>
  EBM_HOST_DEVICE void operator()(std::int64_t /*at*/, Lanes& /*sum*/) const {}
};

struct ThroughLeakyRelu {
  template <class Lanes>
  EBM_HOST_DEVICE void operator()(std::int64_t /*at*/, Lanes& sum) const {
    sum = sum > 0.0F ? sum : kLeakySlope * sum;
  }
};

/// The gradient before a LeakyReLU whose output is y.
struct BackThroughLeakyRelu {
  const float* y;

  template <class Lanes>
  EBM_HOST_DEVICE void operator()(std::int64_t at, Lanes& sum) const {
    Lanes output;
    load(y + at, output);
    sum = output > 0.0F ? sum : kLeakySlope * sum;
  }
};

/// out[chain][m] = finish(start[m] + Σ_k weight[k][m]·in[chain][k]) for every m of a row; start may
/// be null.
struct Product {
  const float* weight;
  std::int64_t inputs;
  std::int64_t in_row;
  std::int64_t out_row;
  const float* start;
  const float* in;
  float* out;
};

/// Some vectors of outputs, from `first`, whose sums stay in registers. A chain's sums are made in
/// the same order for any number of chains.
template <class Lanes, int chains, int vectors, class Finish>
EBM_HOST_DEVICE void some_outputs(const Product& p, std::int64_t first, const Finish& finish) {
  constexpr std::int64_t kLanes = sizeof(Lanes) / sizeof(float);
  Lanes sum[chains][vectors];
  for (int v = 0; v < vectors; ++v) {
    Lanes bias{};
    if (p.start != nullptr) {
      load(p.start + first + v * kLanes, bias);
    }
    for (int c = 0; c < chains; ++c) {
      sum[c][v] = bias;
    }
  }
  const float* weight = p.weight + first;
  for (std::int64_t k = 0; k < p.inputs; ++k, weight += p.out_row) {
    Lanes row[vectors];
    for (int v = 0; v < vectors; ++v) {
      load(weight + v * kLanes, row[v]);
    }
    for (int c = 0; c < chains; ++c) {
      for (int v = 0; v < vectors; ++v) {
        sum[c][v] += row[v] * p.in[c * p.in_row + k];
      }
    }
  }
  for (int c = 0; c < chains; ++c) {
    for (int v = 0; v < vectors; ++v) {
      const std::int64_t at = c * p.out_row + first + v * kLanes;
      finish(at, sum[c][v]);
      store(p.out + at, sum[c][v]);
    }
  }
}

template <class Lanes, int chains, class Finish>
EBM_HOST_DEVICE void multiply(const Product& p, const Finish& finish) {
  constexpr std::int64_t kLanes = sizeof(Lanes) / sizeof(float);
  std::int64_t m = 0;
  for (; m + 2 * kLanes <= p.out_row; m += 2 * kLanes) {
    some_outputs<Lanes, chains, 2>(p, m, finish);
  }
  if (m < p.out_row) {
    some_outputs<Lanes, chains, 1>(p, m, finish);
  }
}

/// A group's memory; see PerceptronChains.
struct Memory {
  const std::int64_t* offset;
  std::int64_t widest;
  float* activations;
  float* gradients;

  EBM_HOST_DEVICE float* layer(std::size_t l) const { return activations + offset[l]; }
};

/// The first `layers` layers, from the states in the first activations.
template <class Lanes, int chains>
EBM_HOST_DEVICE void forward_in(const Perceptron& net, std::size_t layers, const Memory& memory) {
  for (std::size_t l = 0; l < layers; ++l) {
    const Product product{.weight = net.by_input(l),
                          .inputs = net.widths()[l],
                          .in_row = Perceptron::row(net.widths()[l]),
                          .out_row = Perceptron::row(net.widths()[l + 1]),
                          .start = net.bias(l),
                          .in = memory.layer(l),
                          .out = memory.layer(l + 1)};
    if (l + 1 < net.layers()) {
      multiply<Lanes, chains>(product, ThroughLeakyRelu{});
    } else {
      multiply<Lanes, chains>(product, Keep{});
    }
  }
}

/// ∇ₓf from the activations, in one of the two arrays of gradients, which are used in turn.
template <class Lanes, int chains>
EBM_HOST_DEVICE const float* backward_in(const Perceptron& net, const Memory& memory) {
  float* dy = memory.gradients;
  float* dx = memory.gradients + kPerceptronGroup * memory.widest;
  const std::int64_t one_output = Perceptron::row(1);
  for (int c = 0; c < chains; ++c) {
    dy[c * one_output] = 1.0F;
  }
  for (std::size_t l = net.layers(); l-- > 0;) {
    const Product product{.weight = net.by_output(l),
                          .inputs = net.widths()[l + 1],
                          .in_row = Perceptron::row(net.widths()[l + 1]),
                          .out_row = Perceptron::row(net.widths()[l]),
                          .start = nullptr,
                          .in = dy,
                          .out = dx};
    if (l > 0) {
      multiply<Lanes, chains>(product, BackThroughLeakyRelu{memory.layer(l)});
    } else {
      multiply<Lanes, chains>(product, Keep{});
    }
    std::swap(dx, dy);
  }
  return dy;
}

/// Groups are computed as two, four or six chains; those beyond `chains` hold zeros.
template <class Lanes>
EBM_HOST_DEVICE void forward_group(const Perceptron& net, std::size_t layers, const Memory& memory,
                                   int chains) {
  return chains <= 2   ? forward_in<Lanes, 2>(net, layers, memory)
         : chains <= 4 ? forward_in<Lanes, 4>(net, layers, memory)
                       : forward_in<Lanes, kPerceptronGroup>(net, layers, memory);
}
template <class Lanes>
EBM_HOST_DEVICE const float* backward_group(const Perceptron& net, const Memory& memory,
                                            int chains) {
  return chains <= 2   ? backward_in<Lanes, 2>(net, memory)
         : chains <= 4 ? backward_in<Lanes, 4>(net, memory)
                       : backward_in<Lanes, kPerceptronGroup>(net, memory);
}

/// Two components, the first an even one, of one chain's noise in kNoiseSteps steps. Philox makes
/// four at once, but points of the plane need no more than these.
EBM_CPU_CLONES void draw_two(const LangevinUpdate& update, std::uint32_t chain, int component,
                             float* first, float* second) {
  const auto group = static_cast<std::uint32_t>(component / 4);
  const bool later = component % 4 != 0;
#pragma omp simd
  for (std::uint32_t step = 0; step < kNoiseSteps; ++step) {
    const Words4 words = update.noise.words(update.step + step, chain, group);
    box_muller(later ? words.v[2] : words.v[0], later ? words.v[3] : words.v[1], first[step],
               second[step]);
  }
}

/// One chain's noise: z[step·step_stride + component].
void draw_noise(const LangevinUpdate& update, std::uint32_t chain, int size,
                std::int64_t step_stride, float* z) {
  alignas(64) float two[2][kNoiseSteps];
  for (int begin = 0; begin < size; begin += 2) {
    draw_two(update, chain, begin, two[0], two[1]);
    for (int step = 0; step < kNoiseSteps; ++step) {
      for (int i = begin; i < std::min(begin + 2, size); ++i) {
        z[step * step_stride + i] = two[i - begin][step];
      }
    }
  }
}

/// One update of a group's states; adds ‖∇f‖ to norms.
EBM_CPU_CLONES void move(const LangevinUpdate& update, int chains, int size, std::int64_t row,
                         const float* gradients, const float* z, float* x, float* norms) {
  for (int c = 0; c < chains; ++c) {
    float squares = 0;
    for (int i = 0; i < size; ++i) {
      const float g = gradients[c * row + i];
      squares += g * g;
      x[c * row + i] = update(x[c * row + i], g, z[c * size + i]);
    }
    norms[c] += sqrtf(squares);
  }
}

}  // namespace

Perceptron::Perceptron(std::vector<int> widths) : widths_(std::move(widths)) {
  for (std::size_t l = 0; l < layers(); ++l) {
    const int inputs = widths_[l];
    const int outputs = widths_[l + 1];
    by_input_.emplace_back(static_cast<std::size_t>(inputs * row(outputs)));
    by_output_.emplace_back(static_cast<std::size_t>(outputs * row(inputs)));
    bias_.emplace_back(static_cast<std::size_t>(row(outputs)));
  }
}

std::int64_t Perceptron::values(std::span<const int> widths) {
  std::int64_t sum = 0;
  for (std::size_t l = 0; l + 1 < widths.size(); ++l) {
    sum += widths[l] * row(widths[l + 1]) + widths[l + 1] * row(widths[l]) + row(widths[l + 1]);
  }
  return sum;
}

void Perceptron::set_layer(std::size_t l, const float* weight, const float* bias) {
  const int inputs = widths_[l];
  const int outputs = widths_[l + 1];
  std::copy_n(bias, outputs, bias_[l].data());
  for (int j = 0; j < outputs; ++j) {
    std::copy_n(weight + std::int64_t{j} * inputs, inputs, by_output_[l].data() + j * row(inputs));
    for (int i = 0; i < inputs; ++i) {
      by_input_[l].data()[i * row(outputs) + j] = weight[std::int64_t{j} * inputs + i];
    }
  }
}

PerceptronChains::PerceptronChains(const Perceptron& perceptron, int lanes)
    : perceptron_(&perceptron), lanes_(lanes) {
  std::int64_t total = 0;
  for (const int width : perceptron.widths()) {
    offset_.push_back(total);
    total += kPerceptronGroup * Perceptron::row(width);
    widest_ = std::max(widest_, Perceptron::row(width));
  }
  activations_ = Buffer<float>(static_cast<std::size_t>(total));
  gradients_ =
      Buffer<float>(static_cast<std::size_t>(std::int64_t{2} * kPerceptronGroup * widest_));
  noise_ = Buffer<float>(
      static_cast<std::size_t>(std::int64_t{kNoiseSteps} * kPerceptronGroup * state_size()));
}

std::int64_t PerceptronChains::values(std::span<const int> widths) {
  std::int64_t activations = 0;
  std::int64_t widest = 0;
  for (const int width : widths) {
    activations += Perceptron::row(width);
    widest = std::max(widest, Perceptron::row(width));
  }
  return kPerceptronGroup * (activations + 2 * widest + std::int64_t{kNoiseSteps} * widths.front());
}

/// The states of a group; the chains it lacks are zeros, whose results are never read.
void PerceptronChains::load(const float* states, int chains) {
  const int size = state_size();
  const std::int64_t row = Perceptron::row(size);
  std::fill_n(activations_.data(), kPerceptronGroup * row, 0.0F);
  for (int c = 0; c < chains; ++c) {
    std::copy_n(states + std::int64_t{c} * size, size, activations_.data() + c * row);
  }
}

void PerceptronChains::forward(int chains, std::size_t layers) {
  const Memory memory{offset_.data(), widest_, activations_.data(), gradients_.data()};
  const auto pass = [&]<class Lanes>() __attribute__((always_inline)) {
    forward_group<Lanes>(*perceptron_, layers, memory, chains);
  };
  with_vectors(lanes_, pass);
}

/// ∇ₓf of a group after forward(), a row a chain.
const float* PerceptronChains::backward(int chains) {
  const Memory memory{offset_.data(), widest_, activations_.data(), gradients_.data()};
  const auto pass = [&]<class Lanes>() __attribute__((always_inline)) {
    return backward_group<Lanes>(*perceptron_, memory, chains);
  };
  return with_vectors(lanes_, pass);
}

void PerceptronChains::evaluate(const float* states, int chains, float* f, float* gradients) {
  const int size = state_size();
  for (int first = 0; first < chains; first += kPerceptronGroup) {
    const int count = std::min(kPerceptronGroup, chains - first);
    const std::int64_t at = std::int64_t{first} * size;
    load(states + at, count);
    forward(count, perceptron_->layers());
    for (int c = 0; c < count; ++c) {
      f[first + c] = activations_.data()[offset_.back() + c * Perceptron::row(1)];
    }
    if (gradients != nullptr) {
      const float* rows = backward(count);
      for (int c = 0; c < count; ++c) {
        std::copy_n(rows + c * Perceptron::row(size), size,
                    gradients + at + std::int64_t{c} * size);
      }
    }
  }
}

void PerceptronChains::run(const LangevinUpdate& update, int steps, std::uint32_t first_chain,
                           int chains, const float* given_noise, std::int64_t noise_stride,
                           float* states, float* norm_sums) {
  for (int first = 0; first < chains; first += kPerceptronGroup) {
    const std::int64_t at = std::int64_t{first} * state_size();
    run_group(update, steps, first_chain + static_cast<std::uint32_t>(first),
              std::min(kPerceptronGroup, chains - first),
              given_noise == nullptr ? nullptr : given_noise + at, noise_stride, states + at,
              norm_sums + first);
  }
}

/// The normals of a group at one of a run's steps, chain by chain.
const float* PerceptronChains::noise(const LangevinUpdate& update, int step,
                                     std::uint32_t first_chain, int chains) {
  const int size = state_size();
  const std::int64_t step_stride = std::int64_t{chains} * size;
  const int ahead = step % kNoiseSteps;
  if (ahead == 0) {
    for (int c = 0; c < chains; ++c) {
      draw_noise(update, first_chain + static_cast<std::uint32_t>(c), size, step_stride,
                 noise_.data() + std::int64_t{c} * size);
    }
  }
  return noise_.data() + ahead * step_stride;
}

void PerceptronChains::run_group(const LangevinUpdate& update, int steps, std::uint32_t first_chain,
                                 int chains, const float* given_noise, std::int64_t noise_stride,
                                 float* states, float* norm_sums) {
  const int size = state_size();
  const std::int64_t row = Perceptron::row(size);
  LangevinUpdate now = update;
  load(states, chains);
  for (int step = 0; step < steps; ++step, ++now.step) {
    forward(chains, perceptron_->layers() - 1);  // ∇ₓf needs no energies
    const float* gradients = backward(chains);
    const float* z = given_noise == nullptr ? noise(now, step, first_chain, chains)
                                            : given_noise + step * noise_stride;
    move(now, chains, size, row, gradients, z, activations_.data(), norm_sums);
  }
  for (int c = 0; c < chains; ++c) {
    std::copy_n(activations_.data() + c * row, size, states + std::int64_t{c} * size);
  }
}

}  // namespace ebm
