// The gradient of a network's first convolution with respect to its images, on one CPU thread.
// Images have 1 to 4 channels, too few for the vectors of a convolution library: here lanes are
// pixels.
#pragma once

#include <cstdint>

#include "cuda/base/buffer.h"
#include "cuda/base/vector_memory.h"

namespace ebm {

/// A convolution with stride 1 of images with few channels. Requires 1 ≤ in_channels ≤ 4 and
/// padding < kernel.
struct ImageConvolution {
  int in_channels = 1;
  int height = 1;  ///< of the images
  int width = 1;
  int out_channels = 1;
  int kernel = 1;
  int padding = 0;

  int out_height() const { return height + 2 * padding - kernel + 1; }
  int out_width() const { return width + 2 * padding - kernel + 1; }
};

/// The weights as image_gradient wants them: [out][kh][kw][in], the kernel turned by 180 degrees.
class ImageGradientWeights {
 public:
  ImageGradientWeights() = default;
  explicit ImageGradientWeights(const ImageConvolution& convolution);

  /// Takes weights (out, in, kh, kw).
  void set(const float* weights);

  const ImageConvolution& convolution() const { return convolution_; }
  const float* data() const { return turned_.data(); }

 private:
  ImageConvolution convolution_;
  Buffer<float> turned_;
};

/// Values of scratch memory that image_gradient needs; zero before its first use, and its own from
/// then on.
std::int64_t image_gradient_scratch(const ImageConvolution& convolution);

/// dx[c][p] = Σ_o Σ_kh Σ_kw w[o][c][kh][kw]·d[o][p + padding − (kh, kw)] for one image, where
/// d = dy ∘ LeakyReLU'(y), or dy where y is null. dx is channel-major (in_channels × height ×
/// width); dy and y, the layer's output after its LeakyReLU, are out_height × out_width ×
/// out_channels. `lanes` are the floats of the vectors to compute with: widest_vectors() or fewer.
void image_gradient(const ImageGradientWeights& weights, const float* dy, const float* y,
                    float* scratch, float* dx, int lanes = widest_vectors());

}  // namespace ebm
