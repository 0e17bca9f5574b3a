// max_pool: of 2×2 pixels, with stride 2.
#pragma once

#include "cuda/nn/layer_type.h"
#include "cuda/nn/operation.h"

namespace ebm {

extern const LayerType kMaxPoolLayer;
/// With the LeakyReLU before it or not.
extern const OperationType kMaxPool;

}  // namespace ebm
