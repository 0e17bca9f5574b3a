// Where tests keep cuDNN's plans.
#pragma once

#include <filesystem>

#include "tests/temporary_folder.h"

namespace ebm {

/// A folder for all of a program: each plan is measured once, which takes most of the time; and two
/// energies of one network have the same plans, without which they need not give the same bits.
inline const std::filesystem::path& plan_folder() {
  static const TemporaryFolder folder;
  return folder.path();
}

}  // namespace ebm
