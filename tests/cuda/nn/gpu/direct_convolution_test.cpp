// All passes of a convolution by our own CUDA kernels, against the plain sums in double.

#include "cuda/nn/gpu/direct_convolution.cuh"

#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <tuple>
#include <utility>
#include <vector>

#include "cuda/kernels/leaky_relu.cuh"
#include "tests/cuda/nn/gpu/stored_activations.h"
#include "tests/support/kernel_launch.h"

namespace ebm {

void PrintTo(const ConvolutionShape& s, std::ostream* out) {
  *out << s.images << " of " << s.in_channels << "x" << s.height << "x" << s.width << " to "
       << s.out_channels << ", kernel " << s.kernel << ", stride " << s.stride << ", padding "
       << s.padding;
}

namespace {

// Kernels 1, 3, 4 and 5, strides to 3, padding 0 to 2, channels on both sides of a tile's and a
// pack's; images smaller than a tile and wider than one; inputs that no output depends on.
constexpr ConvolutionShape kShapes[] = {
    {.images = 3,
     .in_channels = 1,
     .height = 7,
     .width = 9,
     .out_channels = 5,
     .kernel = 3,
     .padding = 1},
    {.images = 2,
     .in_channels = 3,
     .height = 10,
     .width = 37,
     .out_channels = 32,
     .kernel = 3,
     .padding = 1},
    {.images = 1,
     .in_channels = 4,
     .height = 9,
     .width = 5,
     .out_channels = 37,
     .kernel = 3,
     .padding = 0},
    {.images = 2,
     .in_channels = 2,
     .height = 4,
     .width = 4,
     .out_channels = 4,
     .kernel = 3,
     .padding = 2},
    {.images = 2,
     .in_channels = 3,
     .height = 6,
     .width = 8,
     .out_channels = 3,
     .kernel = 5,
     .padding = 2},
    {.images = 2,
     .in_channels = 3,
     .height = 8,
     .width = 8,
     .out_channels = 5,
     .kernel = 3,
     .stride = 2,
     .padding = 0},
    {.images = 5, .in_channels = 3, .height = 6, .width = 5, .out_channels = 1, .kernel = 1},
    {.images = 1,
     .in_channels = 5,
     .height = 7,
     .width = 8,
     .out_channels = 3,
     .kernel = 1,
     .stride = 3},
    {.images = 2,
     .in_channels = 5,
     .height = 7,
     .width = 6,
     .out_channels = 12,
     .kernel = 4,
     .stride = 2,
     .padding = 1},
    {.images = 3,
     .in_channels = 12,
     .height = 8,
     .width = 8,
     .out_channels = 33,
     .kernel = 4,
     .stride = 2,
     .padding = 1},
    {.images = 3, .in_channels = 32, .height = 4, .width = 4, .out_channels = 3, .kernel = 4},
    {.images = 2,
     .in_channels = 36,
     .height = 5,
     .width = 5,
     .out_channels = 40,
     .kernel = 3,
     .padding = 1},
    {.images = 2,
     .in_channels = 1,
     .height = 19,
     .width = 40,
     .out_channels = 20,
     .kernel = 3,
     .padding = 1},
    {.images = 1,
     .in_channels = 4,
     .height = 12,
     .width = 33,
     .out_channels = 36,
     .kernel = 3,
     .padding = 1},
    {.images = 1,
     .in_channels = 3,
     .height = 32,
     .width = 32,
     .out_channels = 32,
     .kernel = 3,
     .padding = 1},
};

struct Sizes {
  explicit Sizes(const ConvolutionShape& s)
      : x(static_cast<std::size_t>(s.images * s.in_channels * s.height * s.width)),
        y(static_cast<std::size_t>(s.images * s.out_channels * s.out_height() * s.out_width())),
        weight(static_cast<std::size_t>(s.out_channels * s.in_channels * s.kernel * s.kernel)),
        bias(static_cast<std::size_t>(s.out_channels)) {}
  std::size_t x;
  std::size_t y;
  std::size_t weight;
  std::size_t bias;
};

/// Calls f(place of y, place of x, place of the weight) for all products of a convolution.
template <class F>
void for_each_product(const ConvolutionShape& s, ImageLayout layout, const F& f) {
  const int pixels = s.height * s.width;
  for (int image = 0; image < s.images; ++image) {
    for (int row = 0; row < s.out_height(); ++row) {
      for (int column = 0; column < s.out_width(); ++column) {
        for (int kh = 0; kh < s.kernel; ++kh) {
          for (int kw = 0; kw < s.kernel; ++kw) {
            const int h = row * s.stride - s.padding + kh;
            const int w = column * s.stride - s.padding + kw;
            if (h < 0 || h >= s.height || w < 0 || w >= s.width) {
              continue;
            }
            for (int c = 0; c < s.in_channels; ++c) {
              const int pixel = h * s.width + w;
              const int x = image * s.in_channels * pixels + (layout == ImageLayout::channel_major
                                                                  ? c * pixels + pixel
                                                                  : pixel * s.in_channels + c);
              for (int o = 0; o < s.out_channels; ++o) {
                const int y =
                    ((image * s.out_height() + row) * s.out_width() + column) * s.out_channels + o;
                const int weight = ((o * s.in_channels + c) * s.kernel + kh) * s.kernel + kw;
                f(static_cast<std::size_t>(y), static_cast<std::size_t>(x),
                  static_cast<std::size_t>(weight));
              }
            }
          }
        }
      }
    }
  }
}

/// dy ∘ LeakyReLU'(y), or dy where there is no y; exact.
template <class T>
std::vector<double> masked(const std::vector<T>& gradient, const std::vector<T>& outputs) {
  std::vector<double> out;
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const bool below = !outputs.empty() && static_cast<float>(outputs[i]) <= 0;
    const auto slope = below ? static_cast<double>(kLeakySlope) : 1.0;
    out.push_back(static_cast<double>(static_cast<float>(gradient[i])) * slope);
  }
  return out;
}

template <class T>
void expect_sums(const std::vector<T>& actual, const std::vector<ExactSum>& exact) {
  for (std::size_t i = 0; i < exact.size(); ++i) {
    ASSERT_NEAR(static_cast<float>(actual[i]), exact[i].value, exact[i].template error<T>()) << i;
  }
}

/// One value more than the kernel may write.
template <class T>
std::vector<T> guarded(std::size_t size) {
  std::vector<T> values(size + 1, static_cast<T>(kNan));
  values.back() = static_cast<T>(7.0F);
  return values;
}
template <class T>
void expect_guard(const std::vector<T>& values) {
  EXPECT_EQ(static_cast<float>(values.back()), 7.0F) << "written past the end";
}

template <class Input, class Activation>
struct Types {
  using In = Input;
  using T = Activation;
};

template <class Types>
class DirectConvolution : public testing::Test {
 protected:
  /// Calls f(shape, layout) for all of them.
  template <class F>
  static void for_each_case(const F& f) {
    for (const ConvolutionShape& shape : kShapes) {
      for (const ImageLayout layout : {ImageLayout::channel_major, ImageLayout::channels_last}) {
        SCOPED_TRACE(testing::PrintToString(shape) + (layout == ImageLayout::channel_major
                                                          ? ", channel-major"
                                                          : ", channels last"));
        f(shape, layout);
      }
    }
  }
};

// States of float or activations go in; activations come out.
using AllTypes =
    testing::Types<Types<float, float>, Types<float, Bfloat16>, Types<Bfloat16, Bfloat16>>;
TYPED_TEST_SUITE(DirectConvolution, AllTypes);

TYPED_TEST(DirectConvolution, ForwardIsThePlainSumWithItsEpilogue) {
  using In = typename TypeParam::In;
  using T = typename TypeParam::T;
  this->for_each_case([](const ConvolutionShape& shape, ImageLayout layout) {
    const Sizes sizes(shape);
    const auto x = stored_numbers<In>(sizes.x, 1);
    const auto weight = numbers(sizes.weight, 2);
    const auto bias = numbers(sizes.bias, 3);
    const auto before = stored_numbers<T>(sizes.y, 4);
    for (const Epilogue epilogue : {Epilogue::store, Epilogue::leaky_relu, Epilogue::add}) {
      std::vector<ExactSum> exact(sizes.y);
      for (std::size_t i = 0; i < sizes.y; ++i) {
        exact[i].add(static_cast<double>(bias[i % sizes.bias]));
        if (epilogue == Epilogue::add) {
          exact[i].add(static_cast<double>(static_cast<float>(before[i])));
        }
      }
      for_each_product(shape, layout, [&](std::size_t to, std::size_t from, std::size_t with) {
        exact[to].add(static_cast<double>(static_cast<float>(x[from])) *
                      static_cast<double>(weight[with]));
      });
      if (epilogue == Epilogue::leaky_relu) {
        for (ExactSum& sum : exact) {
          sum.value *= sum.value > 0 ? 1.0 : static_cast<double>(kLeakySlope);
        }
      }
      auto y = guarded<T>(sizes.y);
      if (epilogue == Epilogue::add) {
        std::copy(before.begin(), before.end(), y.begin());
      }
      run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
        convolution_forward(stream, shape, layout, memory.in(x), memory.in(weight), memory.in(bias),
                            epilogue, memory.in_out(y));
      });
      expect_sums(y, exact);
      expect_guard(y);
    }
  });
}

