// Asking the machine about CUDA.
#pragma once

#include <cstddef>

#include "cuda/device/device_choice.h"

namespace ebm {

/// The devices of this machine and why they cannot be used, if so. Asks each device about itself
/// and takes no memory there. Throws nothing but std::bad_alloc; a program built without CUDA has
/// no devices.
CudaSurvey enumerate_devices();

#ifdef EBM_CUDA
/// Makes the device the calling thread's, and returns the bytes that are free there for it: those
/// that nobody has, and those of its own memory pool that hold nothing. From then on the pool keeps
/// what it has, instead of giving it back to the driver, and asking for it again, whenever the host
/// waits. Throws CudaError.
std::size_t open_cuda_device(int index);
#endif

}  // namespace ebm
