// The last operation: f = b + w·x, where the last layer sees its whole input at once; or, of a
// network that ends otherwise, f = x.
#pragma once

#include "cuda/nn/operation.h"

namespace ebm {

extern const OperationType kHead;

}  // namespace ebm
