// A network's layers, with more chains than a device runs blocks of at a time: see many_chains.h;
// and loops over more than the largest grid.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

#include "cuda/kernels/energy_head.cuh"
#include "cuda/kernels/leaky_relu.cuh"
#include "cuda/kernels/max_pool.cuh"
#include "cuda/kernels/optimizer.cuh"
#include "cuda/nn/gpu/attention.cuh"
#include "cuda/nn/gpu/bias_activation.cuh"
#include "cuda/nn/gpu/column_sums.cuh"
#include "cuda/nn/gpu/direct_convolution.cuh"
#include "cuda/nn/gpu/image_convolution.cuh"
#include "tests/cuda/nn/gpu/many_chains.h"
#include "tests/support/kernel_launch.h"
#include "tests/support/numbers.h"

namespace ebm {
namespace {

// ---- Layers ----

TEST(ManyImages, MaxPool) {
  for (const int channels : {8, 3}) {  // in packs and one by one
    const Floats x = numbers(size(kChains * 4 * 6 * channels), 1);
    const Floats dy = numbers(x.size() / 4, 2);
    expect_same_in_groups([&](int first, int count) {
      const PoolShape shape{.images = count,
                            .height = 4,
                            .width = 6,
                            .channels = channels,
                            .pixel_stride = channels,
                            .after = {}};
      Floats y(size(count) * dy.size() / kChains);
      Floats dx(4 * y.size(), kNan);
      std::vector<std::uint8_t> argmax(y.size());
      run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
        float* const at = memory.in_out(y);
        std::uint8_t* const of = memory.in_out(argmax);
        max_pool_forward(stream, shape, memory.in(part(x, first, count)), at, of);
        max_pool_backward(stream, shape, at, memory.in(part(dy, first, count)), of,
                          memory.in_out(dx));
      });
      return Results{y, dx, Floats(argmax.begin(), argmax.end())};
    });
  }
}

TEST(ManyImages, Attention) {
  constexpr std::int64_t kQueries = 12;
  constexpr std::int64_t kKeys = 3;
  constexpr std::int64_t kWidth = 4;
  const Floats qkv = numbers(size(kChains * kQueries * 3 * kWidth), 1);
  const Floats pooled = numbers(size(kChains * kKeys * 2 * kWidth), 2);
  const Floats gradient = numbers(size(kChains * kQueries * kWidth), 3);
  expect_same_in_groups([&](int first, int count) {
    const AttentionShape shape{count, kQueries, kKeys, kWidth};
    Floats attended(size(count * kQueries * kWidth));
    Floats log_sums(size(count * kQueries));
    Floats workspace(log_sums.size(), kNan);
    Floats qkv_gradient(3 * attended.size());
    Floats pooled_gradient(size(count * kKeys * 2 * kWidth), kNan);
    run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
      const float* const e = memory.in(part(qkv, first, count));
      const float* const p = memory.in(part(pooled, first, count));
      float* const sums = memory.in_out(log_sums);
      attention_forward(stream, shape, e, p, memory.in_out(attended), sums);
      attention_backward(stream, shape, e, p, sums, memory.in(part(gradient, first, count)),
                         memory.in_out(workspace), memory.in_out(qkv_gradient),
                         memory.in_out(pooled_gradient));
    });
    return Results{attended, log_sums, qkv_gradient, pooled_gradient};
  });
}

/// A first layer of small images.
ConvolutionShape small_convolution(int images, int stride) {
  return {.images = images,
          .in_channels = 3,
          .height = 5,
          .width = 6,
          .out_channels = 5,
          .kernel = 3,
          .stride = stride,
          .padding = 1};
}

class ManyConvolvedImages : public testing::TestWithParam<int> {
 protected:
  ConvolutionShape shape(int images) const { return small_convolution(images, GetParam()); }
  std::int64_t outputs() const {
    return std::int64_t{kChains} * shape(1).out_height() * shape(1).out_width() *
           shape(1).out_channels;
  }
  const ImageLayout layout_ = ImageLayout::channel_major;
  const Floats weight_ = numbers(3 * 5 * 9, 1);
  const Floats bias_ = numbers(5, 2);
  const Floats x_ = numbers(size(std::int64_t{kChains} * 3 * 5 * 6), 3);
  const Floats y_ = numbers(size(outputs()), 4);
  const Floats dy_ = numbers(size(outputs()), 5);
};

INSTANTIATE_TEST_SUITE_P(Stride, ManyConvolvedImages, testing::Values(1, 2),
                         testing::PrintToStringParamName());

TEST_P(ManyConvolvedImages, ForwardAndInputGradient) {
  expect_same_in_groups([&](int first, int count) {
    Floats y(part(y_, first, count).size());
    Floats dx(part(x_, first, count).size(), kNan);
    Floats dx_of_few_channels = GetParam() == 1 ? dx : Floats(size(count));
    run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
      const float* const weight = memory.in(weight_);
      const float* const outputs = memory.in(part(y_, first, count));
      const float* const dy = memory.in(part(dy_, first, count));
      const float* const none = nullptr;
      convolution_forward(stream, shape(count), layout_, memory.in(part(x_, first, count)), weight,
                          memory.in(bias_), Epilogue::leaky_relu, memory.in_out(y));
      convolution_input_gradient(stream, shape(count), layout_, dy, outputs, weight, none,
                                 memory.in_out(dx));
      if (is_image_convolution(shape(count))) {
        image_gradient(stream, shape(count), layout_, dy, outputs, weight, none,
                       memory.in_out(dx_of_few_channels));
      }
    });
    return Results{y, dx, dx_of_few_channels};
  });
}

