#include "cuda/device/launch.cuh"
#include "cuda/kernels/projections.cuh"

namespace ebm {
namespace {

/// One row's projection on one direction.
struct ProjectBody {
  const float* states;
  std::int64_t size;
  const float* directions;
  std::int64_t count;
  float* projections;  // rows × count

  EBM_HOST_DEVICE void operator()(std::int64_t i) const {
    const float* const state = states + i / count * size;
    const float* const direction = directions + i % count * size;
    double sum = 0;
    for (std::int64_t k = 0; k < size; ++k) {
      sum += static_cast<double>(state[k]) * static_cast<double>(direction[k]);
    }
    projections[i] = static_cast<float>(sum);
  }
};

}  // namespace

void project_states(const Queue& queue, const float* states, std::int64_t rows, std::int64_t size,
                    const float* directions, std::int64_t count, float* projections) {
  for_each_index(queue, rows * count, ProjectBody{states, size, directions, count, projections});
}

}  // namespace ebm
