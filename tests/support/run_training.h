// Training runs for tests: small data, and what a run left behind.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "host/config/config.h"
#include "host/training/run_folder.h"
#include "host/training/run_log.h"
#include "host/training/trainer.h"
#include "tests/support/idx_bytes.h"
#include "tests/support/kernel_launch.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/threads.h"

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

/// Six iterations of a small toy experiment.
inline TrainConfig toy_config() {
  TrainConfig config;
  config.name = "toy";
  config.data.kind = DataKind::gmm;
  config.network = {.kind = NetworkKind::toy, .channels = 2, .image_size = 1};
  config.optimizer = {.kind = OptimizerKind::sgd, .lr = 0.1, .lr_min = 0.05, .lr_decay = 0.9};
  config.langevin.epsilon = 0.125;
  config.langevin.steps = 20;
  config.langevin.init = InitialStates::persistent;
  config.langevin.bank_size = 60;
  config.train = {.iterations = 6, .batch_size = 40};
  config.log.every = 2;
  config.landscape = {.every = 0, .resolution = 30, .kde = {.chains = 50, .bandwidth = 0.1}};
  return config;
}

/// Four iterations of a small image experiment on what write_small_mnist() has written.
inline TrainConfig image_config(NetworkKind network, const std::filesystem::path& data) {
  TrainConfig config;
  config.name = "images";
  config.data.kind = DataKind::mnist;
  config.data.path = data.string();
  config.data.noise = 0.03;
  config.network = {.kind = network, .features = 4, .channels = 1};
  config.optimizer = {.kind = OptimizerKind::adam, .lr = 1e-4, .lr_min = 1e-4, .lr_decay = 1};
  config.langevin.epsilon = 0.01;
  config.langevin.steps = 4;
  config.langevin.init = InitialStates::persistent;
  config.train = {.iterations = 4, .batch_size = 10};
  config.log.every = 2;
  config.checkpoint = {.every = 1, .keep = 2};
  config.longrun = {.every = 2, .steps = 60, .init = InitialStates::data};
  return config;
}

/// Where tests train: on the CPU, or, in a test that is compiled with EBM_TEST_ON_CUDA, on a CUDA
/// device.
inline ComputeDevice tested_device([[maybe_unused]] const TrainConfig& config) {
#ifdef EBM_TEST_ON_CUDA
  return choose_compute_device("cuda", Precision::fp32, make_network(config.network));
#else
  return {};
#endif
}

/// Trains into `folder`, or goes on with the run there. Returns whether it is done.
inline bool train(const TrainConfig& config, const std::filesystem::path& folder,
                  const StopRequest& stop = never_asked_to_stop) {
  const bool is_new = !std::filesystem::exists(folder / "config.yaml");
  const RunFolder run_folder = is_new ? RunFolder::create(folder) : RunFolder::reopen(folder);
  write_bytes(run_folder.config(), to_yaml(config));
  RunLog log(run_folder.log(), true);
  return Trainer(config, run_folder, log, stop, tested_device(config)).run();
}

/// Everything of a run that its configuration determines: file name to content.
inline std::map<std::string, std::string> results(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const std::filesystem::path& path = entry.path();
    const std::string name = path.filename().string();
    // gnuplot may be missing, and says in a PDF when it was made.
    const bool is_plot =
        path.extension() == ".pdf" ||
        (path.extension() == ".png" &&
         std::filesystem::exists(std::filesystem::path(path).replace_extension(".gp")));
    const bool tells_of_the_process = name == "log.txt" || name == "lock" ||
                                      name.starts_with("environment") ||
                                      name.starts_with("events.out.tfevents");
    if (entry.is_regular_file() && !is_plot && !tells_of_the_process) {
      files[std::filesystem::relative(path, folder).string()] = read_bytes(path);
    }
  }
  return files;
}

/// The names of what is not in both runs, or not the same bits; "" where all is.
inline std::string differing_files(const std::filesystem::path& run,
                                   const std::filesystem::path& other) {
  const auto files = results(run);
  const auto others = results(other);
  std::string names;
  for (const auto& [name, content] : files) {
    const auto found = others.find(name);
    if (found == others.end() || found->second != content) {
      names += name + (found == others.end() ? " (additional)\n" : "\n");
    }
  }
  for (const auto& [name, content] : others) {
    names += files.contains(name) ? "" : name + " (missing)\n";
  }
  return names;
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
