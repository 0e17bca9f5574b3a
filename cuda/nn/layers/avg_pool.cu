#include "cuda/nn/layers/avg_pool.cuh"

#include "cuda/base/cpu_clones.h"
#include "cuda/device/launch.cuh"
#include "cuda/nn/cpu/cpu_operation.h"
#include "cuda/nn/lowering.h"
#ifdef EBM_CUDA
#include "cuda/nn/gpu/gpu_operation.h"
#endif
#ifdef __CUDACC__
#include "cuda/device/bfloat16.cuh"
#include "cuda/device/packs.cuh"
#endif

namespace ebm {
namespace {

constexpr LayerKey kKeys[] = {{.name = "kernel",
                               .about = "pixels a side, which do not overlap",
                               .value = &Layer::kernel,
                               .highest = 1024,
                               .fallback = 2}};

Shape averaged(const Layer& layer, const Shape& in) {
  require_fit(layer.kernel >= 1 && in.height % layer.kernel == 0 && in.width % layer.kernel == 0,
              "needs a height and a width that are multiples of its kernel");
  return {in.channels, in.height / layer.kernel, in.width / layer.kernel};
}

void lower_avg_pool(const Layer& layer, const Shape& in, Lowering& to) {
  to.add(kAvgPool, layer, in, averaged(layer, in));
}

AvgPoolShape pool_shape(const Operation& operation, int images) {
  return {.images = images,
          .height = operation.out.height,
          .width = operation.out.width,
          .channels = operation.out.channels,
          .kernel = operation.kernel};
}

/// y of a pixel and channel: the mean of its window.
template <class T>
struct AvgPoolBody {
  AvgPoolShape shape;
  const T* x;
  T* y;

  EBM_HOST_DEVICE void operator()(std::int64_t pixel, std::int64_t channel) const {
    float sum = 0;
    for (std::int64_t i = 0; i < shape.kernel; ++i) {
      for (std::int64_t j = 0; j < shape.kernel; ++j) {
        sum += static_cast<float>(x[shape.input(pixel, i, j) + channel]);
      }
    }
    y[pixel * shape.channels + channel] = static_cast<T>(sum * shape.share());
  }
};

/// dx of a pixel's whole window, of one channel.
template <class T>
struct AvgPoolGradientBody {
  AvgPoolShape shape;
  const T* dy;
  T* dx;

  EBM_HOST_DEVICE void operator()(std::int64_t pixel, std::int64_t channel) const {
    const float gradient = static_cast<float>(dy[pixel * shape.channels + channel]) * shape.share();
    for (std::int64_t i = 0; i < shape.kernel; ++i) {
      for (std::int64_t j = 0; j < shape.kernel; ++j) {
        dx[shape.input(pixel, i, j) + channel] = static_cast<T>(gradient);
      }
    }
  }
};

EBM_CPU_CLONES void avg_pool_forward(const AvgPoolShape& shape, const float* x, float* y) {
  const AvgPoolBody<float> body{shape, x, y};
  for (std::int64_t pixel = 0; pixel < shape.outputs(); ++pixel) {
#pragma omp simd
    for (std::int64_t channel = 0; channel < shape.channels; ++channel) {
      body(pixel, channel);
    }
  }
}

EBM_CPU_CLONES void avg_pool_backward(const AvgPoolShape& shape, const float* dy, float* dx) {
  const AvgPoolGradientBody<float> body{shape, dy, dx};
  for (std::int64_t pixel = 0; pixel < shape.outputs(); ++pixel) {
#pragma omp simd
    for (std::int64_t channel = 0; channel < shape.channels; ++channel) {
      body(pixel, channel);
    }
  }
}

class CpuAvgPool final : public CpuOperation {
 public:
  CpuAvgPool(const Operation& operation, const CpuTile& tile, const CpuMemory& memory)
      : shape_(pool_shape(operation, tile.chains)), memory_(memory) {}

  void forward() override { avg_pool_forward(shape_, memory_.x, memory_.y); }
  void backward() override { avg_pool_backward(shape_, memory_.dy, memory_.dx); }

 private:
  AvgPoolShape shape_;
  CpuMemory memory_;
};

#ifdef EBM_CUDA
template <class T>
class GpuAvgPool final : public GpuOperation {
 public:
  GpuAvgPool(const GpuBatch& batch, const Operation& operation, const GpuMemory<T>& memory)
      : stream_(batch.stream), shape_(pool_shape(operation, batch.images)), memory_(memory) {}

  void forward() override {
    for_each_cell(stream_, shape_.outputs(), shape_.channels,
                  AvgPoolBody<T>{shape_, memory_.x, memory_.y});
  }
  void backward() override {
    for_each_cell(stream_, shape_.outputs(), shape_.channels,
                  AvgPoolGradientBody<T>{shape_, memory_.dy, memory_.dx});
  }

 private:
  const CudaStream& stream_;
  AvgPoolShape shape_;
  GpuMemory<T> memory_;
};

constexpr GpuFactory kGpuAvgPool = gpu_factory<GpuAvgPool>();
#endif

}  // namespace

constinit const LayerType kAvgPoolLayer = {
    .name = "avg_pool", .keys = kKeys, .out_shape = averaged, .lower = lower_avg_pool};

constinit const OperationType kAvgPool = {
    .name = "avg_pool",
    .plan_for_cpu = plan_without_parameters<CpuAvgPool>,
#ifdef EBM_CUDA
    .gpu = &kGpuAvgPool,
#endif
};

}  // namespace ebm
