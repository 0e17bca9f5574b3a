// The energy under test: the CPU's, or, in a test that is compiled with EBM_TEST_ON_CUDA, a CUDA
// device's, held to the same bounds.
#pragma once

#include <memory>

#include "cuda/nn/cpu/cpu_energy.h"
#include "tests/support/host_energy.h"
#include "tests/support/kernel_launch.h"
#ifdef EBM_TEST_ON_CUDA
#include "cuda/nn/gpu/cuda_energy.h"
#include "tests/cuda/nn/gpu/plan_folder.h"
#endif

namespace ebm {

/// In float32. A device takes at most `capacity` states at once, and more in parts.
inline std::unique_ptr<HostEnergy> make_tested_energy(const Network& network,
                                                      [[maybe_unused]] std::int64_t capacity) {
#ifdef EBM_TEST_ON_CUDA
  return std::make_unique<HostEnergy>(
      make_cuda_energy(network, capacity, Precision::fp32, plan_folder()));
#else
  return std::make_unique<HostEnergy>(make_cpu_energy(network));
#endif
}

}  // namespace ebm
