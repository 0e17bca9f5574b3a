// What follows a matrix product or a convolution whose library does not do it in the same sweep.
// In builds with CUDA only.
//
// Enqueued on a stream; the pointers are the device's. T is float or Bfloat16. Arrays are rows (the
// pixels of all images, or states) × channels.
#pragma once

#include <cstdint>

#include "cuda/nn/convolution_shape.h"

namespace ebm {

class CudaStream;

/// The rest of a forward pass, on y = W∗x in place: y = y + b, LeakyReLU(y + b), or, for
/// Epilogue::add, other + y + b. `other` is read for Epilogue::add only, else null.
template <class T>
void bias_activation(const CudaStream& stream, std::int64_t rows, std::int64_t channels,
                     const float* bias, Epilogue epilogue, const T* other, T* y);

/// y[i] += x[i] for n values.
template <class T>
void add(const CudaStream& stream, std::int64_t n, const T* x, T* y);

}  // namespace ebm
