#include "cuda/kernels/random_states.cuh"

#include "cuda/base/ceil_div.h"
#include "cuda/device/launch.cuh"
#include "cuda/random/normal.cuh"

namespace ebm {
namespace {

enum class Fill { uniform, normal, add_normal };

/// Components 4·group … 4·group+3 of a row.
template <Fill fill>
struct FillBody {
  RandomStream stream;
  float scale;
  std::int64_t row_size;
  float* states;
  std::int64_t first_row;
  float centre = 0;

  EBM_HOST_DEVICE void operator()(std::int64_t row, std::int64_t group) const {
    float* x = states + row * row_size + 4 * group;
    const Words4 words = stream.words(0, static_cast<std::uint32_t>(first_row + row),
                                      static_cast<std::uint32_t>(group));
    Floats4 z{};
    if constexpr (fill == Fill::uniform) {
      for (int k = 0; k < 4; ++k) {
        z.v[k] = uniform_symmetric(words.v[k]);
      }
    } else {
      z = normals(words);
    }
    for (std::int64_t k = 0; k < 4 && 4 * group + k < row_size; ++k) {
      x[k] = (fill == Fill::add_normal ? x[k] : centre) + scale * z.v[k];
    }
  }
};

template <Fill fill>
void run(const Queue& queue, const Shard& rows, const FillBody<fill>& body) {
  for_each_in_rows(queue, rows.count, ceil_div(body.row_size, 4), body);
}

}  // namespace

void fill_uniform(const Queue& queue, const RandomStream& stream, float scale, const Shard& rows,
                  std::int64_t row_size, float* states) {
  run(queue, rows, FillBody<Fill::uniform>{stream, scale, row_size, states, rows.first});
}

void fill_box(const Queue& queue, const RandomStream& stream, float low, float high,
              const Shard& rows, std::int64_t row_size, float* states) {
  run(queue, rows,
      FillBody<Fill::uniform>{stream, (high - low) / 2, row_size, states, rows.first,
                              (low + high) / 2});
}

void fill_normal(const Queue& queue, const RandomStream& stream, float scale, const Shard& rows,
                 std::int64_t row_size, float* states) {
  run(queue, rows, FillBody<Fill::normal>{stream, scale, row_size, states, rows.first});
}

void add_normal(const Queue& queue, const RandomStream& stream, float scale, const Shard& rows,
                std::int64_t row_size, float* states) {
  run(queue, rows, FillBody<Fill::add_normal>{stream, scale, row_size, states, rows.first});
}

}  // namespace ebm
