#include "host/data/picture.h"

#include <fmt/format.h>
#include <png.h>

// clang-format off
#include <cstdio>  // jpeglib.h needs FILE before it is included
#include <jpeglib.h>
// clang-format on
#include <jerror.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <stdexcept>
#include <utility>

#include "cuda/base/errors.h"

namespace ebm {
namespace {

constexpr std::uint64_t kMostPixels = std::uint64_t{1} << 27;
// Deflate makes at most 1032 bytes of one (https://zlib.net/zlib_tech.html), of 8 pixels each.
constexpr std::uint64_t kPngDensest = std::uint64_t{1032} * 8;
// Huffman coding takes a bit at least for a block, whose 8 × 8 samples stand for at most 8 × 32
// pixels in the most finely sampled component.
constexpr std::uint64_t kJpegDensest = std::uint64_t{8} * 8 * 32;
constexpr int kMostScans = 50;  // progressive files have about ten; each takes time, however short
constexpr std::array<std::uint8_t, 3> kJpegStart = {0xFF, 0xD8, 0xFF};
constexpr std::array<std::uint8_t, 8> kPngStart = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};

using Bytes = std::span<const std::uint8_t>;

template <std::size_t N>
bool starts_with(Bytes file, const std::array<std::uint8_t, N>& start) {
  return file.size() >= N && std::ranges::equal(file.first(N), start);
}

[[noreturn]] void fail(std::string_view name, std::string_view problem) {
  throw InputFileError(fmt::format("{}: {}", name, problem));
}

/// A black picture of the size that a file announces, if it can be that of `file_size` bytes which
/// hold at most `densest` pixels each.
Picture blank_picture(std::string_view name, std::uint64_t height, std::uint64_t width,
                      int channels, std::size_t file_size, std::uint64_t densest) {
  if (height == 0 || width == 0 || height * width > kMostPixels) {
    fail(name, fmt::format("is {} pixels wide and {} high; from 1 to {} pixels can be read", width,
                           height, kMostPixels));
  }
  if (height * width / densest > file_size) {
    fail(name, fmt::format("announces {} × {} pixels, more than its {} bytes can hold", width,
                           height, file_size));
  }
  const std::uint64_t size = height * width * static_cast<std::uint64_t>(channels);
  return {std::vector<std::uint8_t>(size), static_cast<int>(height), static_cast<int>(width),
          channels};
}

/// Reads one JPEG file. libjpeg reports an error by a function that must not return: it jumps back
/// to attempt(), over frames of libjpeg alone.
class JpegReader {
 public:
  JpegReader(Bytes file, std::string_view name) : name_(name), file_size_(file.size()) {
    jpeg_.err = jpeg_std_error(&errors_);
    errors_.error_exit = [](j_common_ptr jpeg) {
      auto* reader = static_cast<JpegReader*>(jpeg->client_data);
      jpeg->err->format_message(jpeg, reader->message_.data());
      std::longjmp(reader->before_, 1);
    };
    errors_.emit_message = [](j_common_ptr jpeg, int level) {
      // libjpeg fills in what a cut file lacks and only warns. Its other warnings are of flaws that
      // viewers pass over.
      if (level < 0 && jpeg->err->msg_code == JWRN_JPEG_EOF) {
        jpeg->err->error_exit(jpeg);
      }
    };
    progress_.progress_monitor = [](j_common_ptr jpeg) {
      auto* reader = static_cast<JpegReader*>(jpeg->client_data);
      if (reader->jpeg_.input_scan_number > kMostScans) {
        std::ranges::copy(std::string_view("it has too many scans"), reader->message_.begin());
        std::longjmp(reader->before_, 1);
      }
    };
    jpeg_.client_data = this;
    attempt([](JpegReader& self) { jpeg_create_decompress(&self.jpeg_); });
    jpeg_.progress = &progress_;
    jpeg_mem_src(&jpeg_, file.data(), file.size());
  }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
  ~JpegReader() { jpeg_destroy_decompress(&jpeg_); }

