#include "cuda/device/device_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

namespace ebm {
namespace {

std::string version(int cuda_version) {
  return fmt::format("{}.{}", cuda_version / 1000, cuda_version % 1000 / 10);
}

std::string describe(const CudaDevice& device) {
  return fmt::format("cuda:{} ({}, compute capability {}.{})", device.index, device.name,
                     device.major, device.minor);
}

/// Why none of the devices can be used; there is at least one.
std::string why_none_usable(const CudaSurvey& survey) {
  std::string reasons;
  for (const CudaDevice& device : survey.devices) {
    reasons += (reasons.empty() ? "" : "; ") + describe(device) + ": " + device.unusable;
  }
  return reasons;
}

DeviceChoice first_usable(const CudaSurvey& survey) {
  const auto usable = std::ranges::find_if(
      survey.devices, [](const CudaDevice& device) { return device.unusable.empty(); });
  if (usable != survey.devices.end()) {
    return {.on_cuda = true, .index = usable->index, .reason = {}};
  }
  return {.on_cuda = false,
          .index = 0,
          .reason = survey.devices.empty() ? survey.unusable : why_none_usable(survey)};
}

[[noreturn]] void refuse(const std::string& request, const std::string& why) {
  throw DeviceUnavailable(fmt::format("device {}: {}; use --device cpu or auto", request, why));
}

}  // namespace

std::string why_no_cuda(const CudaAnswer& answer) {
  if (answer.driver_version == 0) {
    return "this machine has no NVIDIA driver (nvidia-smi would show it)";
  }
  if (answer.driver_version / 1000 < answer.runtime_version / 1000) {
    return fmt::format(
        "the NVIDIA driver is too old: it supports CUDA {}, this program was built with CUDA {}; "
        "install a newer driver",
        version(answer.driver_version), version(answer.runtime_version));
  }
  if (!answer.error.empty()) {
    return fmt::format("the CUDA runtime finds no device: {}", answer.error);
  }
  if (answer.devices == 0) {
    return "the NVIDIA driver shows no GPU (see nvidia-smi and CUDA_VISIBLE_DEVICES)";
  }
  return "";
}

bool is_device_name(std::string_view request) {
  constexpr std::string_view kNumbered = "cuda:";
  if (!request.starts_with(kNumbered)) {
    return request == "auto" || request == "cpu" || request == "cuda";
  }
  request.remove_prefix(kNumbered.size());
  return !request.empty() && request.size() <= 3 &&
         std::ranges::all_of(request, [](unsigned char c) { return std::isdigit(c) != 0; });
}

DeviceChoice choose_device(const std::string& request, const CudaSurvey& survey) {
  if (request == "cpu") {
    return {};
  }
  if (request == "auto" || request == "cuda") {
    DeviceChoice choice = first_usable(survey);
    if (request == "cuda" && !choice.on_cuda) {
      refuse(request, choice.reason);
    }
    return choice;
  }
  if (survey.devices.empty()) {
    refuse(request, survey.unusable);
  }
  const auto named = std::ranges::find_if(survey.devices, [&](const CudaDevice& device) {
    return request == fmt::format("cuda:{}", device.index);
  });
  if (named == survey.devices.end()) {
    refuse(request,
           fmt::format("this machine's devices are cuda:0 to cuda:{}", survey.devices.size() - 1));
  }
  if (!named->unusable.empty()) {
    refuse(request, describe(*named) + ": " + named->unusable);
  }
  return {.on_cuda = true, .index = named->index, .reason = {}};
}

std::string memory_size(std::size_t bytes) {
  constexpr double kMiB = 1024 * 1024;
  const auto mebibytes = static_cast<double>(bytes) / kMiB;
  const bool large = mebibytes >= 1024;
  return fmt::format("{:.1f} {}", std::ceil((large ? mebibytes / 1024 : mebibytes) * 10) / 10,
                     large ? "GiB" : "MiB");
}

void require_memory(const std::string& device, std::size_t needed, std::size_t there,
                    const std::string& remedy) {
  if (needed > there) {
    throw DeviceUnavailable(
        fmt::format("device {}: this configuration needs {} of memory, and there are {}; use {}",
                    device, memory_size(needed), memory_size(there), remedy));
  }
}

}  // namespace ebm
