#include "cuda/nn/layers/states.h"

namespace ebm {

constinit const OperationType kStates = plain_operation<States>("states");

}  // namespace ebm
