#include "cuda/kernels/toy_data.cuh"

#include "cuda/device/launch.cuh"

namespace ebm {
namespace {

struct ToyDataBody {
  ToyDraw draw;
  RandomStream stream;
  float* points;

  EBM_HOST_DEVICE void operator()(std::int64_t i) const {
    const auto row = static_cast<std::uint32_t>(i);
    draw(stream.words(0, row, 0), stream.words(0, row, 1), points + 2 * i);
  }
};

}  // namespace

void draw_toy_data(const ToyDraw& draw, const RandomStream& stream, std::int64_t count,
                   float* points) {
  for_each_row(count, 2, ToyDataBody{draw, stream, points});
}

#ifdef __CUDACC__
void draw_toy_data(const CudaStream& stream, const ToyDraw& draw, const RandomStream& random,
                   std::int64_t count, float* points) {
  for_each_index(stream, count, ToyDataBody{draw, random, points});
}
#endif

}  // namespace ebm
