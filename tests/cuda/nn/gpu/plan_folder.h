// Where tests keep cuDNN's plans.
#pragma once

#include <cstdlib>
#include <filesystem>

#include "tests/support/temporary_folder.h"

namespace ebm {

/// $EBM_TEST_PLANS, which several programs may share, or a folder for all of this one: each plan is
/// measured once, which takes most of the time; and two energies of one network have the same
/// plans, without which they need not give the same bits.
inline const std::filesystem::path& plan_folder() {
  static const std::filesystem::path folder = [] {
    const char* const shared = std::getenv("EBM_TEST_PLANS");
    static const TemporaryFolder own;
    return shared != nullptr ? std::filesystem::path(shared) : own.path();
  }();
  return folder;
}

}  // namespace ebm
