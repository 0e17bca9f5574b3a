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
#include <cstring>
#include <new>
#include <stdexcept>
#include <utility>

#include "cuda/base/errors.h"
#include "host/data/exif.h"

namespace ebm {
namespace {

constexpr std::uint64_t kMostPixels = std::uint64_t{1} << 27;
// Deflate makes at most 1032 bytes of one (https://zlib.net/zlib_tech.html), of 8 pixels each.
constexpr std::uint64_t kPngDensest = std::uint64_t{1032} * 8;
// Huffman coding takes a bit at least for a block, whose 8 × 8 samples stand for at most 8 × 32
// pixels in the most finely sampled component.
constexpr std::uint64_t kJpegDensest = std::uint64_t{8} * 8 * 32;
constexpr int kExifMarker = JPEG_APP0 + 1;
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

/// From four channels to three, in place. Products are divided by 255 and rounded as in Pillow.
void convert_cmyk(Picture& picture) {
  auto to = picture.pixels.begin();
  for (auto from = picture.pixels.begin(); from != picture.pixels.end(); from += 4) {
    const int white = from[3];  // inverted: 255 − K
    for (int c = 0; c < 3; ++c) {
      const int product = (255 - from[c]) * white + 128;
      *to++ = static_cast<std::uint8_t>(white - (((product >> 8) + product) >> 8));
    }
  }
  picture.pixels.erase(to, picture.pixels.end());
  picture.channels = 3;
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

  Picture read(ExifUse exif) {
    if (exif == ExifUse::apply) {
      attempt([](JpegReader& self) { jpeg_save_markers(&self.jpeg_, kExifMarker, 0xFFFF); });
    }
    attempt([](JpegReader& self) { jpeg_read_header(&self.jpeg_, TRUE); });
    const J_COLOR_SPACE stored = jpeg_.jpeg_color_space;
    const bool grey = stored == JCS_GRAYSCALE;
    const bool cmyk = stored == JCS_CMYK || stored == JCS_YCCK;
    jpeg_.out_color_space = grey ? JCS_GRAYSCALE : cmyk ? JCS_CMYK : JCS_RGB;
    const int channels = cmyk ? 4 : 3;
    const int orientation = read_orientation();
    Picture picture = blank_picture(name_, jpeg_.image_height, jpeg_.image_width,
                                    grey ? 1 : channels, file_size_, kJpegDensest);
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
    if (cmyk) {
      convert_cmyk(picture);
    }
    return upright(std::move(picture), orientation);
  }

 private:
  /// Of the markers that were kept, none of which may be Exif data.
  int read_orientation() const {
    constexpr std::array<std::uint8_t, 6> kExif = {'E', 'x', 'i', 'f', 0, 0};
    for (const jpeg_marker_struct* marker = jpeg_.marker_list; marker != nullptr;
         marker = marker->next) {
      const Bytes data(marker->data, marker->data_length);
      if (starts_with(data, kExif)) {
        return exif_orientation(data.subspan(kExif.size()));
      }
    }
    return 1;
  }

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

/// Reads one PNG file. Errors leave libpng as they leave libjpeg.
class PngReader {
 public:
  PngReader(Bytes file, std::string_view name) : name_(name), file_size_(file.size()), rest_(file) {
    png_ = png_create_read_struct(
        PNG_LIBPNG_VER_STRING, this,
        [](png_structp png, png_const_charp message) {
          auto* reader = static_cast<PngReader*>(png_get_error_ptr(png));
          std::strncpy(reader->message_.data(), message, reader->message_.size() - 1);
          std::longjmp(reader->before_, 1);
        },
        [](png_structp, png_const_charp) {});  // flaws that viewers pass over
    info_ = png_ != nullptr ? png_create_info_struct(png_) : nullptr;
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw std::bad_alloc();
    }
    png_set_read_fn(png_, this, [](png_structp png, png_bytep to, std::size_t count) {
      Bytes& rest = static_cast<PngReader*>(png_get_io_ptr(png))->rest_;
      if (count > rest.size()) {
        png_error(png, "it ends too early");
      }
      std::copy_n(rest.begin(), count, to);
      rest = rest.subspan(count);
    });
  }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }

  Picture read(ExifUse exif) {
    attempt([](PngReader& self) {
      // Texts, times, and what would manage colours.
      png_set_keep_unknown_chunks(self.png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
      png_set_keep_unknown_chunks(self.png_, PNG_HANDLE_CHUNK_AS_DEFAULT, kPngExif.data(), 1);
      png_set_user_limits(self.png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // see blank_picture()
      png_read_info(self.png_, self.info_);
    });
    const bool colour = (png_get_color_type(png_, info_) & PNG_COLOR_MASK_COLOR) != 0;
    Picture picture =
        blank_picture(name_, png_get_image_height(png_, info_), png_get_image_width(png_, info_),
                      colour ? 3 : 1, file_size_, kPngDensest);
    row_bytes_ =
        static_cast<std::size_t>(picture.width) * static_cast<std::size_t>(picture.channels);
    for (std::size_t at = 0; at < picture.pixels.size(); at += row_bytes_) {
      rows_.push_back(&picture.pixels[at]);
    }
    attempt([](PngReader& self) {
      png_set_strip_16(self.png_);
      png_set_palette_to_rgb(self.png_);
      png_set_expand_gray_1_2_4_to_8(self.png_);
      png_set_strip_alpha(self.png_);
      png_set_interlace_handling(self.png_);
      png_read_update_info(self.png_, self.info_);
      if (png_get_rowbytes(self.png_, self.info_) != self.row_bytes_) {
        png_error(self.png_, "it has rows of another length");
      }
      png_read_image(self.png_, self.rows_.data());
      png_read_end(self.png_, self.info_);
    });
    return exif == ExifUse::apply ? upright(std::move(picture), read_orientation())
                                  : std::move(picture);
  }

 private:
  static constexpr std::array<png_byte, 5> kPngExif = {'e', 'X', 'I', 'f', 0};

  int read_orientation() {
    png_bytep data = nullptr;
    png_uint_32 size = 0;
    return png_get_eXIf_1(png_, info_, &size, &data) != 0 ? exif_orientation({data, size}) : 1;
  }

  /// Runs `step`, which may hold nothing that needs destroying.
  void attempt(void (*step)(PngReader&)) {
    if (setjmp(before_) != 0) {  // NOLINT: libpng leaves no other way
      fail(name_, fmt::format("cannot be read as a PNG file: {}", message_.data()));
    }
    step(*this);
  }

  std::string_view name_;
  std::size_t file_size_;
  Bytes rest_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::jmp_buf before_{};
  std::array<char, 200> message_{};
  std::size_t row_bytes_ = 0;
  std::vector<png_bytep> rows_;
};

}  // namespace

Picture decode_picture(std::span<const std::byte> file, std::string_view name, ExifUse exif) {
  const Bytes bytes(reinterpret_cast<const std::uint8_t*>(file.data()), file.size());
  if (starts_with(bytes, kJpegStart)) {
    return JpegReader(bytes, name).read(exif);
  }
  if (starts_with(bytes, kPngStart)) {
    return PngReader(bytes, name).read(exif);
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
