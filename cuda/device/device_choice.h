// Which device computes, and whether its memory suffices: the decisions, of facts found elsewhere.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace ebm {

/// A CUDA device of this machine.
struct CudaDevice {
  int index = 0;
  std::string name{};
  int major = 0;  ///< compute capability
  int minor = 0;
  std::string unusable{};  ///< why this program cannot compute there; empty when it can
};

/// What a program learns about CUDA when it starts.
struct CudaSurvey {
  std::string unusable;  ///< why there are no devices; empty when there are
  std::vector<CudaDevice> devices;
};

/// What the CUDA runtime answers when it is asked for devices. Versions are CUDA's, 1000·major +
/// 10·minor; that of the driver is the newest it supports, 0 without a driver.
struct CudaAnswer {
  int driver_version = 0;
  int runtime_version = 0;
  int devices = 0;
  std::string error{};  ///< the library's message when the call failed
};

/// Why there is nothing to compute on, with the remedy; empty when there is.
std::string why_no_cuda(const CudaAnswer& answer);

/// Whether `request` is auto, cpu, cuda or cuda:N.
bool is_device_name(std::string_view request);

/// Where to compute.
struct DeviceChoice {
  bool on_cuda = false;
  int index = 0;       ///< of the CUDA device
  std::string reason;  ///< why the CPU, when it was chosen for want of a CUDA device
};

/// A request that cannot be met; the message says why and what can be asked for instead.
class DeviceUnavailable : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// `request` is auto, cpu, cuda (the first device that is usable) or cuda:N. auto is cuda where
/// that is possible and the CPU elsewhere. Throws DeviceUnavailable.
DeviceChoice choose_device(const std::string& request, const CudaSurvey& survey);

/// "3.1 GiB", "512.0 MiB": rounded up, so that what is said to be needed suffices.
std::string memory_size(std::size_t bytes);

/// Throws DeviceUnavailable, "device … needs 3.1 GiB of memory, and there are 2.0 GiB; use …", with
/// that remedy, when `needed` is more than there is.
void require_memory(const std::string& device, std::size_t needed, std::size_t there,
                    const std::string& remedy);

}  // namespace ebm
