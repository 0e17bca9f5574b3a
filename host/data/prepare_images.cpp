#include "host/data/prepare_images.h"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "cuda/base/errors.h"
#include "cuda/base/machine_limits.h"
#include "cuda/device/device_choice.h"

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

namespace {

/// `problems`: of each picture, empty where there was none.
[[noreturn]] void refuse(const std::vector<std::string>& problems, Unreadable unreadable) {
  constexpr std::size_t kMost = 1000;
  std::vector<std::string> told = problems;
  std::erase(told, "");
  if (unreadable == Unreadable::error && told.size() == 1) {
    throw InputFileError(told.front() +
                         "; mend or remove it, or leave it out with data.unreadable: skip");
  }
  std::string text = unreadable == Unreadable::skip
                         ? fmt::format("none of {} pictures can be read:", told.size())
                         : fmt::format(
                               "{} pictures cannot be read; mend or remove them, or leave "
                               "them out with data.unreadable: skip:",
                               told.size());
  for (std::size_t i = 0; i < std::min(told.size(), kMost); ++i) {
    text += "\n  " + told[i];
  }
  if (told.size() > kMost) {
    text += fmt::format("\n  and {} more", told.size() - kMost);
  }
  throw InputFileError(text);
}

}  // namespace

ImageDataset prepare_images(std::size_t count, const std::function<Picture(std::size_t)>& picture,
                            int image_size, int channels, const LoadProgress& progress,
                            Unreadable unreadable) {
  if (image_size < 1 || (channels != 1 && channels != 3) ||
      count > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    throw std::invalid_argument(fmt::format("prepare_images: {} images, image_size {}, channels {}",
                                            count, image_size, channels));
  }
  const auto side = static_cast<std::size_t>(image_size);
  const std::size_t length = static_cast<std::size_t>(channels) * side * side;
  const std::size_t needed = count * length * sizeof(float);
  const std::size_t there = machine_memory();
  if (needed > there) {
    throw ConfigurationError(
        fmt::format("data.image_size: {0} images of {1}x{2}x{2} take {3} of memory, and there are "
                    "{4}; choose a smaller one, or fewer images",
                    count, channels, image_size, memory_size(needed), memory_size(there)));
  }
  ImageDataset dataset{.count = static_cast<int>(count),
                       .channels = channels,
                       .height = image_size,
                       .width = image_size,
                       .images = std::vector<float>(count * length)};
  std::vector<std::string> problems(count);
  for_each_in_parallel(
      count,
      [&](std::size_t i) {
        const std::span prepared = std::span(dataset.images).subspan(i * length, length);
        try {
          prepare_image(with_channels(picture(i), channels).view(), image_size, prepared);
        } catch (const InputFileError& error) {
          problems[i] = error.what();
        }
      },
      progress);
  const auto readable = std::ranges::count(problems, "");
  if (std::cmp_equal(readable, count)) {
    return dataset;
  }
  if (unreadable == Unreadable::error || readable == 0) {
    refuse(problems, unreadable);
  }
  auto to = dataset.images.begin();
  for (std::size_t i = 0; i < count; ++i) {
    if (problems[i].empty()) {
      to =
          std::copy_n(dataset.images.begin() + static_cast<std::ptrdiff_t>(i * length), length, to);
    }
  }
  dataset.images.erase(to, dataset.images.end());
  dataset.left_out = dataset.count - static_cast<int>(readable);
  dataset.count = static_cast<int>(readable);
  return dataset;
}

}  // namespace ebm
