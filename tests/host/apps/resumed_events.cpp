// Writes what a run of four iterations leaves for TensorBoard, and then one that goes on from the
// second of them: for tensorboard_test.py, which knows these numbers too.
// usage: resumed_events FOLDER

#include <array>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <vector>

#include "host/output/png_grid.h"
#include "host/training/dashboard.h"

namespace {

std::vector<ebm::IterationRecord> iterations(std::int64_t first, std::int64_t last, double d_s) {
  std::vector<ebm::IterationRecord> records;
  for (std::int64_t i = first; i <= last; ++i) {
    ebm::IterationRecord record;
    record.iteration = i;
    record.d_s = d_s;
    record.r_s = 0.5;
    record.learning_rate = 0.25;
    record.seconds = record.busy_seconds = static_cast<double>(i - first + 1);
    records.push_back(record);
  }
  return records;
}

/// A picture `height` high.
void add_picture(ebm::Dashboard& dashboard, std::int64_t iteration,
                 const std::filesystem::path& folder, int height) {
  const std::filesystem::path path = folder / "picture.png";
  const std::vector<std::uint8_t> pixels(static_cast<std::size_t>(height) * 30 * 3, 128);
  ebm::write_png(path, pixels, height, 30, 3);
  dashboard.add_picture(iteration, "shortrun/x", path);
}

void write_runs(const std::filesystem::path& folder) {
  const std::filesystem::path events = folder / "tensorboard";
  ebm::LandscapeSummary summary;
  summary.kl_learned = 2;
  {
    ebm::Dashboard dashboard(events, 1, 50);
    dashboard.add(iterations(1, 1, -1));
    add_picture(dashboard, 1, folder, 10);
    dashboard.add(1, summary);
    dashboard.add(iterations(2, 4, -1));
    add_picture(dashboard, 4, folder, 40);
    dashboard.add(4, summary);
  }
  ebm::Dashboard dashboard(events, 3, 50);
  dashboard.add(iterations(3, 5, 1));
  add_picture(dashboard, 5, folder, 50);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::cerr << "usage: resumed_events FOLDER\n";
    return 2;
  }
  write_runs(arguments[1]);
}
