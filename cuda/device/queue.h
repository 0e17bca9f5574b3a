// Where work is done: by this machine's threads, or by a CUDA device.
#pragma once

#ifdef EBM_CUDA
#include "cuda/device/cuda_stream.h"
#endif

namespace ebm {

/// Does work in the order in which it is given: the CPU at once, a CUDA device on a stream of its
/// own while the host goes on. What is given to a queue reads and writes memory where it computes.
/// So what is written for a queue runs on either.
class Queue {
 public:
  /// The CPU's.
  Queue() = default;

#ifdef EBM_CUDA
  /// A device's. The stream is borrowed.
  Queue(const CudaStream& stream) : stream_(&stream) {}  // NOLINT(google-explicit-constructor)
  Queue(CudaStream&&) = delete;

  bool on_cpu() const { return stream_ == nullptr; }
  /// Of a device's queue.
  const CudaStream& stream() const { return *stream_; }
  /// The host waits until all is done. Failures of a device's work are thrown here.
  void wait() const {
    if (!on_cpu()) {
      stream_->wait();
    }
  }

 private:
  const CudaStream* stream_ = nullptr;
#else
  bool on_cpu() const { return true; }
  void wait() const {}
#endif
};

}  // namespace ebm
