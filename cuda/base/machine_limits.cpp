#include "cuda/base/machine_limits.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace ebm {
namespace {

constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();

/// The number that a file is; none where it is "max" or there is no such file.
std::size_t limit_in(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::size_t bytes = 0;
  return file >> bytes ? bytes : kNoLimit;
}

std::size_t physical_memory(const std::filesystem::path& meminfo) {
  std::ifstream file(meminfo);
  std::string key;
  std::size_t kibibytes = 0;
  while (file >> key) {
    if (key == "MemTotal:" && file >> kibibytes) {
      return kibibytes * 1024;
    }
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return kNoLimit;
}

/// The folders of a group and of those it is in, the top first. In a container the group's own
/// folder may be the top, under another name.
std::vector<std::filesystem::path> folders_of(const std::filesystem::path& top,
                                              std::string_view group) {
  std::vector<std::filesystem::path> folders{top};
  for (const std::filesystem::path& name : std::filesystem::path(group).relative_path()) {
    folders.push_back(folders.back() / name);
  }
  return folders;
}

/// The control groups that the process is in, as far as one controller is concerned.
struct ControlGroups {
  std::vector<std::filesystem::path> version_2;
  std::vector<std::filesystem::path> version_1;
};

ControlGroups control_groups(const std::filesystem::path& root, const std::string& controller) {
  ControlGroups groups;
  const std::filesystem::path top = root / "sys/fs/cgroup";
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // NUMBER:CONTROLLERS:GROUP
    std::istringstream fields(line);
    std::string number;
    std::string controllers;
    std::string group;
    std::getline(fields, number, ':');
    std::getline(fields, controllers, ':');
    std::getline(fields, group);
    if (controllers.empty()) {
      groups.version_2 = folders_of(top, group);
    } else if (("," + controllers + ",").find("," + controller + ",") != std::string::npos) {
      groups.version_1 = folders_of(top / controller, group);
    }
  }
  return groups;
}

/// Quota over period; none where there is no quota ("max" or -1) or a number is missing.
std::optional<double> ratio(std::istream& quota, std::istream& period) {
  double numerator = 0;
  double denominator = 0;
  if (quota >> numerator && period >> denominator && numerator > 0 && denominator > 0) {
    return numerator / denominator;
  }
  return std::nullopt;
}

}  // namespace

std::size_t machine_memory(const std::filesystem::path& root) {
  std::size_t least = physical_memory(root / "proc/meminfo");
  const ControlGroups groups = control_groups(root, "memory");
  for (const std::filesystem::path& folder : groups.version_2) {
    least = std::min(least, limit_in(folder / "memory.max"));
  }
  for (const std::filesystem::path& folder : groups.version_1) {
    least = std::min(least, limit_in(folder / "memory.limit_in_bytes"));
  }
  return least;
}

std::optional<double> processor_quota(const std::filesystem::path& root) {
  std::optional<double> least;
  const auto consider = [&least](std::optional<double> quota) {
    if (quota && (!least || *quota < *least)) {
      least = quota;
    }
  };
  const ControlGroups groups = control_groups(root, "cpu");
  for (const std::filesystem::path& folder : groups.version_2) {
    std::ifstream both(folder / "cpu.max");
    consider(ratio(both, both));
  }
  for (const std::filesystem::path& folder : groups.version_1) {
    std::ifstream quota(folder / "cpu.cfs_quota_us");
    std::ifstream period(folder / "cpu.cfs_period_us");
    consider(ratio(quota, period));
  }
  return least;
}

}  // namespace ebm
