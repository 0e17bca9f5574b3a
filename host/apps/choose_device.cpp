#include "host/apps/choose_device.h"

#include <fmt/format.h>

#include "cuda/device/cuda_survey.h"
#include "host/errors.h"

namespace ebm {

void choose_device(const std::string& device) {
  if (!device.starts_with("cuda")) {
    return;
  }
  try {
    choose_device(device, survey_cuda());
  } catch (const DeviceUnavailable& error) {
    throw ConfigurationError(error.what());
  }
  throw ConfigurationError(fmt::format(
      "device {}: this version computes on the CPU only; use --device cpu or auto", device));
}

}  // namespace ebm
