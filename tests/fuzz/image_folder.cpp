#include "host/data/image_folder.h"

#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "tests/fuzz/hostile_input.h"
#include "tests/support/environment_variable.h"
#include "tests/support/temporary_folder.h"

namespace ebm {
namespace {

/// Gives every chunk of a PNG file the check sum of its content, which keeps damage from going any
/// further. https://www.w3.org/TR/png-3/#5DataRep
void mend_check_sums(std::span<std::byte> png) {
  constexpr std::size_t kSignature = 8;
  const auto big_endian = [](std::uint32_t value) { return __builtin_bswap32(value); };
  for (std::size_t chunk = kSignature; chunk + 12 <= png.size();) {
    std::uint32_t length = 0;
    std::memcpy(&length, &png[chunk], 4);
    length = big_endian(length);
    if (length > png.size() - chunk - 12) {
      return;
    }
    const auto* content = reinterpret_cast<const Bytef*>(&png[chunk + 4]);
    const std::uint32_t sum = big_endian(static_cast<std::uint32_t>(crc32(0, content, length + 4)));
    std::memcpy(&png[chunk + 8 + length], &sum, 4);
    chunk += 12 + std::size_t{length};
  }
}

}  // namespace

void read_hostile(std::span<const std::byte> bytes) {
  std::vector<std::byte> file(bytes.begin(), bytes.end());
  if (!file.empty() && file.front() == std::byte{0x89}) {
    mend_check_sums(file);
  }
  const EnvironmentVariable no_cache("XDG_CACHE_HOME", std::nullopt);
  const EnvironmentVariable no_home("HOME", std::nullopt);
  const HostileFile picture(file);
  const TemporaryFolder folder;
  std::filesystem::create_symlink(picture.path(), folder / "hostile.png");
  load_image_folder(folder.path(), 32, 3, {.exif = ExifUse::apply});
}

}  // namespace ebm
