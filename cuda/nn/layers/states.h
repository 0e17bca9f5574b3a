// States, channel-major, as activations, channels last.
#pragma once

#include "cuda/nn/operation.h"

namespace ebm {

extern const OperationType kStates;

}  // namespace ebm
