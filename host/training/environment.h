// What a run ran on: enough to say why two runs differ.
#pragma once

#include <span>
#include <string>

#include "host/training/compute_device.h"

namespace ebm {

/// The program's version, as `--version` prints it: number and git revision.
std::string version();

/// JSON: version, git revision, device and its precision, threads, libraries with their versions,
/// compiler, host, time, command line.
std::string describe_environment(std::span<const char* const> command_line,
                                 const ComputeDevice& device);

}  // namespace ebm
