#include "cuda/mcmc/data_batches.h"

#include <utility>

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

RandomStream ToyBatches::stream(DataUse use, std::uint32_t iteration) const {
  return {seed(), use == DataUse::batch ? Purpose::toy_data : rows_purpose(use), iteration};
}

void ToyBatches::draw(DataUse use, std::uint32_t iteration, std::span<float> states) {
  draw_toy_data(density_, stream(use, iteration), std::ssize(states) / state_size(), states.data());
}

ImageBatches::ImageBatches(std::uint64_t seed, std::span<const float> images,
                           std::int64_t state_size, float noise)
    : DataBatches(seed), images_(images), state_size_(state_size), noise_(noise) {}

void ImageBatches::draw(DataUse use, std::uint32_t iteration, std::span<float> states) {
  const std::int64_t count = std::ssize(states) / state_size_;
  if (std::ssize(rows_.span()) < count) {
    rows_ = Buffer<std::uint32_t>(static_cast<std::size_t>(count));
  }
  draw_rows({seed(), rows_purpose(use), iteration}, table_rows(), count, rows_.data());
  gather_rows(images_.data(), rows_.data(), count, state_size_, states.data());
  if (noise_ > 0) {
    add_normal({seed(), noise_purpose(use), iteration}, noise_, count, state_size_, states.data());
  }
}

#ifdef EBM_CUDA
void ToyBatches::draw(const CudaStream& cuda, DataUse use, std::uint32_t iteration,
                      std::int64_t count, float* states) {
  draw_toy_data(cuda, density_, stream(use, iteration), count, states);
}

void ImageBatches::move_to_device(const CudaStream& stream, std::int64_t most) {
  DeviceBuffer<float> images(stream, images_.size());
  DeviceBuffer<std::uint32_t> rows(stream, static_cast<std::size_t>(most));
  images.upload(stream, images_);
  device_images_ = std::move(images);
  device_rows_ = std::move(rows);
}

void ImageBatches::leave_device() {
  device_images_ = {};
  device_rows_ = {};
}

void ImageBatches::draw(const CudaStream& stream, DataUse use, std::uint32_t iteration,
                        std::int64_t count, float* states) {
  draw_rows(stream, {seed(), rows_purpose(use), iteration}, table_rows(), count,
            device_rows_.data());
  gather_rows(stream, device_images_.data(), device_rows_.data(), count, state_size_, states);
  if (noise_ > 0) {
    add_normal(stream, {seed(), noise_purpose(use), iteration}, noise_, count, state_size_, states);
  }
}
#endif

}  // namespace ebm
