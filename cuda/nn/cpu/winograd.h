// Convolutions with fewer multiplications, by Winograd's minimal filtering, on one CPU thread.
//
// In one dimension, n neighbouring outputs of a filter with r taps need n + r − 1 multiplications
// instead of n·r (S. Winograd, Arithmetic Complexity of Computations, SIAM 1980); in two dimensions
// an n × n tile of outputs needs (n + r − 1)² instead of n²·r² (Lavin and Gray, Fast Algorithms for
// Convolutional Neural Networks, CVPR 2016). A kernel of 4 × 4 with stride 2 is, by even and odd
// rows and columns of its input, four kernels of 2 × 2 with stride 1, whose outputs add up: of 16
// multiplications tiles of 2 × 2 leave 9, and tiles of 4 × 4 leave 6¼.
//
// With u = transformed weights and v = the transformed inputs of a tile, every one of the points
// p = 1 … (n + r − 1)² is a product of matrices over channels, m_p = v_p·u_p, and m gives the
// tile's outputs. The gradient with respect to the input runs the transposed steps in reverse
// order.
#pragma once

#include <cstdint>

#include "cuda/base/buffer.h"
#include "cuda/base/vector_memory.h"
#include "cuda/nn/convolution_shape.h"

namespace ebm {

/// What the sizes of such a convolution's arrays follow from.
struct WinogradLayout {
  /// With tiles of the size that suits the shape, whatever the number of images.
  explicit WinogradLayout(const ConvolutionShape& shape);
  /// With tiles of side × side outputs: 2, or with stride 2 also 4.
  WinogradLayout(const ConvolutionShape& shape, int side);

  /// Values of u, for either pass.
  std::int64_t weight_values() const { return points * u_point; }

  int tile;                    // its side
  std::int64_t points;         // p
  std::int64_t phases;         // stride²: parts of the input that each have a kernel of their own
  std::int64_t u_point;        // values from one point's u to the next's
  std::int64_t tiles_at_once;  // of outputs, whose v and m stay in a core's cache
  std::int64_t scratch_values;
};

/// A convolution computed so, with its weights. Images are images × pixels × channels.
class WinogradConvolution {
 public:
  /// Kernels of 3 × 3 with stride 1 and of 4 × 4 with stride 2, whose channels fill vectors.
  static bool can_do(const ConvolutionShape& shape);

  explicit WinogradConvolution(const ConvolutionShape& shape)
      : WinogradConvolution(shape, WinogradLayout(shape)) {}
  /// With tiles of another size: see WinogradLayout.
  WinogradConvolution(const ConvolutionShape& shape, int tile)
      : WinogradConvolution(shape, WinogradLayout(shape, tile)) {}

  /// Takes weights (out, in, kh, kw).
  void set(const float* weights);

  /// Values of scratch memory that the functions below need.
  std::int64_t scratch_values() const { return layout_.scratch_values; }

  /// y = g(W∗x + bias), where g multiplies what is negative by `slope`: LeakyReLU, or with 1
  /// nothing. `lanes` are the floats of the vectors to compute with: widest_vectors() or fewer.
  void forward(const float* x, const float* bias, float slope, float* scratch, float* y,
               int lanes = widest_vectors()) const;

  /// dx from d, the gradient with respect to W∗x: d = dy ∘ LeakyReLU'(y), or dy where y is null.
  void backward(const float* dy, const float* y, float* scratch, float* dx,
                int lanes = widest_vectors()) const;

 private:
  template <class Lanes, class Scheme, int stride>
  friend struct WinogradPasses;

  WinogradConvolution(const ConvolutionShape& shape, const WinogradLayout& layout);

  ConvolutionShape shape_;
  WinogradLayout layout_;
  Buffer<float> forward_;   // u_p: (phase, in) × out, in panels
  Buffer<float> backward_;  // u_pᵀ: out × (phase, in), in panels
};

}  // namespace ebm
