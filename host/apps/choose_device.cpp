#include "host/apps/choose_device.h"

#include <fmt/format.h>

#include "host/errors.h"

namespace ebm {

void choose_device(const std::string& device) {
  if (device.starts_with("cuda")) {
    throw ConfigurationError(fmt::format(
        "device {}: this version computes on the CPU only; use --device cpu or auto", device));
  }
}

}  // namespace ebm
