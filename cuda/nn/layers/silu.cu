#include "cuda/nn/layers/silu.cuh"

#include "cuda/base/cpu_clones.h"
#include "cuda/kernels/elementwise.cuh"
#include "cuda/nn/lowering.h"
#include "cuda/nn/plain_operation.h"

namespace ebm {
namespace {

EBM_CPU_CLONES void silu_forward(std::int64_t n, const float* x, float* y) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    y[i] = Silu{}(x[i]);
  }
}

EBM_CPU_CLONES void silu_backward(std::int64_t n, const float* x, const float* dy, float* dx) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    dx[i] = Silu{}.gradient(x[i], dy[i]);
  }
}

#ifdef EBM_CUDA
template <class T>
void silu_forward(const CudaStream& stream, std::int64_t n, const T* x, T* y) {
  apply(stream, Silu{}, n, x, y);
}

template <class T>
void silu_backward(const CudaStream& stream, std::int64_t n, const T* x, const T* dy, T* dx) {
  apply_gradient(stream, Silu{}, n, x, dy, dx);
}
#endif

}  // namespace

template <class T>
class SiluOperation {
 public:
  explicit SiluOperation(const PlainBatch<T>& batch)
      : queue_(batch.queue), values_(batch.inputs()), memory_(batch.memory) {}

  void forward() {
    launch_on<T>(queue_, [this](const auto&... stream) {
      silu_forward(stream..., values_, memory_.x, memory_.y);
    });
  }
  void backward() {
    launch_on<T>(queue_, [this](const auto&... stream) {
      silu_backward(stream..., values_, memory_.x, memory_.dy, memory_.dx);
    });
  }

 private:
  Queue queue_;
  std::int64_t values_;
  OperationMemory<T> memory_;
};

Shape unchanged(const Layer& /*layer*/, const Shape& in) { return in; }

void lower_silu(const Layer& layer, const Shape& in, Lowering& to) { to.add(kSilu, layer, in, in); }

constinit const LayerType kSiluLayer = {
    .name = "silu", .out_shape = unchanged, .lower = lower_silu};
constinit const OperationType kSilu = plain_operation<SiluOperation>("silu");

}  // namespace ebm
