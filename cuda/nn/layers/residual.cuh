// residual: the output of a list of layers, added to its input (He, Zhang, Ren and Sun, "Deep
// residual learning for image recognition", CVPR 2016).
#pragma once

#include "cuda/nn/layer_type.h"
#include "cuda/nn/operation.h"

namespace ebm {

extern const LayerType kResidualLayer;

/// Where the branch begins: forward, nothing; backward, dx = dy + the gradient of its join's y.
extern const OperationType kFork;
/// Where it ends: forward, y = x + skip; backward, nothing, as both terms' gradient is y's.
extern const OperationType kJoin;

}  // namespace ebm
