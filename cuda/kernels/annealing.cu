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

}  // namespace

void add_weighted_energies(const Queue& queue, const float* energies, const double* factors,
                           std::int64_t steps, std::int64_t chains, double* log_weights) {
  for_each_index(queue, chains, AddBody{energies, factors, steps, chains, log_weights});
}

}  // namespace ebm
