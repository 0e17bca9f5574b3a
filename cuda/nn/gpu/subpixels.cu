#include "cuda/nn/gpu/subpixels.cuh"

#include "cuda/device/bfloat16.cuh"
#include "cuda/device/packs.cuh"
#include "cuda/kernels/leaky_relu.cuh"

namespace ebm {
namespace {

/// A row is a weight of the subpixels' convolution but for its input channel, which is the column.
template <class T>
struct WeightBody {
  std::uint32_t in_channels;  // C
  std::uint32_t stride;
  std::uint32_t kernel;       // q
  std::int64_t out_channels;  // dy's
  const T* weight;
  T* subpixel_weight;

  EBM_HOST_DEVICE void operator()(std::int64_t row, std::int64_t output) const {
    auto rest = static_cast<std::uint32_t>(row);
    const std::uint32_t a_column = rest % kernel;
    rest /= kernel;
    const std::uint32_t a_row = rest % kernel;
    rest /= kernel;
    const std::uint32_t channel = rest % in_channels;
    rest /= in_channels;
    const std::uint32_t place_row = stride * (kernel - 1 - a_row) + rest / stride;
    const std::uint32_t place_column = stride * (kernel - 1 - a_column) + rest % stride;
    const std::int64_t place = (output * stride * kernel + place_row) * stride * kernel;
    subpixel_weight[row * out_channels + output] =
        weight[(place + place_column) * in_channels + channel];
  }
};

/// A row is a pixel of dx.
template <class T, int count>
struct SubpixelBody {
  std::uint32_t height;
  std::uint32_t width;
  std::uint32_t padding;
  std::uint32_t stride;
  std::uint32_t rows;  // of blocks
  std::uint32_t columns;
  std::int64_t channels;
  const T* subpixels;
  const T* x;
  T* dx;

  EBM_HOST_DEVICE void operator()(std::int64_t pixel, std::int64_t pack) const {
    const auto line = static_cast<std::uint32_t>(pixel) / width;
    const std::uint32_t row = line % height + padding;
    const std::uint32_t column = static_cast<std::uint32_t>(pixel) % width + padding;
    const std::int64_t to = pixel * channels + pack * count;
    Floats<count> gradient{};
    if (row / stride < rows && column / stride < columns) {  // else no output depends on it
      const std::int64_t block =
          (std::int64_t{line / height} * rows + row / stride) * columns + column / stride;
      const std::int64_t subpixel =
          block * stride * stride + row % stride * stride + column % stride;
      gradient = load_pack<count>(subpixels + subpixel * channels + pack * count);
    }
    if (x != nullptr) {
      const Floats<count> outputs = load_pack<count>(x + to);
      for (int k = 0; k < count; ++k) {
        gradient.v[k] = LeakyRelu{}.gradient(outputs.v[k], gradient.v[k]);
      }
    }
    store_pack(dx + to, gradient);
  }
};

}  // namespace

template <class T>
void subpixel_weights(const CudaStream& stream, const ConvolutionShape& shape, const T* weight,
                      T* subpixel_weight) {
  const ConvolutionShape s = subpixel_convolution(shape);
  for_each_cell(stream, std::int64_t{s.out_channels} * s.kernel * s.kernel, s.in_channels,
                WeightBody<T>{.in_channels = static_cast<std::uint32_t>(shape.in_channels),
                              .stride = static_cast<std::uint32_t>(shape.stride),
                              .kernel = static_cast<std::uint32_t>(s.kernel),
                              .out_channels = s.in_channels,
                              .weight = weight,
                              .subpixel_weight = subpixel_weight});
}

template <class T>
void from_subpixels(const CudaStream& stream, const ConvolutionShape& shape, const T* subpixels,
                    const T* x, T* dx) {
  const ConvolutionShape s = subpixel_convolution(shape);
  with_widest_pack<T>(
      shape.in_channels,
      [&](auto width) {
        constexpr int kCount = decltype(width)::value;
        for_each_cell(stream, std::int64_t{shape.images} * shape.height * shape.width,
                      shape.in_channels / kCount,
                      SubpixelBody<T, kCount>{.height = static_cast<std::uint32_t>(shape.height),
                                              .width = static_cast<std::uint32_t>(shape.width),
                                              .padding = static_cast<std::uint32_t>(shape.padding),
                                              .stride = static_cast<std::uint32_t>(shape.stride),
                                              .rows = static_cast<std::uint32_t>(s.out_height()),
                                              .columns = static_cast<std::uint32_t>(s.out_width()),
                                              .channels = shape.in_channels,
                                              .subpixels = subpixels,
                                              .x = x,
                                              .dx = dx});
      },
      subpixels, x, dx);
}

template void subpixel_weights(const CudaStream&, const ConvolutionShape&, const float*, float*);
template void subpixel_weights(const CudaStream&, const ConvolutionShape&, const Bfloat16*,
                               Bfloat16*);
template void from_subpixels(const CudaStream&, const ConvolutionShape&, const float*, const float*,
                             float*);
template void from_subpixels(const CudaStream&, const ConvolutionShape&, const Bfloat16*,
                             const Bfloat16*, Bfloat16*);

}  // namespace ebm
