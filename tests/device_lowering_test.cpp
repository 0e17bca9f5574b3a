// Which layers become one operation on a device, and which convolutions a library is asked for.

#include "cuda/nn/gpu/convolution_pattern.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace ebm {
namespace {

using Kind = DeviceOperation::Kind;
using Operations = std::vector<DeviceOperation>;

Layer conv(int outputs, int kernel, int stride = 1, int padding = 0) {
  return {.kind = LayerKind::conv,
          .key = "conv",
          .outputs = outputs,
          .kernel = kernel,
          .stride = stride,
          .padding = padding};
}
Layer linear(int outputs) {
  return {.kind = LayerKind::linear, .key = "linear", .outputs = outputs};
}
Layer plain(LayerKind kind) { return {.kind = kind, .key = "plain"}; }

/// Keys are made unique, as a list's are.
Network network_of(const Shape& input, std::vector<Layer> layers) {
  for (std::size_t i = 0; i < layers.size(); ++i) {
    layers[i].key = std::to_string(i);
  }
  return {"listed", input, layers};
}

const Layer kLeakyRelu = plain(LayerKind::leaky_relu);
const Layer kMaxPool = plain(LayerKind::max_pool);
const Layer kFlatten = plain(LayerKind::flatten);
const Layer kNonlocal = plain(LayerKind::nonlocal);

TEST(DeviceLowering, ConvolutionsComputeTheLeakyReluBehindThem) {
  const Operations operations = lower_for_device(published_network("vanilla", 3, 32));
  const Shape state{3, 32, 32};
  const Shape a{32, 32, 32};
  const Shape b{64, 16, 16};
  const Shape c{128, 8, 8};
  const Shape d{256, 4, 4};
  EXPECT_EQ(
      operations,
      (Operations{
          {.kind = Kind::image_convolution, .layer = 0, .in = state, .out = a, .leaky_relu = true},
          {.kind = Kind::convolution, .layer = 2, .in = a, .out = b, .leaky_relu = true},
          {.kind = Kind::convolution,
           .layer = 4,
           .in = b,
           .out = c,
           .leaky_relu = true,
           .input_is_leaky = true},
          {.kind = Kind::convolution,
           .layer = 6,
           .in = c,
           .out = d,
           .leaky_relu = true,
           .input_is_leaky = true},
          {.kind = Kind::head, .layer = 8, .in = d, .out = {1}, .input_is_leaky = true},
      }));
}

TEST(DeviceLowering, PoolsComputeTheLeakyReluBeforeThem) {
  const Operations operations = lower_for_device(
      network_of({1, 8, 8}, {conv(4, 3, 1, 1), kLeakyRelu, kMaxPool, kNonlocal, conv(6, 3, 1, 1),
                             kLeakyRelu, kMaxPool, kFlatten, linear(5), kLeakyRelu, linear(1)}));
  const Shape a{4, 4, 4};
  EXPECT_EQ(
      operations,
      (Operations{
          {.kind = Kind::image_convolution, .layer = 0, .in = {1, 8, 8}, .out = {4, 8, 8}},
          {.kind = Kind::max_pool, .layer = 2, .in = {4, 8, 8}, .out = a, .leaky_relu = true},
          {.kind = Kind::nonlocal, .layer = 3, .in = a, .out = a},
          {.kind = Kind::convolution, .layer = 4, .in = a, .out = {6, 4, 4}},
          {.kind = Kind::max_pool,
           .layer = 6,
           .in = {6, 4, 4},
           .out = {6, 2, 2},
           .leaky_relu = true},
          {.kind = Kind::convolution, .layer = 8, .in = {6, 2, 2}, .out = {5}, .leaky_relu = true},
          {.kind = Kind::head, .layer = 10, .in = {5}, .out = {1}, .input_is_leaky = true},
      }));
}

TEST(DeviceLowering, ALeakyReluBesideNoConvolutionStandsAlone) {
  // The states have too many channels for the first convolution's kernels, and f is a pool's
  // output.
  const Operations operations = lower_for_device(
      network_of({6, 2, 2}, {kLeakyRelu, kNonlocal, kLeakyRelu, kLeakyRelu, conv(1, 1), kMaxPool}));
  const Shape in{6, 2, 2};
  EXPECT_EQ(operations, (Operations{
                            {.kind = Kind::entrance, .in = in, .out = in},
                            {.kind = Kind::leaky_relu, .layer = 0, .in = in, .out = in},
                            {.kind = Kind::nonlocal, .layer = 1, .in = in, .out = in},
                            {.kind = Kind::leaky_relu, .layer = 2, .in = in, .out = in},
                            {.kind = Kind::leaky_relu, .layer = 3, .in = in, .out = in},
                            {.kind = Kind::convolution, .layer = 4, .in = in, .out = {1, 2, 2}},
                            {.kind = Kind::max_pool, .layer = 5, .in = {1, 2, 2}, .out = {1}},
                            {.kind = Kind::head, .layer = 6, .in = {1}, .out = {1}},
                        }));
}

TEST(DeviceLowering, AConvolutionBehindAFlattenIsRefused) {
  const Network network =
      network_of({1, 4, 4}, {conv(2, 3, 1, 1), kFlatten, conv(3, 1), linear(1)});
  EXPECT_THROW(lower_for_device(network), std::invalid_argument);
}

TEST(DeviceLowering, NamesEachConvolutionForTheLibraryOnce) {
  const auto patterns =
      library_convolutions(published_network("nonlocal", 1, 32), 7, Precision::bf16);
  struct Sizes {
    int in, side, out, kernel;
    bool leaky_relu, input_is_leaky;
  };
  const Sizes expected[] = {
      {32, 16, 48, 1, false, false},  {16, 16, 32, 1, false, false}, {32, 16, 64, 3, false, false},
      {64, 8, 96, 1, false, false},   {32, 8, 64, 1, false, false},  {64, 8, 128, 3, false, false},
      {2048, 1, 256, 1, true, false},
  };
  ASSERT_EQ(patterns.size(), std::size(expected));
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    const auto& [in, side, out, kernel, leaky_relu, input_is_leaky] = expected[i];
    EXPECT_EQ(patterns[i], (ConvolutionPattern{.shape = {.images = 7,
                                                         .in_channels = in,
                                                         .height = side,
                                                         .width = side,
                                                         .out_channels = out,
                                                         .kernel = kernel,
                                                         .padding = kernel / 2},
                                               .precision = Precision::bf16,
                                               .leaky_relu = leaky_relu,
                                               .input_is_leaky = input_is_leaky}))
        << i;
  }
  // Twice the same layer is asked for once; the first convolution and the head never are.
  EXPECT_EQ(library_convolutions(network_of({1, 4, 4}, {conv(8, 3, 1, 1), kLeakyRelu, kNonlocal,
                                                        kNonlocal, kFlatten, linear(1)}),
                                 7, Precision::fp32)
                .size(),
            2U);
  EXPECT_TRUE(library_convolutions(published_network("toy", 2, 32), 7, Precision::fp32).empty());
}

}  // namespace
}  // namespace ebm
