// Runs a kernel on a test's vectors: with the CPU's launcher, or, in a test that is compiled with
// EBM_TEST_ON_CUDA, with the CUDA one, on copies in the device's memory. The same source makes both
// tests; without a usable device the second skips all it has and says why.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#ifdef EBM_TEST_ON_CUDA
#include <cstddef>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <span>

#include "cuda/device/cuda_survey.h"
#include "cuda/device/device_buffer.h"
#ifdef EBM_EMULATED_CUDA
#include "control.h"
#endif
#endif

namespace ebm {

#ifdef EBM_TEST_ON_CUDA

/// Makes the program's tests use the first usable device. Where there is none, ends the program as
/// one whose tests are all skipped: their fixtures cannot even be made.
class NeedsCudaDevice : public testing::Environment {
 public:
  void SetUp() override {
    const DeviceChoice choice = choose_device("auto", enumerate_devices());
    if (!choice.on_cuda) {
      std::cout << "[  SKIPPED ] " << choice.reason << std::endl;
      std::exit(0);  // NOLINT(concurrency-mt-unsafe): there is one thread
    }
    open_cuda_device(choice.index);
  }
#ifdef EBM_EMULATED_CUDA
  void TearDown() override {
    EXPECT_EQ(emulated_cuda::live_allocations(), 0U) << "memory that was never given back";
  }
#endif
};
inline testing::Environment* const kNeedsCudaDevice =
    testing::AddGlobalTestEnvironment(new NeedsCudaDevice);

/// Copies of a test's vectors for one launch.
class KernelMemory {
 public:
  explicit KernelMemory(const CudaStream& stream) : stream_(stream) {}

  /// Where the kernel finds a copy of `values`; null when there are none.
  template <class T>
  const T* in(const std::vector<T>& values) {
    return values.empty() ? nullptr : reinterpret_cast<const T*>(copy(values));
  }
  /// The same; `values` becomes what the kernel leaves there.
  template <class T>
  T* in_out(std::vector<T>& values) {
    if (values.empty()) {
      return nullptr;
    }
    std::byte* const place = copy(values);
    results_.push_back({copies_.size() - 1, std::as_writable_bytes(std::span(values))});
    return reinterpret_cast<T*>(place);
  }
  void read_back() {
    for (const Result& result : results_) {
      copies_[result.copy].download(stream_, result.host);
    }
    stream_.wait();
  }

 private:
  struct Result {
    std::size_t copy;
    std::span<std::byte> host;
  };
  template <class T>
  std::byte* copy(const std::vector<T>& values) {
    const auto bytes = std::as_bytes(std::span(values));
    DeviceBuffer<std::byte>& copy = copies_.emplace_back(stream_, bytes.size());
    copy.upload(stream_, bytes);
    return copy.data();
  }

  const CudaStream& stream_;
  std::deque<DeviceBuffer<std::byte>> copies_;
  std::vector<Result> results_;
};

/// Calls launch(memory, stream), and waits for its results.
template <class Launch>
void run_kernel(const Launch& launch) {
  const CudaStream stream;
  KernelMemory memory(stream);
  launch(memory, stream);
  memory.read_back();
}

#else

struct KernelMemory {
  template <class T>
  const T* in(const std::vector<T>& values) {
    return values.empty() ? nullptr : values.data();
  }
  template <class T>
  T* in_out(std::vector<T>& values) {
    return values.empty() ? nullptr : values.data();
  }
};

/// Calls launch(memory): the CPU's launchers take no stream.
template <class Launch>
void run_kernel(const Launch& launch) {
  KernelMemory memory;
  launch(memory);
}

#endif

}  // namespace ebm
