// flatten: an image's values as the channels of one pixel, in the order channel, row, column.
#pragma once

#include "cuda/nn/layer_type.h"
#include "cuda/nn/operation.h"

namespace ebm {

extern const LayerType kFlattenLayer;
extern const OperationType kFlatten;

}  // namespace ebm
