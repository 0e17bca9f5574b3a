#include "host/data/make_batches.h"

namespace ebm {

std::unique_ptr<DataBatches> make_batches(const Queue& queue, std::uint64_t seed,
                                          const DataConfig& data, const ImageDataset& images) {
  if (data.is_toy()) {
    return std::make_unique<ToyBatches>(queue, seed,
                                        ToyDraw{.rings = data.kind == DataKind::rings,
                                                .groups = data.groups,
                                                .sd = static_cast<float>(data.sd),
                                                .radius = static_cast<float>(data.radius)});
  }
  return std::make_unique<ImageBatches>(
      queue, seed, images.images, std::int64_t{images.channels} * images.height * images.width,
      static_cast<float>(data.noise));
}

ToyDensity toy_density(const DataConfig& data) {
  return {.kind = data.kind == DataKind::rings ? ToyDensity::Kind::rings : ToyDensity::Kind::gmm,
          .groups = data.groups,
          .sd = data.sd,
          .radius = data.radius};
}

}  // namespace ebm
