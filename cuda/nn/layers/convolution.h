// Convolutions and linear layers, with or without a LeakyReLU behind them.
#pragma once

#include "cuda/nn/layer_type.h"
#include "cuda/nn/operation.h"

namespace ebm {

extern const LayerType kConvolutionLayer;  ///< conv: y = W∗x + b
extern const LayerType kLinearLayer;       ///< linear: the same on one pixel

extern const OperationType kConvolution;
/// The first, of images of few channels: it takes states as they are and gives their gradients.
extern const OperationType kImageConvolution;

/// Multiply–adds of an affine map: as many each way.
OperationCount count_products(const Operation& operation);

}  // namespace ebm
