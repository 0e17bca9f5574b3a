#include "cuda/nn/layers/residual.cuh"

#include "cuda/base/cpu_clones.h"
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

Shape residual_out_shape(const Layer& layer, const Shape& in) {
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

class CpuFork final : public CpuOperation {
 public:
  CpuFork(const Operation& operation, const CpuTile& tile, const CpuMemory& memory)
      : values_(tile.chains * operation.in.size()), memory_(memory) {}

  void forward() override {}
  void backward() override { sum(values_, memory_.dy, memory_.skip_dy, memory_.dx); }

 private:
  std::int64_t values_;
  CpuMemory memory_;
};

class CpuJoin final : public CpuOperation {
 public:
  CpuJoin(const Operation& operation, const CpuTile& tile, const CpuMemory& memory)
      : values_(tile.chains * operation.in.size()), memory_(memory) {}

  void forward() override { sum(values_, memory_.x, memory_.skip, memory_.y); }
  void backward() override {}

 private:
  std::int64_t values_;
  CpuMemory memory_;
};

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

template <class T>
class GpuFork final : public GpuOperation {
 public:
  GpuFork(const GpuBatch& batch, const Operation& operation, const GpuMemory<T>& memory)
      : stream_(batch.stream), values_(batch.images * operation.in.size()), memory_(memory) {}

  void forward() override {}
  void backward() override { sum<T>(stream_, values_, memory_.dy, memory_.skip_dy, memory_.dx); }

 private:
  const CudaStream& stream_;
  std::int64_t values_;
  GpuMemory<T> memory_;
};

template <class T>
class GpuJoin final : public GpuOperation {
 public:
  GpuJoin(const GpuBatch& batch, const Operation& operation, const GpuMemory<T>& memory)
      : stream_(batch.stream), values_(batch.images * operation.in.size()), memory_(memory) {}

  void forward() override { sum(stream_, values_, memory_.x, memory_.skip, memory_.y); }
  void backward() override {}

 private:
  const CudaStream& stream_;
  std::int64_t values_;
  GpuMemory<T> memory_;
};

constexpr GpuFactory kGpuFork = gpu_factory<GpuFork>();
constexpr GpuFactory kGpuJoin = gpu_factory<GpuJoin>();
#endif

}  // namespace

constinit const LayerType kResidualLayer = {.name = "residual",
                                            .holds_layers = true,
                                            .out_shape = residual_out_shape,
                                            .add_parameters = add_residual_parameters,
                                            .lower = lower_residual};

constinit const OperationType kFork = {
    .name = "fork",
    .plan_for_cpu = plan_without_parameters<CpuFork>,
#ifdef EBM_CUDA
    .gpu = &kGpuFork,
#endif
};

constinit const OperationType kJoin = {
    .name = "join",
    .plan_for_cpu = plan_without_parameters<CpuJoin>,
#ifdef EBM_CUDA
    .gpu = &kGpuJoin,
#endif
};

}  // namespace ebm
