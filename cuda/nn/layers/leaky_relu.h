// leaky_relu, with the slope of every network of this project.
#pragma once

#include "cuda/nn/layer_type.h"
#include "cuda/nn/operation.h"

namespace ebm {

extern const LayerType kLeakyReluLayer;
/// One that no neighbour computes.
extern const OperationType kLeakyRelu;

}  // namespace ebm
