#include "cuda/nn/gpu/bias_activation.cuh"

#include "cuda/device/bfloat16.cuh"
#include "cuda/device/packs.cuh"
#include "cuda/kernels/leaky_relu.cuh"

namespace ebm {
namespace {

template <class T, int count>
struct BiasBody {
  std::int64_t channels;
  const float* bias;
  Epilogue epilogue;
  const T* other;
  T* y;

  EBM_HOST_DEVICE void operator()(std::int64_t row, std::int64_t pack) const {
    const std::int64_t channel = pack * count;
    const std::int64_t at = row * channels + channel;
    Floats<count> values = load_pack<count>(y + at);
    const Floats<count> others =
        epilogue == Epilogue::add ? load_pack<count>(other + at) : Floats<count>{};
    for (int k = 0; k < count; ++k) {
      const float sum = values.v[k] + bias[channel + k] + others.v[k];
      values.v[k] = epilogue == Epilogue::leaky_relu ? LeakyRelu{}(sum) : sum;
    }
    store_pack(y + at, values);
  }
};

template <class T, int count>
struct AddBody {
  const T* x;
  T* y;

  EBM_HOST_DEVICE void operator()(std::int64_t pack) const {
    const std::int64_t at = pack * count;
    const Floats<count> terms = load_pack<count>(x + at);
    Floats<count> sums = load_pack<count>(y + at);
    for (int k = 0; k < count; ++k) {
      sums.v[k] += terms.v[k];
    }
    store_pack(y + at, sums);
  }
};

}  // namespace

template <class T>
void bias_activation(const CudaStream& stream, std::int64_t rows, std::int64_t channels,
                     const float* bias, Epilogue epilogue, const T* other, T* y) {
  with_widest_pack<T>(
      channels,
      [&](auto width) {
        constexpr int kCount = decltype(width)::value;
        for_each_cell(stream, rows, channels / kCount,
                      BiasBody<T, kCount>{channels, bias, epilogue, other, y});
      },
      other, y);
}

template <class T>
void add(const CudaStream& stream, std::int64_t n, const T* x, T* y) {
  with_widest_pack<T>(
      n,
      [&](auto width) {
        constexpr int kCount = decltype(width)::value;
        for_each_index(stream, n / kCount, AddBody<T, kCount>{x, y});
      },
      x, y);
}

template void bias_activation(const CudaStream&, std::int64_t, std::int64_t, const float*, Epilogue,
                              const float*, float*);
template void bias_activation(const CudaStream&, std::int64_t, std::int64_t, const float*, Epilogue,
                              const Bfloat16*, Bfloat16*);
template void add(const CudaStream&, std::int64_t, const float*, float*);
template void add(const CudaStream&, std::int64_t, const Bfloat16*, Bfloat16*);

}  // namespace ebm
