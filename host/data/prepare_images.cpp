#include "host/data/prepare_images.h"

#include <fmt/format.h>
#include <omp.h>

#include <atomic>
#include <exception>
#include <limits>
#include <span>
#include <stdexcept>
#include <utility>

namespace ebm {

void for_each_in_parallel(std::size_t count, const std::function<void(std::size_t)>& work,
                          const LoadProgress& progress) {
  std::atomic<std::size_t> done = 0;
  std::atomic<std::size_t> first_failed = count;
  std::exception_ptr failure;
  // Chunks are handed out in order, so all that is below a failed index gets done.
#pragma omp parallel for schedule(dynamic, 8)
  for (std::size_t i = 0; i < count; ++i) {
    if (i > first_failed) {
      continue;
    }
    try {
      work(i);
      ++done;
      if (progress && omp_get_thread_num() == 0) {
        progress(done, count);
      }
    } catch (...) {
#pragma omp critical(ebm_for_each_in_parallel)
      if (i < first_failed) {
        first_failed = i;
        failure = std::current_exception();
      }
    }
  }
  if (failure) {
    std::rethrow_exception(failure);
  }
}

ImageDataset prepare_images(std::size_t count, const std::function<Picture(std::size_t)>& picture,
                            int image_size, int channels, const LoadProgress& progress) {
  if (image_size < 1 || (channels != 1 && channels != 3) ||
      count > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    throw std::invalid_argument(fmt::format("prepare_images: {} images, image_size {}, channels {}",
                                            count, image_size, channels));
  }
  const auto side = static_cast<std::size_t>(image_size);
  const std::size_t length = static_cast<std::size_t>(channels) * side * side;
  ImageDataset dataset{.count = static_cast<int>(count),
                       .channels = channels,
                       .height = image_size,
                       .width = image_size,
                       .images = std::vector<float>(count * length)};
  for_each_in_parallel(
      count,
      [&](std::size_t i) {
        const std::span prepared = std::span(dataset.images).subspan(i * length, length);
        prepare_image(with_channels(picture(i), channels).view(), image_size, prepared);
      },
      progress);
  return dataset;
}

}  // namespace ebm
