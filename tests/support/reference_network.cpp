#include "tests/support/reference_network.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

#include "cuda/base/cpu_clones.h"
#include "cuda/device/bfloat16.cuh"
#include "tests/support/layers.h"

namespace ebm {
namespace {

constexpr double kSlope = 0.05;
constexpr double kUndecided =
    kUndecidedEpsilons * static_cast<double>(std::numeric_limits<float>::epsilon());

/// Numbers, and for each the sum of the absolute values of the terms it was made of: what its
/// float32 rounding is relative to. Magnitudes start afresh at every layer: rounding that comes
/// from the layers before mostly averages out in the next sum.
struct Values {
  explicit Values(std::int64_t size)
      : value(static_cast<std::size_t>(size)), magnitude(static_cast<std::size_t>(size)) {}

  void add(const Values& other) {
    std::ranges::transform(value, other.value, value.begin(), std::plus<>());
    std::ranges::transform(magnitude, other.magnitude, magnitude.begin(), std::plus<>());
  }

  std::vector<double> value;
  std::vector<double> magnitude;
};

double to_bfloat16(double value) {
  return static_cast<double>(static_cast<float>(Bfloat16(static_cast<float>(value))));
}

double to_tf32(double value) {
  const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
  return static_cast<double>(std::bit_cast<float>((bits + 0x1000U) & ~0x1fffU));
}

double cut_to_tf32(double value) {
  const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
  return static_cast<double>(std::bit_cast<float>(bits & ~0x1fffU));
}

/// What becomes of the factors of a layer's products. Those of the last layer stay as they are.
struct OperandType {
  double (*rounded)(double) = nullptr;  ///< null: nothing happens to any
  bool first_layer = true;              ///< those of the first layer as well
  bool gradients = false;               ///< those of the backward pass as well
};

struct Sum {
  double value = 0;
  double magnitude = 0;
};

EBM_CPU_CLONES Sum dot(std::size_t n, const double* a, const double* b) {
  double value = 0;
  double magnitude = 0;
#pragma omp simd reduction(+ : value, magnitude)
  for (std::size_t i = 0; i < n; ++i) {
    const double term = a[i] * b[i];
    value += term;
    magnitude += std::abs(term);
  }
  return {value, magnitude};
}

/// y += a·x.
EBM_CPU_CLONES void add_scaled(std::size_t n, double a, const double* x, double* y,
                               double* y_magnitude) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) {
    const double term = a * x[i];
    y[i] += term;
    y_magnitude[i] += std::abs(term);
  }
}

/// The same where a and x are rounded sums themselves: by the product rule, a·x errs on the scale
/// of |x|·(a's magnitude) + |a|·(x's magnitude).
EBM_CPU_CLONES void add_product(std::size_t n, const Sum& a, const double* x,
                                const double* x_magnitude, double* y, double* y_magnitude) {
  const double value = a.value;
  const double magnitude = a.magnitude;
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) {
    y[i] += value * x[i];
    y_magnitude[i] += magnitude * std::abs(x[i]) + std::abs(value) * x_magnitude[i];
  }
}

/// An activation of one state, channel-major, and the derivative of f with respect to it.
struct Node {
  explicit Node(const Shape& s) : shape(s), forward(s.size()), backward(s.size()) {}

  Shape shape;
  Values forward;
  Values backward;
};

/// Runs the operations of one evaluation forward, remembering how to run each backward.
class Tape {
 public:
  Tape(const Network& network, std::span<const double> theta, bool with_parameters,
       const OperandType& factors, std::span<const Branch> other_way)
      : network_(network),
        theta_(theta),
        with_parameters_(with_parameters),
        factors_(factors),
        other_way_(other_way),
        parameters_(with_parameters ? network.parameter_count() : 0) {}

  Node& input(std::span<const double> state) {
    Node& x = node(network_.input());
    x.forward.value.assign(state.begin(), state.end());
    std::ranges::transform(state, x.forward.magnitude.begin(),
                           [](double v) { return std::abs(v); });
    return x;
  }

