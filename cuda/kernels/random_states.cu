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
    for (std::int64_t group = 0; 4 * group < row_size; ++group) {
      fill_group(row, group);
    }
  }

  /// Components 4·group … 4·group+3 of a row.
  EBM_HOST_DEVICE void fill_group(std::int64_t row, std::int64_t group) const {
    float* x = states + row * row_size + 4 * group;
    const Words4 words =
        stream.words(0, static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(group));
    Floats4 z{};
    if constexpr (fill == Fill::uniform) {
      for (int k = 0; k < 4; ++k) {
        z.v[k] = uniform_symmetric(words.v[k]);
      }
    } else {
      z = normals(words);
    }
    for (std::int64_t k = 0; k < 4 && 4 * group + k < row_size; ++k) {
      x[k] = (fill == Fill::add_normal ? x[k] : 0.0F) + scale * z.v[k];
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

#ifdef __CUDACC__
namespace {

/// A thread for every group of four components.
template <Fill fill>
struct FillGroupBody {
  FillBody<fill> rows;
  std::int64_t groups;  // of a row

  EBM_HOST_DEVICE void operator()(std::int64_t i) const { rows.fill_group(i / groups, i % groups); }
};

template <Fill fill>
void launch(const CudaStream& stream, std::int64_t count, const FillBody<fill>& rows) {
  const std::int64_t groups = (rows.row_size + 3) / 4;
  for_each_index(stream, count * groups, FillGroupBody<fill>{rows, groups});
}

}  // namespace

void fill_uniform(const CudaStream& stream, const RandomStream& random, float scale,
                  std::int64_t count, std::int64_t row_size, float* states) {
  launch(stream, count, FillBody<Fill::uniform>{random, scale, row_size, states});
}

void fill_normal(const CudaStream& stream, const RandomStream& random, float scale,
                 std::int64_t count, std::int64_t row_size, float* states) {
  launch(stream, count, FillBody<Fill::normal>{random, scale, row_size, states});
}

void add_normal(const CudaStream& stream, const RandomStream& random, float scale,
                std::int64_t count, std::int64_t row_size, float* states) {
  launch(stream, count, FillBody<Fill::add_normal>{random, scale, row_size, states});
}
#endif

}  // namespace ebm
