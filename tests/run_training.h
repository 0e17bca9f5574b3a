// Training runs for tests: small data, and what a run left behind.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "host/config/config.h"
#include "host/training/run_folder.h"
#include "host/training/run_log.h"
#include "host/training/trainer.h"
#include "tests/idx_bytes.h"
#include "tests/temporary_folder.h"
#include "tests/threads.h"

namespace ebm {

/// A folder that load_mnist() takes, with `count` images that are smooth and all different.
inline void write_small_mnist(const std::filesystem::path& folder, std::uint32_t count) {
  std::string pixels;
  for (std::uint32_t image = 0; image < count; ++image) {
    for (std::uint32_t i = 0; i < 28 * 28; ++i) {
      const std::uint32_t x = i % 28;
      const std::uint32_t y = i / 28;
      pixels += static_cast<char>((x * (image % 7) + y * (image % 5) + 31 * image) % 256);
    }
  }
  std::filesystem::create_directories(folder);
  write_bytes(folder / "train-images-idx3-ubyte", idx_bytes({count, 28, 28}, pixels));
}

/// Trains into `folder`.
inline void train(const TrainConfig& config, const std::filesystem::path& folder) {
  const RunFolder run_folder(folder);
  RunLog log(run_folder.log(), true);
  Trainer(config, run_folder, log).run();
}

/// A CSV's rows, its header left out, without the columns from `columns` on.
inline std::vector<std::vector<double>> read_csv(const std::filesystem::path& path,
                                                 std::size_t columns) {
  std::ifstream file(path);
  std::vector<std::vector<double>> rows;
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::vector<double> row;
    std::istringstream cells(line);
    for (std::string cell; row.size() < columns && std::getline(cells, cell, ',');) {
      row.push_back(std::stod(cell));
    }
    rows.push_back(row);
  }
  return rows;
}

}  // namespace ebm
