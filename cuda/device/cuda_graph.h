// Work captured once and replayed with one call. In builds with CUDA only.
#pragma once

#include <cuda_runtime_api.h>

#include "cuda/device/cuda_handle.h"
#include "cuda/device/cuda_status.h"
#include "cuda/device/cuda_stream.h"

namespace ebm {

/// An executable graph. What it was captured with (addresses, sizes, numbers passed by value) is
/// part of it; the memory it uses must outlive it.
class CudaGraph {
 public:
  /// Captures what `enqueue()` puts on the stream; nothing of it runs. Inside, the host must
  /// neither wait nor allocate other than by stream. An exception ends the capture and goes on.
  template <class Enqueue>
  static CudaGraph capture(const CudaStream& stream, const Enqueue& enqueue) {
    EBM_CHECK_CUDA(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal));
    try {
      enqueue();
    } catch (...) {
      cudaGraph_t dropped = nullptr;
      static_cast<void>(cudaStreamEndCapture(stream.get(), &dropped));
      const Captured owner(dropped);
      static_cast<void>(cudaGetLastError());  // or the next launch would be blamed for it
      throw;
    }
    cudaGraph_t graph = nullptr;
    EBM_CHECK_CUDA(cudaStreamEndCapture(stream.get(), &graph));
    const Captured owner(graph);
    cudaGraphExec_t executable = nullptr;
    EBM_CHECK_CUDA(cudaGraphInstantiate(&executable, graph, 0));
    return CudaGraph(executable);
  }

  /// Enqueues the work once more.
  void launch(const CudaStream& stream) const {
    EBM_CHECK_CUDA(cudaGraphLaunch(executable_.get(), stream.get()));
  }

 private:
  using Captured = CudaHandle<cudaGraph_t, cudaGraphDestroy>;
  explicit CudaGraph(cudaGraphExec_t executable) : executable_(executable) {}

  CudaHandle<cudaGraphExec_t, cudaGraphExecDestroy> executable_;
};

}  // namespace ebm
