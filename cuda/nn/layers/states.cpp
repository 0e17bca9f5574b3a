#include "cuda/nn/layers/states.h"

#include "cuda/nn/plain_operation.h"

namespace ebm {

constinit const OperationType kStates = plain_operation<States>("states");

}  // namespace ebm
