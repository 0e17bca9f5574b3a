#include "host/training/compute_device.h"

#include <fmt/format.h>
#include <omp.h>

#include <filesystem>
#include <stdexcept>

#include "cuda/base/errors.h"
#include "cuda/device/cuda_survey.h"
#include "cuda/nn/cpu/convolution.h"
#include "cuda/nn/cpu/cpu_energy.h"
#include "cuda/nn/cpu/cpu_features.h"
#include "host/files/cache_folder.h"
#ifdef EBM_CUDNN
#include "cuda/device/cudnn_handle.h"
#endif
#ifdef EBM_CUDA
#include "cuda/nn/gpu/cuda_energy.h"
#endif

namespace ebm {
namespace {

/// Why a network cannot be computed on any CUDA device; empty when it can.
std::string why_not_on_cuda(const Network& network) {
#ifdef EBM_CUDNN
  return perceptron_widths(network) ? "" : why_no_cudnn();
#else
  static_cast<void>(network);
  return "";
#endif
}

/// Throws DeviceUnavailable where the CPU's memory is too small for the energy and `more`. The
/// remedy is fewer threads where they are enough.
void require_cpu_memory(const ComputeDevice& device, const Network& network, std::int64_t capacity,
                        std::size_t more) {
  const auto needed = [&](int threads) {
    return more +
           static_cast<std::size_t>(cpu_energy_bytes(network, capacity, device.precision, threads));
  };
  const int threads = omp_get_max_threads();
  int fewer = threads;
  while (fewer > 0 && needed(fewer) > device.cpu_memory) {
    --fewer;
  }
  require_memory(
      fmt::format("cpu, {} threads", threads), needed(threads), device.cpu_memory,
      fewer > 0 ? fmt::format("--threads {}", fewer) : "a smaller network, data set or batch");
}

#ifdef EBM_CUDA
std::filesystem::path plan_cache() {
  const std::optional<std::filesystem::path> folder = cache_folder();
  return folder ? *folder / "cudnn" : std::filesystem::path();
}

#endif

#ifdef EBM_CUDA
/// What `make` makes on a device. Throws ConfigurationError where that does not go.
template <class Make>
auto make_on_cuda(const ComputeDevice& device, const Make& make) {
  try {
    return make();
  } catch (const DeviceUnavailable& error) {
    throw ConfigurationError(error.what());
  } catch (const std::invalid_argument& error) {
    throw ConfigurationError(fmt::format("device {}: {}", device.name, error.what()));
  }
}
#endif

}  // namespace

ComputeDevice choose_compute_device(const std::string& device, Precision precision,
                                    const Network& network) {
  const CudaSurvey survey = enumerate_devices();
  DeviceChoice choice;
  try {
    choice = choose_device(device, survey);
  } catch (const DeviceUnavailable& error) {
    throw ConfigurationError(error.what());
  }
  if (choice.on_cuda) {
    if (const std::string why = why_not_on_cuda(network); !why.empty()) {
      if (device != "auto") {
        throw ConfigurationError(
            fmt::format("device {}: {}; use --device cpu or auto", device, why));
      }
      choice = {.on_cuda = false, .index = 0, .reason = why};
    }
  }
  if (!choice.on_cuda) {
    ComputeDevice cpu;
    if (precision == Precision::bf16 && have_bfloat16()) {
      cpu.precision = Precision::bf16;
    }
#ifdef EBM_CUDA
    cpu.why_cpu = choice.reason;
#endif
    return cpu;
  }
  ComputeDevice chosen{.on_cuda = true,
                       .index = choice.index,
                       .name = fmt::format("cuda:{}", choice.index),
                       .precision = precision};
  for (const CudaDevice& candidate : survey.devices) {
    if (candidate.index == choice.index) {
      chosen.name += fmt::format(" ({}, compute capability {}.{})", candidate.name, candidate.major,
                                 candidate.minor);
    }
  }
#ifdef EBM_CUDA
  open_cuda_device(choice.index);
#endif
  return chosen;
}

std::size_t energy_bytes(const ComputeDevice& device, const Network& network,
                         std::int64_t capacity) {
#ifdef EBM_CUDA
  if (device.on_cuda) {
    return cuda_energy_bytes(network, capacity, device.precision);
  }
#endif
  return static_cast<std::size_t>(
      cpu_energy_bytes(network, capacity, device.precision, omp_get_max_threads()));
}

std::string describe_memory(const ComputeDevice& device, const Network& network,
                            std::int64_t capacity, std::size_t more) {
  return "memory: about " + memory_size(energy_bytes(device, network, capacity) + more);
}

void require_energy_memory(const ComputeDevice& device, const Network& network,
                           std::int64_t capacity, std::size_t more) {
  try {
#ifdef EBM_CUDA
    if (device.on_cuda) {
      require_memory(device.name, energy_bytes(device, network, capacity) + more,
                     open_cuda_device(device.index),
                     "a smaller batch, another device or --device cpu");
      return;
    }
#endif
    require_cpu_memory(device, network, capacity, more);
  } catch (const DeviceUnavailable& error) {
    throw ConfigurationError(error.what());
  }
}

std::unique_ptr<Energy> make_energy(const ComputeDevice& device, const Network& network,
                                    std::int64_t capacity, std::size_t more) {
  require_energy_memory(device, network, capacity, more);
#ifdef EBM_CUDA
  if (device.on_cuda) {
    return make_on_cuda(device, [&] {
      return make_cuda_energy(network, capacity, device.precision, plan_cache());
    });
  }
#endif
  return make_cpu_energy(network, device.precision);
}

std::unique_ptr<Features> make_features(const ComputeDevice& device, const Network& network,
                                        std::int64_t capacity) {
  require_energy_memory(device, network, capacity, 0);
#ifdef EBM_CUDA
  if (device.on_cuda) {
    return make_on_cuda(device, [&] {
      return make_cuda_features(network, capacity, device.precision, plan_cache());
    });
  }
#endif
  return make_cpu_features(network);
}

}  // namespace ebm
