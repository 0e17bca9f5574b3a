#include "cuda/kernels/random_states.cuh"

#include "cuda/device/launch.cuh"
#include "cuda/random/normal.cuh"

namespace ebm {
namespace {

enum class Fill { uniform, normal, add_normal };

template <Fill fill>
struct FillBody {
  RandomStream stream;
  float scale;
  std::int64_t row_size;
  float* states;

  EBM_HOST_DEVICE void operator()(std::int64_t row) const {
    float* x = states + row * row_size;
    for (std::int64_t begin = 0; begin < row_size; begin += 4) {
      const Words4 words =
          stream.words(0, static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(begin / 4));
      Floats4 z{};
      if constexpr (fill == Fill::uniform) {
        for (int k = 0; k < 4; ++k) {
          z.v[k] = uniform_symmetric(words.v[k]);
        }
      } else {
        z = normals(words);
      }
      for (std::int64_t k = 0; k < 4 && begin + k < row_size; ++k) {
        x[begin + k] = (fill == Fill::add_normal ? x[begin + k] : 0.0F) + scale * z.v[k];
      }
    }
  }
};

}  // namespace

void fill_uniform(const RandomStream& stream, float scale, std::int64_t count,
                  std::int64_t row_size, float* states) {
  for_each_row(count, row_size, FillBody<Fill::uniform>{stream, scale, row_size, states});
}

void fill_normal(const RandomStream& stream, float scale, std::int64_t count, std::int64_t row_size,
                 float* states) {
  for_each_row(count, row_size, FillBody<Fill::normal>{stream, scale, row_size, states});
}

void add_normal(const RandomStream& stream, float scale, std::int64_t count, std::int64_t row_size,
                float* states) {
  for_each_row(count, row_size, FillBody<Fill::add_normal>{stream, scale, row_size, states});
}

EBM_INSTANTIATE_FOR_DEVICE(FillBody<Fill::uniform>)
EBM_INSTANTIATE_FOR_DEVICE(FillBody<Fill::normal>)
EBM_INSTANTIATE_FOR_DEVICE(FillBody<Fill::add_normal>)

}  // namespace ebm