  /// The layers one behind the other. They are numbered as they come, a residual's among them.
  Node& run(Node& x, const std::vector<Layer>& layers);

  void run_backward(Node& output) {
    output.backward.value.assign(1, 1.0);
    output.backward.magnitude.assign(1, 1.0);
    for (; !backward_.empty(); backward_.pop_back()) {
      backward_.back()();
    }
  }

  Values& parameters() { return parameters_; }
  std::vector<Branch>& undecided() { return undecided_; }

 private:
  /// A convolution is one affine map, applied to the patch under every output pixel; a linear layer
  /// is a convolution of a single pixel.
  Node& affine(Node& x, const Layer& layer);
  Node& leaky_relu(Node& x, std::size_t layer);
  /// y = x·σ(x).
  Node& silu(Node& x);
  Node& max_pool(Node& x, std::size_t layer, Branch::Site site);
  Node& avg_pool(Node& x, int kernel);
  Node& flatten(Node& x);
  /// y_n = Σ_m softmax_m(q_n·k_m) v_m, n and m running over pixels, vectors over channels.
  Node& attention(Node& q, Node& k, Node& v);
  Node& add(Node& x, Node& y);
  Node& nonlocal(Node& x, const std::string& key, std::size_t layer);

  Node& node(const Shape& shape) { return nodes_.emplace_back(shape); }

  bool rounds_factors(const Layer& layer) const {
    const std::vector<Layer>& layers = network_.layers();
    return factors_.rounded != nullptr && layer.key != layers.back().key &&
           (factors_.first_layer || layer.key != layers.front().key);
  }

  /// Records the branch if float32 cannot decide it; returns whether to take the other one.
  bool other_branch(Branch branch, double distance, double magnitude) {
    branch.margin = magnitude > 0 ? distance / magnitude : 1.0;
    if (branch.margin < kUndecided) {
      undecided_.push_back(branch);
    }
    return std::ranges::any_of(other_way_,
                               [&](const Branch& other) { return other.same_place(branch); });
  }

  const Network& network_;
  std::span<const double> theta_;
  bool with_parameters_;
  OperandType factors_;
  std::span<const Branch> other_way_;
  Values parameters_;
  std::vector<Branch> undecided_;
  std::size_t layers_ = 0;  // run so far
  std::deque<Node> nodes_;  // whose addresses the backward steps hold
  std::vector<std::function<void()>> backward_;
};

/// Where value (channel, row, column) of a channel-major array is.
std::size_t at(int channel, int row, int column, int height, int width) {
  return static_cast<std::size_t>((std::int64_t{channel} * height + row) * width + column);
}

/// Calls visit(index in the patch, index in the image) for every input that the output pixel sees.
template <class Visit>
void for_each_in_patch(const Layer& layer, const Shape& image, const Shape& output,
                       std::size_t pixel, const Visit& visit) {
  const int row = static_cast<int>(pixel) / output.width;
  const int column = static_cast<int>(pixel) % output.width;
  const int kernel = layer.kernel;
  for (int c = 0; c < image.channels; ++c) {
    for (int i = 0; i < kernel; ++i) {
      for (int j = 0; j < kernel; ++j) {
        const int y = row * layer.stride + i - layer.padding;
        const int x = column * layer.stride + j - layer.padding;
        if (y >= 0 && y < image.height && x >= 0 && x < image.width) {
          visit(at(c, i, j, kernel, kernel), at(c, y, x, image.height, image.width));
        }
      }
    }
  }
}

Values patch_under(const Node& x, const Layer& layer, const Shape& output, std::size_t pixel) {
  Values patch(std::int64_t{x.shape.channels} * layer.kernel * layer.kernel);
  for_each_in_patch(layer, x.shape, output, pixel, [&](std::size_t p, std::size_t i) {
    patch.value[p] = x.forward.value[i];
    patch.magnitude[p] = x.forward.magnitude[i];
  });
  return patch;
}

