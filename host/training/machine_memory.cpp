#include "host/training/machine_memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <string_view>

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

/// The least limit of a group and those it is in, up to the top. In a container the group's own
/// folder may be the top, under another name.
std::size_t limit_of_groups(const std::filesystem::path& top, std::string_view group,
                            std::string_view file) {
  std::size_t least = limit_in(top / file);
  std::filesystem::path folder = top;
  for (const std::filesystem::path& name : std::filesystem::path(group).relative_path()) {
    folder /= name;
    least = std::min(least, limit_in(folder / file));
  }
  return least;
}

}  // namespace

std::size_t machine_memory(const std::filesystem::path& root) {
  std::size_t least = physical_memory(root / "proc/meminfo");
  const std::filesystem::path groups = root / "sys/fs/cgroup";
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
      least = std::min(least, limit_of_groups(groups, group, "memory.max"));
    } else if (("," + controllers + ",").find(",memory,") != std::string::npos) {
      least = std::min(least, limit_of_groups(groups / "memory", group, "memory.limit_in_bytes"));
    }
  }
  return least;
}

}  // namespace ebm
