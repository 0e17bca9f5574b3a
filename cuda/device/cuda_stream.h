// Streams and events of the current device. In builds with CUDA only.
#pragma once

#include <cuda_runtime_api.h>

#include "cuda/device/cuda_handle.h"
#include "cuda/device/cuda_status.h"

namespace ebm {

/// A point in a stream's work, for waiting and for measuring.
class CudaEvent {
 public:
  CudaEvent() : event_(create()) {}

  cudaEvent_t get() const { return event_.get(); }
  /// The host waits until the work before the recorded point is done.
  void wait() const { EBM_CHECK_CUDA(cudaEventSynchronize(get())); }
  /// Milliseconds from `begin` to this event; both are recorded and done.
  float milliseconds_since(const CudaEvent& begin) const {
    float milliseconds = 0;
    EBM_CHECK_CUDA(cudaEventElapsedTime(&milliseconds, begin.get(), get()));
    return milliseconds;
  }

 private:
  static cudaEvent_t create() {
    cudaEvent_t event = nullptr;
    EBM_CHECK_CUDA(cudaEventCreate(&event));
    return event;
  }
  CudaHandle<cudaEvent_t, cudaEventDestroy> event_;
};

/// Work that the device does in order. Waits for no other stream, the default one included, unless
/// told to.
class CudaStream {
 public:
  CudaStream() : stream_(create()) {}

  cudaStream_t get() const { return stream_.get(); }
  /// The host waits until all work enqueued so far is done. Failures of that work are thrown here.
  void wait() const { EBM_CHECK_CUDA(cudaStreamSynchronize(get())); }
  void record(const CudaEvent& event) const { EBM_CHECK_CUDA(cudaEventRecord(event.get(), get())); }
  /// Work enqueued from here on waits for the event; the host does not.
  void wait_for(const CudaEvent& event) const {
    EBM_CHECK_CUDA(cudaStreamWaitEvent(get(), event.get(), 0));
  }

 private:
  static cudaStream_t create() {
    cudaStream_t stream = nullptr;
    EBM_CHECK_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    return stream;
  }
  CudaHandle<cudaStream_t, cudaStreamDestroy> stream_;
};

}  // namespace ebm