Node& Tape::affine(Node& x, const Layer& layer) {
  const auto first_weight =
      static_cast<std::size_t>(network_.parameter(layer.key + ".weight").offset);
  const auto first_bias = static_cast<std::size_t>(network_.parameter(layer.key + ".bias").offset);
  const auto size_after = [&layer](int before) {
    return (before + 2 * layer.padding - layer.kernel) / layer.stride + 1;
  };
  Node& y = node({layer.outputs, size_after(x.shape.height), size_after(x.shape.width)});
  const auto outputs = static_cast<std::size_t>(layer.outputs);
  const std::size_t pixels = y.forward.value.size() / outputs;
  const auto inputs = static_cast<std::size_t>(network_.parameter(layer.key + ".weight").fan_in);

  const bool rounded = rounds_factors(layer);
  for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
    Values patch = patch_under(x, layer, y.shape, pixel);
    if (rounded) {
      std::ranges::transform(patch.value, patch.value.begin(), factors_.rounded);
    }
    for (std::size_t o = 0; o < outputs; ++o) {
      const double bias = theta_[first_bias + o];
      const Sum sum = dot(inputs, &theta_[first_weight + o * inputs], patch.value.data());
      y.forward.value[o * pixels + pixel] = sum.value + bias;
      y.forward.magnitude[o * pixels + pixel] = sum.magnitude + std::abs(bias);
    }
  }
  backward_.emplace_back([=, this, &x, &y] {
    for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
      const Values patch = patch_under(x, layer, y.shape, pixel);
      Values gradient(static_cast<std::int64_t>(inputs));
      for (std::size_t o = 0; o < outputs; ++o) {
        const std::size_t weights = first_weight + o * inputs;
        Sum dy{y.backward.value[o * pixels + pixel], y.backward.magnitude[o * pixels + pixel]};
        if (rounded && factors_.gradients) {
          dy.value = factors_.rounded(dy.value);
        }
        add_scaled(inputs, dy.value, &theta_[weights], gradient.value.data(),
                   gradient.magnitude.data());
        if (with_parameters_) {
          add_product(inputs, dy, patch.value.data(), patch.magnitude.data(),
                      &parameters_.value[weights], &parameters_.magnitude[weights]);
          parameters_.value[first_bias + o] += dy.value;
          parameters_.magnitude[first_bias + o] += dy.magnitude;
        }
      }
      for_each_in_patch(layer, x.shape, y.shape, pixel, [&](std::size_t p, std::size_t i) {
        x.backward.value[i] += gradient.value[p];
        x.backward.magnitude[i] += gradient.magnitude[p];
      });
    }
  });
  return y;
}

Node& Tape::leaky_relu(Node& x, std::size_t layer) {
  Node& y = node(x.shape);
  std::vector<double> slopes;
  for (std::size_t i = 0; i < x.forward.value.size(); ++i) {
    const double v = x.forward.value[i];
    const bool other = other_branch({.layer = layer, .index = static_cast<std::int64_t>(i)},
                                    std::abs(v), x.forward.magnitude[i]);
    slopes.push_back((v > 0) != other ? 1.0 : kSlope);
    y.forward.value[i] = slopes[i] * v;
    y.forward.magnitude[i] = slopes[i] * x.forward.magnitude[i];
  }
  backward_.emplace_back([slopes = std::move(slopes), &x, &y] {
    for (std::size_t i = 0; i < slopes.size(); ++i) {
      x.backward.value[i] += slopes[i] * y.backward.value[i];
      x.backward.magnitude[i] += slopes[i] * y.backward.magnitude[i];
    }
  });
  return y;
}

