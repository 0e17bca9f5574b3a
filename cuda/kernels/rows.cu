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

  EBM_HOST_DEVICE void operator()(std::int64_t i, std::int64_t k) const {
    out[i * row_size + k] = table[rows[i] * row_size + k];
  }
};

struct ScatterBody {
  const float* in;
  const std::uint32_t* rows;
  std::int64_t row_size;
  float* table;

  EBM_HOST_DEVICE void operator()(std::int64_t i, std::int64_t k) const {
    table[rows[i] * row_size + k] = in[i * row_size + k];
  }
};

}  // namespace

void draw_rows(const Queue& queue, const RandomStream& stream, std::uint32_t table_rows,
               std::int64_t count, std::uint32_t* rows) {
  if (count > table_rows) {
    throw std::invalid_argument("cannot draw " + std::to_string(count) + " distinct rows of " +
                                std::to_string(table_rows));
  }
  for_each_index(queue, count, DrawBody{DistinctRows(stream, table_rows), rows});
}

void gather_rows(const Queue& queue, const float* table, const std::uint32_t* rows,
                 std::int64_t count, std::int64_t row_size, float* out) {
  for_each_in_rows(queue, count, row_size, GatherBody{table, rows, row_size, out});
}

void scatter_rows(const Queue& queue, const float* in, const std::uint32_t* rows,
                  std::int64_t count, std::int64_t row_size, float* table,
                  const std::uint32_t* stopped) {
  for_each_in_rows(queue, count, row_size, ScatterBody{in, rows, row_size, table}, stopped);
}

}  // namespace ebm