TYPED_TEST(DirectConvolution, InputGradientIsThePlainSumBetweenItsMasks) {
  using In = typename TypeParam::In;
  using T = typename TypeParam::T;
  this->for_each_case([](const ConvolutionShape& shape, ImageLayout layout) {
    const Sizes sizes(shape);
    const auto weight = numbers(sizes.weight, 1);
    const auto dy = stored_numbers<T>(sizes.y, 2);
    for (const auto& [y_size, x_size] :
         {std::pair{sizes.y, sizes.x}, std::pair{sizes.y, std::size_t{0}},
          std::pair{std::size_t{0}, sizes.x}, std::pair{std::size_t{0}, std::size_t{0}}}) {
      const auto y = stored_numbers<T>(y_size, 3);
      const auto x = stored_numbers<In>(x_size, 4);
      const auto gradient = masked(dy, y);
      std::vector<ExactSum> exact(sizes.x);
      for_each_product(shape, layout, [&](std::size_t from, std::size_t to, std::size_t with) {
        exact[to].add(gradient[from] * static_cast<double>(weight[with]));
      });
      for (std::size_t i = 0; i < x.size(); ++i) {
        exact[i].value *= static_cast<float>(x[i]) > 0 ? 1.0 : static_cast<double>(kLeakySlope);
      }
      auto dx = guarded<In>(sizes.x);
      run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
        convolution_input_gradient(stream, shape, layout, memory.in(dy), memory.in(y),
                                   memory.in(weight), memory.in(x), memory.in_out(dx));
      });
      expect_sums(dx, exact);
      expect_guard(dx);
    }
  });
}