Node& Tape::silu(Node& x) {
  Node& y = node(x.shape);
  std::vector<Sum> slopes;  // x's rounding moves them by their own slope
  for (std::size_t i = 0; i < x.forward.value.size(); ++i) {
    const double v = x.forward.value[i];
    const double s = 1 / (1 + std::exp(-v));
    const double slope = s * (1 + v * (1 - s));
    const double curvature = s * (1 - s) * (2 + v * (1 - 2 * s));
    slopes.push_back(
        {slope, s * (1 + std::abs(v) * (1 - s)) + std::abs(curvature) * x.forward.magnitude[i]});
    y.forward.value[i] = v * s;
    y.forward.magnitude[i] = std::abs(v) * s + std::abs(slope) * x.forward.magnitude[i];
  }
  backward_.emplace_back([slopes = std::move(slopes), &x, &y] {
    for (std::size_t i = 0; i < slopes.size(); ++i) {
      const double dy = y.backward.value[i];
      x.backward.value[i] += slopes[i].value * dy;
      x.backward.magnitude[i] +=
          slopes[i].magnitude * std::abs(dy) + std::abs(slopes[i].value) * y.backward.magnitude[i];
    }
  });
  return y;
}

Node& Tape::max_pool(Node& x, std::size_t layer, Branch::Site site) {
  Node& y = node({x.shape.channels, x.shape.height / 2, x.shape.width / 2});
  std::vector<std::size_t> winners;
  for (int c = 0; c < y.shape.channels; ++c) {
    for (int i = 0; i < y.shape.height; ++i) {
      for (int j = 0; j < y.shape.width; ++j) {
        const auto width = static_cast<std::size_t>(x.shape.width);
        const std::size_t corner = at(c, 2 * i, 2 * j, x.shape.height, x.shape.width);
        std::array<std::size_t, 4> places{corner, corner + 1, corner + width, corner + width + 1};
        std::ranges::stable_sort(places, std::greater<>(),
                                 [&x](std::size_t place) { return x.forward.value[place]; });
        const bool other =
            other_branch({.layer = layer, .site = site, .index = std::ssize(winners)},
                         x.forward.value[places[0]] - x.forward.value[places[1]],
                         std::max(x.forward.magnitude[places[0]], x.forward.magnitude[places[1]]));
        winners.push_back(places[other ? 1 : 0]);
      }
    }
  }
  for (std::size_t i = 0; i < winners.size(); ++i) {
    y.forward.value[i] = x.forward.value[winners[i]];
    y.forward.magnitude[i] = x.forward.magnitude[winners[i]];
  }
  backward_.emplace_back([winners = std::move(winners), &x, &y] {
    for (std::size_t i = 0; i < winners.size(); ++i) {
      x.backward.value[winners[i]] += y.backward.value[i];
      x.backward.magnitude[winners[i]] += y.backward.magnitude[i];
    }
  });
  return y;
}

Node& Tape::avg_pool(Node& x, int kernel) {
  Node& y = node({x.shape.channels, x.shape.height / kernel, x.shape.width / kernel});
  const double share = 1.0 / (kernel * kernel);
  const auto for_each_term = [=, &x, &y](const auto& visit) {
    for (int c = 0; c < x.shape.channels; ++c) {
      for (int i = 0; i < x.shape.height; ++i) {
        for (int j = 0; j < x.shape.width; ++j) {
          visit(at(c, i, j, x.shape.height, x.shape.width),
                at(c, i / kernel, j / kernel, y.shape.height, y.shape.width));
        }
      }
    }
  };
  for_each_term([=, &x, &y](std::size_t from, std::size_t to) {
    y.forward.value[to] += share * x.forward.value[from];
    y.forward.magnitude[to] += share * std::abs(x.forward.value[from]);
  });
  backward_.emplace_back([=, &x, &y] {
    for_each_term([=, &x, &y](std::size_t from, std::size_t to) {
      x.backward.value[from] += share * y.backward.value[to];
      x.backward.magnitude[from] += share * y.backward.magnitude[to];
    });
  });
  return y;
}

Node& Tape::flatten(Node& x) {
  Node& y = node({static_cast<int>(x.shape.size()), 1, 1});
  y.forward = x.forward;
  backward_.emplace_back([&x, &y] { x.backward.add(y.backward); });
  return y;
}