  Picture read() {
    attempt([](JpegReader& self) { jpeg_read_header(&self.jpeg_, TRUE); });
    if (jpeg_.jpeg_color_space == JCS_CMYK || jpeg_.jpeg_color_space == JCS_YCCK) {
      fail(name_, "is a JPEG file in CMYK; grey and RGB can be read: convert it to RGB");
    }
    const bool grey = jpeg_.jpeg_color_space == JCS_GRAYSCALE;
    jpeg_.out_color_space = grey ? JCS_GRAYSCALE : JCS_RGB;
    Picture picture = blank_picture(name_, jpeg_.image_height, jpeg_.image_width, grey ? 1 : 3,
                                    file_size_, kJpegDensest);
    next_row_ = picture.pixels.data();
    attempt([](JpegReader& self) {
      jpeg_start_decompress(&self.jpeg_);
      const std::size_t row = std::size_t{self.jpeg_.output_width} *
                              static_cast<std::size_t>(self.jpeg_.output_components);
      while (self.jpeg_.output_scanline < self.jpeg_.output_height) {
        jpeg_read_scanlines(&self.jpeg_, &self.next_row_, 1);
        self.next_row_ += row;
      }
      jpeg_finish_decompress(&self.jpeg_);
    });
    return picture;
  }

 private:
  /// Runs `step`, which may hold nothing that needs destroying.
  void attempt(void (*step)(JpegReader&)) {
    if (setjmp(before_) != 0) {  // NOLINT: libjpeg leaves no other way
      fail(name_, fmt::format("cannot be read as a JPEG file: {}", message_.data()));
    }
    step(*this);
  }

  std::string_view name_;
  std::size_t file_size_;
  jpeg_decompress_struct jpeg_{};
  jpeg_error_mgr errors_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf before_{};
  std::array<char, JMSG_LENGTH_MAX> message_{};
  JSAMPROW next_row_ = nullptr;
};

/// libpng's description of a PNG file; frees what it holds.
class PngImage {
 public:
  PngImage() { image_.version = PNG_IMAGE_VERSION; }
  PngImage(const PngImage&) = delete;
  PngImage& operator=(const PngImage&) = delete;
  ~PngImage() { png_image_free(&image_); }
  png_image* operator->() { return &image_; }
  png_image* get() { return &image_; }

 private:
  png_image image_{};
};

Picture read_png(Bytes file, std::string_view name) {
  PngImage image;
  const auto fail_png = [&] {
    fail(name, fmt::format("cannot be read as a PNG file: {}", image->message));
  };
  if (png_image_begin_read_from_memory(image.get(), file.data(), file.size()) == 0) {
    fail_png();
  }
  // Read with alpha and drop it after: libpng would otherwise blend with a background.
  const bool colour = (image->format & PNG_FORMAT_FLAG_COLOR) != 0;
  image->format = colour ? PNG_FORMAT_RGBA : PNG_FORMAT_GA;
  image->flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  const int channels = colour ? 3 : 1;
  Picture picture =
      blank_picture(name, image->height, image->width, channels + 1, file.size(), kPngDensest);
  if (png_image_finish_read(image.get(), nullptr, picture.pixels.data(), 0, nullptr) == 0) {
    fail_png();
  }
  auto to = picture.pixels.begin() + channels;  // past the first pixel, which is in its place
  for (auto from = to + 1; from != picture.pixels.end(); from += channels + 1) {
    to = std::copy_n(from, channels, to);
  }
  picture.pixels.erase(to, picture.pixels.end());
  picture.channels = channels;
  return picture;
}

}  // namespace

Picture decode_picture(std::span<const std::byte> file, std::string_view name) {
  const Bytes bytes(reinterpret_cast<const std::uint8_t*>(file.data()), file.size());
  if (starts_with(bytes, kJpegStart)) {
    return JpegReader(bytes, name).read();
  }
  if (starts_with(bytes, kPngStart)) {
    return read_png(bytes, name);
  }
  fail(name, file.empty() ? "is empty" : "is neither a JPEG nor a PNG file");
}

Picture with_channels(Picture picture, int channels) {
  if (picture.channels == channels) {
    return picture;
  }
  if (channels != 1 && channels != 3) {
    throw std::invalid_argument(fmt::format("with_channels: {} channels", channels));
  }
  const std::size_t count = picture.pixels.size() / static_cast<std::size_t>(picture.channels);
  std::vector<std::uint8_t> converted;
  converted.reserve(count * static_cast<std::size_t>(channels));
  for (std::size_t i = 0; i < count; ++i) {
    if (channels == 3) {
      converted.insert(converted.end(), 3, picture.pixels[i]);
    } else {
      const std::uint8_t* rgb = &picture.pixels[3 * i];
      const unsigned sum = 19595U * rgb[0] + 38470U * rgb[1] + 7471U * rgb[2] + 0x8000U;
      converted.push_back(static_cast<std::uint8_t>(sum >> 16));
    }
  }
  picture.pixels = std::move(converted);
  picture.channels = channels;
  return picture;
}

}  // namespace ebm
