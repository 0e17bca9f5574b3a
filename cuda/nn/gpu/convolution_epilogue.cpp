#include "cuda/nn/gpu/convolution_epilogue.h"

#include <cstdint>

#include "cuda/device/bfloat16.cuh"
#include "cuda/kernels/leaky_relu.cuh"
#include "cuda/nn/gpu/bias_activation.cuh"
#include "cuda/nn/gpu/subpixels.cuh"

namespace ebm {

void finish_forward(const CudaStream& stream, const ConvolutionPattern& pattern, const float* bias,
                    void* y) {
  const ConvolutionShape& s = pattern.shape;
  const std::int64_t pixels = std::int64_t{s.images} * s.out_height() * s.out_width();
  const Epilogue epilogue = pattern.leaky_relu ? Epilogue::leaky_relu : Epilogue::store;
  if (pattern.precision == Precision::bf16) {
    bias_activation<Bfloat16>(stream, pixels, s.out_channels, bias, epilogue, nullptr,
                              static_cast<Bfloat16*>(y));
  } else {
    bias_activation<float>(stream, pixels, s.out_channels, bias, epilogue, nullptr,
                           static_cast<float*>(y));
  }
}

void finish_input_gradient(const CudaStream& stream, const ConvolutionPattern& pattern,
                           const void* x, void* dx) {
  if (!pattern.input_is_leaky) {
    return;
  }
  const ConvolutionShape& s = pattern.shape;
  const std::int64_t values = std::int64_t{s.images} * s.height * s.width * s.in_channels;
  if (pattern.precision == Precision::bf16) {
    auto* const gradient = static_cast<Bfloat16*>(dx);
    leaky_relu_backward(stream, LeakyRelu(), values, static_cast<const Bfloat16*>(x), gradient,
                        gradient);
  } else {
    auto* const gradient = static_cast<float*>(dx);
    leaky_relu_backward(stream, LeakyRelu(), values, static_cast<const float*>(x), gradient,
                        gradient);
  }
}

void prepare_subpixels(const CudaStream& stream, const ConvolutionPattern& pattern,
                       const void* weight, void* subpixel_weight) {
  if (pattern.precision == Precision::bf16) {
    subpixel_weights(stream, pattern.shape, static_cast<const Bfloat16*>(weight),
                     static_cast<Bfloat16*>(subpixel_weight));
  } else {
    subpixel_weights(stream, pattern.shape, static_cast<const float*>(weight),
                     static_cast<float*>(subpixel_weight));
  }
}

void finish_subpixels(const CudaStream& stream, const ConvolutionPattern& pattern,
                      const void* subpixels, const void* x, void* dx) {
  const void* const leaky = pattern.input_is_leaky ? x : nullptr;
  if (pattern.precision == Precision::bf16) {
    from_subpixels(stream, pattern.shape, static_cast<const Bfloat16*>(subpixels),
                   static_cast<const Bfloat16*>(leaky), static_cast<Bfloat16*>(dx));
  } else {
    from_subpixels(stream, pattern.shape, static_cast<const float*>(subpixels),
                   static_cast<const float*>(leaky), static_cast<float*>(dx));
  }
}

}  // namespace ebm