Node& Tape::attention(Node& q, Node& k, Node& v) {
  Node& y = node(q.shape);
  const auto channels = static_cast<std::size_t>(q.shape.channels);
  const std::size_t queries = q.forward.value.size() / channels;
  const std::size_t keys = k.forward.value.size() / channels;
  std::vector<double> weights(queries * keys);
  for (std::size_t n = 0; n < queries; ++n) {
    double* a = &weights[n * keys];
    for (std::size_t m = 0; m < keys; ++m) {
      for (std::size_t c = 0; c < channels; ++c) {
        a[m] += q.forward.value[c * queries + n] * k.forward.value[c * keys + m];
      }
    }
    const double highest = *std::max_element(a, a + keys);
    double sum = 0;
    for (std::size_t m = 0; m < keys; ++m) {
      a[m] = std::exp(a[m] - highest);
      sum += a[m];
    }
    for (std::size_t m = 0; m < keys; ++m) {
      a[m] /= sum;
      for (std::size_t c = 0; c < channels; ++c) {
        const double term = a[m] * v.forward.value[c * keys + m];
        y.forward.value[c * queries + n] += term;
        y.forward.magnitude[c * queries + n] += std::abs(term);
      }
    }
  }
  backward_.emplace_back([=, weights = std::move(weights), &q, &k, &v, &y] {
    Values da(static_cast<std::int64_t>(keys));
    for (std::size_t n = 0; n < queries; ++n) {
      const double* a = &weights[n * keys];
      Sum mean;  // of da under a
      for (std::size_t m = 0; m < keys; ++m) {
        da.value[m] = 0;
        da.magnitude[m] = 0;
        for (std::size_t c = 0; c < channels; ++c) {
          const double dy = y.backward.value[c * queries + n];
          const double term = dy * v.forward.value[c * keys + m];
          da.value[m] += term;
          da.magnitude[m] += std::abs(term);
          v.backward.value[c * keys + m] += a[m] * dy;
          v.backward.magnitude[c * keys + m] += a[m] * std::abs(dy);
        }
        mean.value += a[m] * da.value[m];
        mean.magnitude += a[m] * da.magnitude[m];
      }
      for (std::size_t m = 0; m < keys; ++m) {
        const Sum ds{a[m] * (da.value[m] - mean.value), a[m] * (da.magnitude[m] + mean.magnitude)};
        for (std::size_t c = 0; c < channels; ++c) {
          const std::size_t query = c * queries + n;
          const std::size_t key = c * keys + m;
          q.backward.value[query] += ds.value * k.forward.value[key];
          q.backward.magnitude[query] += ds.magnitude * std::abs(k.forward.value[key]);
          k.backward.value[key] += ds.value * q.forward.value[query];
          k.backward.magnitude[key] += ds.magnitude * std::abs(q.forward.value[query]);
        }
      }
    }
  });
  return y;
}

Node& Tape::add(Node& x, Node& y) {
  Node& z = node(x.shape);
  for (std::size_t i = 0; i < z.forward.value.size(); ++i) {
    z.forward.value[i] = x.forward.value[i] + y.forward.value[i];
    z.forward.magnitude[i] = std::abs(x.forward.value[i]) + y.forward.magnitude[i];
  }
  backward_.emplace_back([&x, &y, &z] {
    x.backward.add(z.backward);
    y.backward.add(z.backward);
  });
  return z;
}

Node& Tape::nonlocal(Node& x, const std::string& key, std::size_t layer) {
  const auto pointwise = [&](const std::string& part, Node& from, int outputs) -> Node& {
    return affine(from, conv(key + part, outputs, 1));
  };
  const int half = x.shape.channels / 2;
  Node& q = pointwise(".theta", x, half);
  Node& k = max_pool(pointwise(".phi.0", x, half), layer, Branch::Site::phi);
  Node& v = max_pool(pointwise(".g.0", x, half), layer, Branch::Site::g);
  return add(x, pointwise(".W", attention(q, k, v), x.shape.channels));
}

