// Asking the machine about CUDA.
#pragma once

#include <cstddef>

#include "cuda/device/device_choice.h"

namespace ebm {

/// The devices of this machine and why they cannot be used, if so. Asks each device about itself
/// and takes no memory there. Throws nothing but std::bad_alloc; a program built without CUDA has
/// no devices.
CudaSurvey survey_cuda();

}  // namespace ebm
