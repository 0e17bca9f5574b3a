#include "cuda/nn/layers/residual.cuh"

#include "cuda/base/cpu_clones.h"
#include "cuda/nn/lowering.h"
#include "cuda/nn/plain_operation.h"
#ifdef __CUDACC__
#include "cuda/device/packs.cuh"
#endif

namespace ebm {
namespace {

Shape residual_out_shape(const Layer& layer, const Shape& in) {
  require_fit(!layer.layers.empty(), "needs layers, a list of at least one");
  const Shape out = shape_behind(layer.layers, in);
  if (out != in) {
    throw std::invalid_argument("its layers give " + to_string(out) +
                                ", which cannot be added to its input");
  }
  return in;
}

void add_residual_parameters(const Layer& layer, const Shape& in, ParameterList& to) {
  Shape shape = in;
  for (const Layer& inner : layer.layers) {
    if (inner.type->add_parameters != nullptr) {
      inner.type->add_parameters(inner, shape, to);
    }
    shape = inner.type->out_shape(inner, shape);
  }
}

void lower_residual(const Layer& layer, const Shape& in, Lowering& to) {
  to.add(kFork, layer, in, in);
  to.add_layers(layer.layers, in);
  to.add(kJoin, layer, in, in);
}

EBM_CPU_CLONES void sum(std::int64_t n, const float* a, const float* b, float* to) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    to[i] = a[i] + b[i];
  }
}

#ifdef EBM_CUDA
template <class T, int count>
struct SumBody {
  const T* a;
  const T* b;
  T* to;

  EBM_HOST_DEVICE void operator()(std::int64_t pack) const {
    Floats<count> sums = load_pack<count>(a + pack * count);
    const Floats<count> terms = load_pack<count>(b + pack * count);
    for (int k = 0; k < count; ++k) {
      sums.v[k] += terms.v[k];
    }
    store_pack(to + pack * count, sums);
  }
};

template <class T>
void sum(const CudaStream& stream, std::int64_t n, const T* a, const T* b, T* to) {
  with_widest_pack<T>(
      n,
      [&](auto width) {
        constexpr int kCount = decltype(width)::value;
        for_each_index(stream, n / kCount, SumBody<T, kCount>{a, b, to});
      },
      a, b, to);
}

#endif

/// to = a + b, all as large as the operation's input.
template <class T>
void sum_on(const PlainBatch<T>& batch, const T* a, const T* b, T* to) {
  launch_on<T>(batch.queue,
               [&](const auto&... stream) { sum(stream..., batch.inputs(), a, b, to); });
}

}  // namespace

template <class T>
class ForkOperation {
 public:
  explicit ForkOperation(const PlainBatch<T>& batch) : batch_(batch) {}

  void forward() {}
  void backward() { sum_on<T>(batch_, batch_.memory.dy, batch_.memory.skip_dy, batch_.memory.dx); }

 private:
  PlainBatch<T> batch_;
};

template <class T>
class JoinOperation {
 public:
  explicit JoinOperation(const PlainBatch<T>& batch) : batch_(batch) {}

  void forward() { sum_on<T>(batch_, batch_.memory.x, batch_.memory.skip, batch_.memory.y); }
  void backward() {}

 private:
  PlainBatch<T> batch_;
};

constinit const LayerType kResidualLayer = {.name = "residual",
                                            .holds_layers = true,
                                            .out_shape = residual_out_shape,
                                            .add_parameters = add_residual_parameters,
                                            .lower = lower_residual};

constinit const OperationType kFork = plain_operation<ForkOperation>("fork");
constinit const OperationType kJoin = plain_operation<JoinOperation>("join");

}  // namespace ebm