Node& Tape::run(Node& input, const std::vector<Layer>& layers) {
  Node* x = &input;
  for (const Layer& layer : layers) {
    const std::size_t number = layers_++;
    if (layer.type == &kConvolutionLayer || layer.type == &kLinearLayer) {
      x = &affine(*x, layer);
    } else if (layer.type == &kLeakyReluLayer) {
      x = &leaky_relu(*x, number);
    } else if (layer.type == &kSiluLayer) {
      x = &silu(*x);
    } else if (layer.type == &kMaxPoolLayer) {
      x = &max_pool(*x, number, Branch::Site::layer);
    } else if (layer.type == &kAvgPoolLayer) {
      x = &avg_pool(*x, layer.kernel);
    } else if (layer.type == &kNonlocalLayer) {
      x = &nonlocal(*x, layer.key, number);
    } else if (layer.type == &kFlattenLayer) {
      x = &flatten(*x);
    } else if (layer.type == &kResidualLayer) {
      x = &add(*x, run(*x, layer.layers));
    } else {
      throw std::logic_error("the reference lacks " + std::string(layer.type->name));
    }
  }
  return *x;
}

ReferenceEvaluation evaluate(const Network& network, std::span<const double> theta,
                             std::span<const double> state, std::span<const Branch> other_way,
                             bool with_parameters, const OperandType& factors = {}) {
  Tape tape(network, theta, with_parameters, factors, other_way);
  Node& input = tape.input(state);
  Node& output = tape.run(input, network.layers());
  tape.run_backward(output);
  return {.energy = output.forward.value.front(),
          .input_gradient = std::move(input.backward.value),
          .parameter_gradient = std::move(tape.parameters().value),
          .parameter_magnitude = std::move(tape.parameters().magnitude),
          .undecided = std::move(tape.undecided())};
}

/// f and ∇ₓf, with weights rounded as the other factors are.
ReferenceEvaluation evaluate_rounded(const Network& network, std::span<const double> theta,
                                     std::span<const double> state, const OperandType& factors) {
  std::vector<double> rounded(theta.begin(), theta.end());
  const std::string first = network.layers().front().key + ".";
  const std::string last = network.layers().back().key + ".";
  for (const ParameterTensor& tensor : network.parameters()) {
    if (tensor.name.ends_with(".weight") && !tensor.name.starts_with(last) &&
        (factors.first_layer || !tensor.name.starts_with(first))) {
      const auto begin = rounded.begin() + tensor.offset;
      std::transform(begin, begin + tensor.size, begin, factors.rounded);
    }
  }
  return evaluate(network, rounded, state, {}, false, factors);
}

}  // namespace

ReferenceEvaluation evaluate_reference(const Network& network, std::span<const double> theta,
                                       std::span<const double> state,
                                       std::span<const Branch> other_way) {
  return evaluate(network, theta, state, other_way, true);
}

ReferenceEvaluation evaluate_reference_in_x(const Network& network, std::span<const double> theta,
                                            std::span<const double> state,
                                            std::span<const Branch> other_way) {
  return evaluate(network, theta, state, other_way, false);
}

ReferenceEvaluation evaluate_reference_of_bfloat16(const Network& network,
                                                   std::span<const double> theta,
                                                   std::span<const double> state) {
  return evaluate_rounded(network, theta, state, {.rounded = to_bfloat16});
}

ReferenceEvaluation evaluate_reference_of_tf32(const Network& network,
                                               std::span<const double> theta,
                                               std::span<const double> state) {
  return evaluate_rounded(network, theta, state,
                          {.rounded = to_tf32, .first_layer = false, .gradients = true});
}

ReferenceEvaluation evaluate_reference_of_cut_tf32(const Network& network,
                                                   std::span<const double> theta,
                                                   std::span<const double> state) {
  return evaluate_rounded(network, theta, state,
                          {.rounded = cut_to_tf32, .first_layer = false, .gradients = true});
}

}  // namespace ebm
