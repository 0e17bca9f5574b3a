#include "host/data/image_archive.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "tests/fuzz/hostile_input.h"

namespace ebm {
namespace {

/// A member of a tar archive is a block with its header, then blocks with its data.
/// https://www.gnu.org/software/tar/manual/html_node/Standard.html
constexpr std::size_t kBlock = 512;
constexpr std::size_t kSize = 124;
constexpr std::size_t kCheckSum = 148;

/// Gives every header of a tar archive the sum of its bytes, which keeps damage from going any
/// further. A block that begins with 0 is the archive's end.
void mend_check_sums(std::span<std::byte> tar) {
  while (tar.size() >= kBlock && tar.front() != std::byte{0}) {
    const std::span<std::byte> header = tar.first(kBlock);
    const auto* size = reinterpret_cast<const char*>(&header[kSize]);
    std::size_t length = 0;
    std::from_chars(size, size + 11, length, 8);
    std::memset(&header[kCheckSum], ' ', 8);
    const int sum = std::accumulate(header.begin(), header.end(), 0, [](int partial, std::byte b) {
      return partial + std::to_integer<int>(b);
    });
    std::memcpy(&header[kCheckSum], fmt::format("{:06o}", sum).c_str(), 7);
    const std::size_t data = std::min(length, tar.size()) + kBlock - 1;
    tar = tar.subspan(std::min(kBlock + data / kBlock * kBlock, tar.size()));
  }
}

}  // namespace

void read_hostile(std::span<const std::byte> bytes) {
  std::vector<std::byte> archive(bytes.begin(), bytes.end());
  constexpr std::byte kGzip{0x1F};
  if (!archive.empty() && archive.front() != kGzip) {
    mend_check_sums(archive);
  }
  read_image_archive(archive, "hostile.tgz");
}

}  // namespace ebm
