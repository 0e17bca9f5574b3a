#include "cuda/mcmc/data_batches.h"

#include <iterator>

#include "cuda/kernels/random_states.cuh"
#include "cuda/kernels/rows.cuh"

namespace ebm {

Purpose rows_purpose(DataUse use) {
  switch (use) {
    case DataUse::batch:
      return Purpose::data_rows;
    case DataUse::initial_states:
      return Purpose::initial_rows;
    case DataUse::longrun:
      return Purpose::longrun_rows;
    case DataUse::landscape:
      return Purpose::landscape_rows;
    case DataUse::sampling:
      return Purpose::sampling_rows;
  }
  return Purpose::data_rows;
}

namespace {

Purpose noise_purpose(DataUse use) {
  switch (use) {
    case DataUse::batch:
      return Purpose::data_noise;
    case DataUse::initial_states:
      return Purpose::initial_noise;
    case DataUse::longrun:
      return Purpose::longrun_noise;
    case DataUse::landscape:  // of toy densities, which have no noise added
    case DataUse::sampling:
      return Purpose::sampling_noise;
  }
  return Purpose::data_noise;
}

}  // namespace

void ToyBatches::draw(DataUse use, std::uint32_t iteration, const Shard& shard, float* states) {
  const Purpose purpose = use == DataUse::batch ? Purpose::toy_data : rows_purpose(use);
  draw_toy_data(queue(), density_, {seed(), purpose, iteration}, shard, states);
}

ImageBatches::ImageBatches(const Queue& queue, std::uint64_t seed, std::span<const float> images,
                           std::int64_t state_size, float noise)
    : DataBatches(queue, seed), images_(queue, images), state_size_(state_size), noise_(noise) {}

void ImageBatches::draw(DataUse use, std::uint32_t iteration, const Shard& shard, float* states) {
  const auto table_rows = static_cast<std::uint32_t>(std::ssize(images_) / state_size_);
  if (std::ssize(rows_) < shard.total) {
    rows_ = Array<std::uint32_t>(queue(), shard.total);
  }
  draw_rows(queue(), {seed(), rows_purpose(use), iteration}, table_rows, shard.total, rows_.data());
  gather_rows(queue(), images_.data(), rows_.data() + shard.first, shard.count, state_size_,
              states);
  if (noise_ > 0) {
    add_normal(queue(), {seed(), noise_purpose(use), iteration}, noise_, shard, state_size_,
               states);
  }
}

}  // namespace ebm
