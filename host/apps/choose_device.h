// Where a program computes.
#pragma once

#include <string>

namespace ebm {

/// Throws ConfigurationError for a configuration's `device` that this build cannot use.
void choose_device(const std::string& device);

}  // namespace ebm