TEST_P(ManyConvolvedImages, WeightGradient) {
  const Floats x = small_integers(std::ssize(x_), 6);
  const Floats dy = small_integers(std::ssize(dy_), 7);
  expect_sum_of_groups([&](int first, int count) {
    Floats scratch(convolution_weight_gradient_scratch(shape(count)), kNan);
    Floats weight_gradient(weight_.size(), kNan);
    Floats bias_gradient(bias_.size(), kNan);
    const float* const no_mask = nullptr;
    run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
      convolution_weight_gradient(stream, shape(count), layout_, memory.in(part(x, first, count)),
                                  memory.in(part(dy, first, count)), no_mask,
                                  memory.in_out(scratch), memory.in_out(weight_gradient),
                                  memory.in_out(bias_gradient));
    });
    return Results{weight_gradient, bias_gradient};
  });
}

TEST(ManyRows, ActivationsAndTheirSums) {
  for (const std::int64_t channels : {8, 5}) {
    const Floats x = small_integers(kChains * 9 * channels, 1);
    const Floats other = numbers(x.size(), 2);
    const Floats bias = numbers(size(channels), 3);
    const auto rows_of = [](int count) { return std::int64_t{9} * count; };
    expect_same_in_groups([&](int first, int count) {
      const std::int64_t values = rows_of(count) * channels;
      Floats sum = part(x, first, count);
      Floats relu(sum.size());
      Floats gradient(sum.size());
      run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
        float* const at = memory.in_out(sum);
        float* const y = memory.in_out(relu);
        bias_activation(stream, rows_of(count), channels, memory.in(bias), Epilogue::add,
                        memory.in(part(other, first, count)), at);
        leaky_relu_forward(stream, LeakyRelu{}, values, at, y);
        leaky_relu_backward(stream, LeakyRelu{}, values, y, at, memory.in_out(gradient));
      });
      return Results{sum, relu, gradient};
    });
    expect_sum_of_groups([&](int first, int count) {
      Floats scratch(column_sums_scratch(rows_of(count), channels), kNan);
      Floats sums(size(channels), kNan);
      run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
        column_sums(stream, rows_of(count), channels, memory.in(part(x, first, count)),
                    memory.in_out(scratch), memory.in_out(sums));
      });
      return Results{sums};
    });
  }
}

TEST(ManyRows, EnergyHead) {
  constexpr std::int64_t kInputs = 96;
  const Floats weights = numbers(kInputs, 1);
  const Floats bias = numbers(1, 2);
  const Floats x = numbers(size(kChains * kInputs), 3);
  const Floats integers = small_integers(kChains * kInputs, 4);
  expect_same_in_groups([&](int first, int count) {
    Floats f(size(count));
    Floats dx(size(count * kInputs), kNan);
    run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
      const float* const inputs = memory.in(part(x, first, count));
      const float* const w = memory.in(weights);
      energy_head_forward(stream, count, kInputs, w, memory.in(bias), inputs, memory.in_out(f));
      energy_head_backward(stream, count, kInputs, w, 0.7F, count, inputs, memory.in_out(dx));
    });
    return Results{f, dx};
  });
  expect_sum_of_groups([&](int first, int count) {
    Floats dw(kInputs, kNan);
    Floats db(1, kNan);
    run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
      energy_head_weight_gradient(stream, count, kInputs, 0.5F,
                                  memory.in(part(integers, first, count)), memory.in_out(dw),
                                  memory.in_out(db));
    });
    return Results{dw, db};
  });
}

// ---- More than a grid ----

// Loops over values and over cells of a matrix are cut into at most 65,536 blocks of 256 threads;
// behind those, each thread takes another.
constexpr std::int64_t kMostBlocks = 65536;

TEST(MoreThanAGrid, Values) {
  constexpr std::int64_t kValues = kMostBlocks * 256 + 1000;
  Floats parameters(size(kValues), 3.0F);
  const Floats gradient(size(kValues), 1.0F);
  run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
    sgd_step(stream, SgdStep{.rate = 2}, kValues, memory.in(gradient), memory.in_out(parameters));
  });
  EXPECT_EQ(std::ranges::count(parameters, 1.0F), kValues);
}

TEST(MoreThanAGrid, Cells) {
  constexpr std::int64_t kColumns = 131;  // one row a block: no pack divides them
  constexpr std::int64_t kRows = kMostBlocks + 50;
  Floats y(size(kRows * kColumns), 3.0F);
  const Floats bias(kColumns, 1.0F);
  run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
    const float* const none = nullptr;
    bias_activation(stream, kRows, kColumns, memory.in(bias), Epilogue::store, none,
                    memory.in_out(y));
  });
  EXPECT_EQ(std::ranges::count(y, 4.0F), kRows * kColumns);
}

}  // namespace
}  // namespace ebm
