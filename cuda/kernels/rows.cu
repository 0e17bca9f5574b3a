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

  EBM_HOST_DEVICE void copy(std::int64_t i, std::int64_t k) const {
    out[i * row_size + k] = table[rows[i] * row_size + k];
  }
};

struct ScatterBody {
  const float* in;
  const std::uint32_t* rows;
  std::int64_t row_size;
  float* table;

  EBM_HOST_DEVICE void copy(std::int64_t i, std::int64_t k) const {
    table[rows[i] * row_size + k] = in[i * row_size + k];
  }
};

/// A whole row of a GatherBody or ScatterBody.
template <class Body>
struct WholeRow {
  Body body;

  EBM_HOST_DEVICE void operator()(std::int64_t i) const {
    for (std::int64_t k = 0; k < body.row_size; ++k) {
      body.copy(i, k);
    }
  }
};

void require_distinct_rows(std::int64_t count, std::uint32_t table_rows) {
  if (count > table_rows) {
    throw std::invalid_argument("cannot draw " + std::to_string(count) + " distinct rows of " +
                                std::to_string(table_rows));
  }
}

}  // namespace

void draw_rows(const RandomStream& stream, std::uint32_t table_rows, std::int64_t count,
               std::uint32_t* rows) {
  require_distinct_rows(count, table_rows);
  for_each_row(count, 1, DrawBody{DistinctRows(stream, table_rows), rows});
}

void gather_rows(const float* table, const std::uint32_t* rows, std::int64_t count,
                 std::int64_t row_size, float* out) {
  for_each_row(count, row_size, WholeRow<GatherBody>{{table, rows, row_size, out}});
}

void scatter_rows(const float* in, const std::uint32_t* rows, std::int64_t count,
                  std::int64_t row_size, float* table) {
  for_each_row(count, row_size, WholeRow<ScatterBody>{{in, rows, row_size, table}});
}

#ifdef __CUDACC__
namespace {

/// One value of a GatherBody or ScatterBody.
template <class Body>
struct OneValue {
  Body body;

  EBM_HOST_DEVICE void operator()(std::int64_t i) const {
    body.copy(i / body.row_size, i % body.row_size);
  }
};

}  // namespace

void draw_rows(const CudaStream& stream, const RandomStream& random, std::uint32_t table_rows,
               std::int64_t count, std::uint32_t* rows) {
  require_distinct_rows(count, table_rows);
  for_each_index(stream, count, DrawBody{DistinctRows(random, table_rows), rows});
}

void gather_rows(const CudaStream& stream, const float* table, const std::uint32_t* rows,
                 std::int64_t count, std::int64_t row_size, float* out) {
  for_each_index(stream, count * row_size, OneValue<GatherBody>{{table, rows, row_size, out}});
}

void scatter_rows(const CudaStream& stream, const float* in, const std::uint32_t* rows,
                  std::int64_t count, std::int64_t row_size, float* table,
                  const std::uint32_t* stopped) {
  for_each_index(stream, count * row_size,
                 UnlessStopped<OneValue<ScatterBody>>{stopped, {{in, rows, row_size, table}}});
}
#endif

}  // namespace ebm
