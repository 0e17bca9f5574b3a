#include "tests/fuzz/hostile_input.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <system_error>

namespace ebm {

HostileFile::HostileFile(std::span<const std::byte> bytes)
    : file_(::memfd_create("hostile", MFD_CLOEXEC)),
      path_(fmt::format("/proc/self/fd/{}", file_.get())) {
  const int error = file_.valid() ? write_all(file_, bytes) : errno;
  if (error != 0) {
    throw std::system_error(error, std::generic_category(), "a file in memory");
  }
}

}  // namespace ebm
