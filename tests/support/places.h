// Where tests find what they read and what they run. For a build that was carried to another
// machine, the environment variables EBM_TEST_DATA, EBM_CONFIGS and EBM_PROGRAMS name the folders.
#pragma once

#include <filesystem>
#include <string>

namespace ebm {

/// tests/data.
std::filesystem::path test_data();

/// configs.
std::filesystem::path shipped_configs();

/// The path of ebm_train or another of the programs.
std::string program_path(const std::string& program);

}  // namespace ebm
