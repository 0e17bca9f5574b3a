// Compiling for a GPU where there is none. In builds with cuDNN only.
#pragma once

#include <string>

namespace ebm {

/// Opens the stand-in for NVIDIA's driver that is beside the program, before anything asks for the
/// driver: from then on cuDNN compiles whole plans, and this process can use no GPU, not even one
/// that is there. Empty when that went well; else why not.
std::string open_driver_stand_in();

}  // namespace ebm
