#include "host/output/report_pictures.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <system_error>

#include "host/files/input_file.h"
#include "host/output/html.h"
#include "host/parse_number.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMarkup = 2'000;  // bytes around a picture's own

std::string in_base64(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t three = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      three = three << 8 | (k < count ? std::to_integer<std::uint32_t>(bytes[i + k]) : 0);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      text += k <= count ? kDigits[three >> (18 - 6 * k) & 63] : '=';
    }
  }
  return text;
}

std::uint32_t big_endian(std::span<const std::byte, 4> bytes) {
  std::uint32_t value = 0;
  for (const std::byte byte : bytes) value = value << 8 | std::to_integer<std::uint32_t>(byte);
  return value;
}

}  // namespace

std::vector<PictureInTime> pictures_in_time(const fs::path& folder, std::string_view prefix) {
  std::vector<PictureInTime> pictures;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    const std::string stem = entry.path().stem().string();
    if (entry.path().extension() != ".png" || !stem.starts_with(prefix)) continue;
    const auto iteration = parse_number<std::int64_t>(stem.substr(prefix.size()));
    if (iteration) pictures.push_back({.iteration = *iteration, .file = entry.path()});
  }
  std::ranges::sort(pictures, {}, &PictureInTime::iteration);
  return pictures;
}

std::string ReportPictures::figure(const fs::path& png, PictureKind kind, const PictureText& text) {
  std::error_code none;
  if (!fs::is_regular_file(png, none)) return "";
  InputFile file(png);
  const std::uint64_t needed = (file.remaining() + 2) / 3 * 4 + kMarkup;
  if (needed > bytes_left_) {
    all_fit_ = false;
    return fmt::format(
        "<p class=\"quiet\">{} ({}) is left out: the page would be larger than 5 MB with it.</p>\n",
        escape_html(png.filename().string()), escape_html(text.caption));
  }
  std::vector<std::byte> bytes(file.remaining());
  file.read(bytes);
  // A signature, then the length and the name of the first chunk, which begins with both sizes.
  constexpr std::array<unsigned char, 8> kSignature = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  if (bytes.size() < 24 ||
      !std::ranges::equal(std::as_bytes(std::span(kSignature)), std::span(bytes).first(8))) {
    file.fail("is not a PNG picture; remove it, or draw it again");
  }
  bytes_left_ -= needed;
  const std::string label = escape_html(text.caption);
  return fmt::format(
      "<figure class=\"{}\"><div class=\"scroll\"{}><img width=\"{}\" height=\"{}\" alt=\"{}\" "
      "src=\"data:image/png;base64,{}\"></div><figcaption>{}</figcaption></figure>\n",
      kind == PictureKind::plot ? "plot" : "grid",
      kind == PictureKind::plot
          ? fmt::format(R"( tabindex="0" role="group" aria-label="Plot: {}")", label)
          : "",
      big_endian(std::span(bytes).subspan<16, 4>()), big_endian(std::span(bytes).subspan<20, 4>()),
      escape_html(text.seen), in_base64(bytes), label);
}

}  // namespace ebm
