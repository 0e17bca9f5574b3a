#include "cuda/kernels/toy_data.cuh"

#include "cuda/device/launch.cuh"

namespace ebm {
namespace {

struct ToyDataBody {
  ToyDraw draw;
  RandomStream stream;
  float* points;
  std::int64_t first;

  EBM_HOST_DEVICE void operator()(std::int64_t i) const {
    const auto row = static_cast<std::uint32_t>(first + i);
    draw(stream.words(0, row, 0), stream.words(0, row, 1), points + 2 * i);
  }
};

}  // namespace

void draw_toy_data(const Queue& queue, const ToyDraw& draw, const RandomStream& stream,
                   const Shard& shard, float* points) {
  for_each_index(queue, shard.count, ToyDataBody{draw, stream, points, shard.first});
}

}  // namespace ebm
