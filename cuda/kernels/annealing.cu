#include "cuda/kernels/annealing.cuh"

#include "cuda/device/launch.cuh"

namespace ebm {
namespace {

/// log w += Σ_steps factor·U, of chain c.
struct AddBody {
  const float* energies;  // steps × chains
  const double* factors;
  std::int64_t steps;
  std::int64_t chains;
  double* log_weights;

  EBM_HOST_DEVICE void operator()(std::int64_t c) const {
    double sum = log_weights[c];
    for (std::int64_t step = 0; step < steps; ++step) {
      sum += factors[step] * static_cast<double>(energies[step * chains + c]);
    }
    log_weights[c] = sum;
  }
};

struct CopyBody {
  const std::uint32_t* moves;
  const float* from;
  std::int64_t row_size;
  float* to;

  EBM_HOST_DEVICE void operator()(std::int64_t row, std::int64_t k) const {
    if (moves[row] != 0) {
      to[row * row_size + k] = from[row * row_size + k];
    }
  }
};

}  // namespace

void add_weighted_energies(const Queue& queue, const float* energies, const double* factors,
                           std::int64_t steps, std::int64_t chains, double* log_weights) {
  for_each_index(queue, chains, AddBody{energies, factors, steps, chains, log_weights});
}

void copy_some_rows(const Queue& queue, const std::uint32_t* moves, const float* from,
                    std::int64_t rows, std::int64_t row_size, float* to) {
  for_each_in_rows(queue, rows, row_size, CopyBody{moves, from, row_size, to});
}

}  // namespace ebm
