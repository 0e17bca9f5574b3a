#include "host/data/idx.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <limits>
#include <new>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>

#include "cuda/base/errors.h"
#include "host/files/input_file.h"
#include "host/files/shape.h"

namespace ebm {
namespace {

constexpr std::uint32_t kImagesMagic = 0x00000803;  // unsigned bytes, three dimensions
constexpr std::uint32_t kLabelsMagic = 0x00000801;  // unsigned bytes, one dimension
constexpr std::int64_t kMostPixels = std::int64_t{1} << 31;
constexpr std::size_t kChunk = std::size_t{1} << 20;

/// The content of a file that may be compressed by gzip.
/// zlib reads it, and not libarchive, which (3.6) does not look at gzip's check sum and length.
class GzipReader {
 public:
  explicit GzipReader(const std::filesystem::path& path) : path_(path) {
    FileDescriptor descriptor = InputFile(path).release();
    file_ = gzdopen(descriptor.get(), "rb");
    if (file_ == nullptr) {
      throw std::bad_alloc();
    }
    descriptor.release();  // zlib closes it from here on
  }
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;
  ~GzipReader() { gzclose_r(file_); }

  /// Fills `bytes` as far as the content goes; returns how far. Throws on damage.
  std::size_t read(std::span<std::uint8_t> bytes) {
    const int count = gzread(file_, bytes.data(), static_cast<unsigned>(bytes.size()));
    const int read_errno = errno;
    int status = Z_OK;
    gzerror(file_, &status);
    if (status == Z_ERRNO) {
      fail(fmt::format("cannot be read: {}", std::generic_category().message(read_errno)));
    }
    if (count < 0 || status == Z_BUF_ERROR) {
      fail(status == Z_BUF_ERROR ? "its gzip data are cut short; fetch it again"
                                 : "its gzip data are damaged; fetch it again");
    }
    return static_cast<std::size_t>(count);
  }

  [[noreturn]] void fail(std::string_view problem) const {
    throw InputFileError(fmt::format("{}: {}", path_.string(), problem));
  }

 private:
  std::filesystem::path path_;
  gzFile file_ = nullptr;
};

std::uint32_t read_big_endian(GzipReader& file) {
  std::array<std::uint8_t, 4> bytes{};
  if (file.read(bytes) != bytes.size()) {
    file.fail("is too short for an IDX file of images; fetch it again");
  }
  std::uint32_t value = 0;
  for (const std::uint8_t byte : bytes) {
    value = value << 8 | byte;
  }
  return value;
}

/// The pixels, and nothing after them. Grows with what is really there, not with what is announced.
std::vector<std::uint8_t> read_pixels(GzipReader& file, std::size_t size) {
  std::vector<std::uint8_t> pixels;
  // Asking for one byte too many finds trailing bytes, and takes zlib to its check sum.
  const std::size_t asked = size + 1;
  while (pixels.size() < asked) {
    const std::size_t before = pixels.size();
    const std::size_t chunk = std::min(kChunk, asked - before);
    pixels.resize(before + chunk);
    const std::size_t count = file.read(std::span(pixels).subspan(before));
    if (count < chunk) {
      pixels.resize(before + count);
      break;
    }
  }
  if (pixels.size() < size) {
    file.fail(fmt::format("is cut short: it holds {} of the {} pixels it announces; fetch it again",
                          pixels.size(), size));
  }
  if (pixels.size() > size) {
    file.fail(fmt::format("holds more than the {} pixels it announces; fetch it again", size));
  }
  return pixels;
}

}  // namespace

IdxImages read_idx_images(const std::filesystem::path& path) {
  GzipReader file(path);
  const std::uint32_t magic = read_big_endian(file);
  if (magic != kImagesMagic) {
    file.fail(fmt::format(
        "begins with {:#010x}, an IDX file of 8-bit images with {:#010x}{}", magic, kImagesMagic,
        magic == kLabelsMagic ? "; this one holds labels, give the images'" : ""));
  }
  std::array<std::int64_t, 3> shape{};
  std::ranges::generate(shape, [&] { return read_big_endian(file); });
  const std::optional<std::int64_t> size = element_count(shape);
  if (!size || *size < 1 || *size > kMostPixels ||
      std::ranges::max(shape) > std::numeric_limits<int>::max()) {
    file.fail(fmt::format("announces {} images; from 1 to {} pixels in all can be read",
                          fmt::join(shape, " × "), kMostPixels));
  }
  const auto [count, height, width] = shape;
  return {static_cast<int>(count), static_cast<int>(height), static_cast<int>(width),
          read_pixels(file, static_cast<std::size_t>(*size))};
}

}  // namespace ebm
