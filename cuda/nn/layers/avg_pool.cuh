// avg_pool: the mean of every kernel × kernel pixels, which do not overlap.
#pragma once

#include "cuda/nn/layer_type.h"
#include "cuda/nn/operation.h"

namespace ebm {

extern const LayerType kAvgPoolLayer;
extern const OperationType kAvgPool;

}  // namespace ebm
