#include "cuda/kernels/rows.cuh"

#include <stdexcept>
#include <string>

#include "cuda/device/launch.cuh"

namespace ebm {
namespace {

struct DrawBody {
  DistinctRows draw;
  std::uint32_t* rows;

  EBM_HOST_DEVICE void operator()(std::int64_t i) const {
    rows[i] = draw(static_cast<std::uint32_t>(i));
  }
};

struct GatherBody {
  const float* table;
  const std::uint32_t* rows;
  std::int64_t row_size;
  float* out;

  EBM_HOST_DEVICE void operator()(std::int64_t i) const {
    const float* from = table + rows[i] * row_size;
    for (std::int64_t k = 0; k < row_size; ++k) {
      out[i * row_size + k] = from[k];
    }
  }
};

struct ScatterBody {
  const float* in;
  const std::uint32_t* rows;
  std::int64_t row_size;
  float* table;

  EBM_HOST_DEVICE void operator()(std::int64_t i) const {
    float* to = table + rows[i] * row_size;
    for (std::int64_t k = 0; k < row_size; ++k) {
      to[k] = in[i * row_size + k];
    }
  }
};

}  // namespace

void draw_rows(const RandomStream& stream, std::uint32_t table_rows, std::int64_t count,
               std::uint32_t* rows) {
  if (count > table_rows) {
    throw std::invalid_argument("cannot draw " + std::to_string(count) + " distinct rows of " +
                                std::to_string(table_rows));
  }
  for_each_row(count, 1, DrawBody{DistinctRows(stream, table_rows), rows});
}

void gather_rows(const float* table, const std::uint32_t* rows, std::int64_t count,
                 std::int64_t row_size, float* out) {
  for_each_row(count, row_size, GatherBody{table, rows, row_size, out});
}

void scatter_rows(const float* in, const std::uint32_t* rows, std::int64_t count,
                  std::int64_t row_size, float* table) {
  for_each_row(count, row_size, ScatterBody{in, rows, row_size, table});
}

EBM_INSTANTIATE_FOR_DEVICE(DrawBody)
EBM_INSTANTIATE_FOR_DEVICE(GatherBody)
EBM_INSTANTIATE_FOR_DEVICE(ScatterBody)

}  // namespace ebm
