#include "cuda/nn/layers/avg_pool.cuh"

#include "cuda/base/cpu_clones.h"
#include "cuda/device/launch.cuh"
#include "cuda/nn/lowering.h"
#include "cuda/nn/plain_operation.h"
#ifdef __CUDACC__
#include "cuda/device/packs.cuh"
#endif

namespace ebm {

/// Images of pixels × channels; height and width are the output's.
struct AvgPoolShape {
  std::int64_t images = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t channels = 0;
  std::int64_t kernel = 1;

  /// Where channel 0 of a window's pixel (i, j) is in the input; `pixel` counts the outputs of all
  /// images.
  EBM_HOST_DEVICE std::int64_t input(std::int64_t pixel, std::int64_t i, std::int64_t j) const {
    const std::int64_t row = pixel / width;  // of all images
    const std::int64_t column = pixel % width;
    return ((row * kernel + i) * width * kernel + column * kernel + j) * channels;
  }
  EBM_HOST_DEVICE float share() const { return 1.0F / static_cast<float>(kernel * kernel); }
  std::int64_t outputs() const { return images * height * width; }
};

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

#ifdef EBM_CUDA
template <class T>
void avg_pool_forward(const CudaStream& stream, const AvgPoolShape& shape, const T* x, T* y) {
  for_each_cell(stream, shape.outputs(), shape.channels, AvgPoolBody<T>{shape, x, y});
}

template <class T>
void avg_pool_backward(const CudaStream& stream, const AvgPoolShape& shape, const T* dy, T* dx) {
  for_each_cell(stream, shape.outputs(), shape.channels, AvgPoolGradientBody<T>{shape, dy, dx});
}
#endif

}  // namespace

template <class T>
class AvgPoolOperation {
 public:
  explicit AvgPoolOperation(const PlainBatch<T>& batch)
      : queue_(batch.queue),
        shape_{.images = batch.images,
               .height = batch.operation.out.height,
               .width = batch.operation.out.width,
               .channels = batch.operation.out.channels,
               .kernel = batch.operation.kernel},
        memory_(batch.memory) {}

  void forward() {
    launch_on<T>(queue_, [this](const auto&... stream) {
      avg_pool_forward(stream..., shape_, memory_.x, memory_.y);
    });
  }
  void backward() {
    launch_on<T>(queue_, [this](const auto&... stream) {
      avg_pool_backward(stream..., shape_, memory_.dy, memory_.dx);
    });
  }

 private:
  Queue queue_;
  AvgPoolShape shape_;
  OperationMemory<T> memory_;
};

constinit const LayerType kAvgPoolLayer = {
    .name = "avg_pool", .keys = kKeys, .out_shape = averaged, .lower = lower_avg_pool};
constinit const OperationType kAvgPool = plain_operation<AvgPoolOperation>("avg_pool");

}  // namespace ebm
