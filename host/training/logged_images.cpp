#include "host/training/logged_images.h"

#include <fmt/format.h>

#include <cstddef>
#include <string>

#include "host/data/load_images.h"
#include "host/training/progress.h"

namespace ebm {

ImageDataset load_images_logged(const DataConfig& data, RunLog& log) {
  Pace pace(0, 0);
  return load_images(
      data,
      [&](std::size_t done, std::size_t total) {
        if (log.is_live() && pace.due()) {
          log.live(fmt::format("preparing images: {} of {}", done, total));
        }
      },
      [&log](const std::string& line) { log.info(line); });
}

}  // namespace ebm