TYPED_TEST(DirectConvolution, WeightGradientIsThePlainSum) {
  using In = typename TypeParam::In;
  using T = typename TypeParam::T;
  this->for_each_case([](const ConvolutionShape& shape, ImageLayout layout) {
    const Sizes sizes(shape);
    const auto x = stored_numbers<In>(sizes.x, 1);
    const auto dy = stored_numbers<T>(sizes.y, 2);
    for (const bool behind_relu : {false, true}) {
      const auto y = stored_numbers<T>(behind_relu ? sizes.y : 0, 3);
      const auto gradient = masked(dy, y);
      std::vector<ExactSum> exact(sizes.weight);
      for_each_product(shape, layout, [&](std::size_t with, std::size_t from, std::size_t to) {
        exact[to].add(gradient[with] * static_cast<double>(static_cast<float>(x[from])));
      });
      std::vector<ExactSum> exact_bias(sizes.bias);
      for (std::size_t i = 0; i < sizes.y; ++i) {
        exact_bias[i % sizes.bias].add(gradient[i]);
      }
      auto scratch = guarded<float>(convolution_weight_gradient_scratch(shape));
      auto weight_gradient = guarded<float>(sizes.weight);
      auto bias_gradient = guarded<float>(sizes.bias);
      run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
        convolution_weight_gradient(stream, shape, layout, memory.in(x), memory.in(dy),
                                    memory.in(y), memory.in_out(scratch),
                                    memory.in_out(weight_gradient), memory.in_out(bias_gradient));
      });
      expect_sums(weight_gradient, exact);
      expect_sums(bias_gradient, exact_bias);
      expect_guard(scratch);
      expect_guard(weight_gradient);
      expect_guard(bias_gradient);
    }
  });
}

TYPED_TEST(DirectConvolution, TwoRunsGiveTheSameBits) {
  using In = typename TypeParam::In;
  using T = typename TypeParam::T;
  const ConvolutionShape shape{
      .images = 7, .in_channels = 3, .height = 16, .width = 16, .out_channels = 8, .kernel = 3};
  const Sizes sizes(shape);
  const auto x = stored_numbers<In>(sizes.x, 1);
  const auto dy = stored_numbers<T>(sizes.y, 2);
  const auto weight = numbers(sizes.weight, 3);
  const auto bias = numbers(sizes.bias, 4);
  const auto run = [&] {
    std::vector<T> y(sizes.y);
    std::vector<In> dx(sizes.x);
    std::vector<float> scratch(convolution_weight_gradient_scratch(shape));
    std::vector<float> gradients(sizes.weight + sizes.bias);
    run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
      const ImageLayout layout = ImageLayout::channel_major;
      const In* const input = memory.in(x);
      const T* const output_gradient = memory.in(dy);
      const float* const weights = memory.in(weight);
      T* const output = memory.in_out(y);
      convolution_forward(stream, shape, layout, input, weights, memory.in(bias),
                          Epilogue::leaky_relu, output);
      const T* const mask = output;
      convolution_input_gradient(stream, shape, layout, output_gradient, mask, weights, input,
                                 memory.in_out(dx));
      float* const sums = memory.in_out(gradients);
      convolution_weight_gradient(stream, shape, layout, input, output_gradient, mask,
                                  memory.in_out(scratch), sums, sums + sizes.weight);
    });
    return std::tuple(floats(y), floats(dx), gradients);
  };
  EXPECT_EQ(run(), run());
}

}  // namespace
}  // namespace ebm
