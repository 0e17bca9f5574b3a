#include "host/files/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "cuda/base/atomic_file.h"
#include "cuda/base/ceil_div.h"
#include "host/files/half_float.h"
#include "host/files/input_file.h"
#include "host/files/shape.h"
#include "host/parse_number.h"

namespace ebm {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kAlignment = 64;
constexpr std::uint32_t kLongestHeader = 1 << 16;  // NumPy itself reads no longer ones unasked

/// A Python tuple: "()", "(3,)", "(3, 4)".
std::string tuple(std::span<const std::int64_t> shape) {
  return fmt::format("({}{})", fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
}

}  // namespace

std::string npy_header(std::string_view dtype, std::span<const std::int64_t> shape,
                       std::size_t at_least) {
  std::string text =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}", dtype, tuple(shape));
  const std::size_t preamble = kMagic.size() + 4;  // version and length
  const std::size_t unpadded = std::max(preamble + text.size() + 1, at_least);
  const std::size_t padded = round_up(unpadded, kAlignment);
  text.append(padded - preamble - text.size() - 1, ' ');
  text += '\n';
  if (text.size() > 0xFFFF) {
    throw std::invalid_argument("write_npy: a shape of too many dimensions");
  }
  std::string bytes(kMagic);
  bytes += {'\x01', '\x00'};
  bytes += {static_cast<char>(text.size() & 0xFF), static_cast<char>(text.size() >> 8)};
  return bytes + text;
}

namespace {

template <typename Value>
void write(const std::filesystem::path& path, std::string_view dtype,
           std::span<const std::int64_t> shape, std::span<const Value> values) {
  if (element_count(shape) != static_cast<std::int64_t>(values.size())) {
    throw std::invalid_argument(
        fmt::format("write_npy: {} values do not have shape {}", values.size(), tuple(shape)));
  }
  const std::string head = npy_header(dtype, shape);
  const std::array pieces = {std::as_bytes(std::span<const char>(head)), std::as_bytes(values)};
  write_file_atomically(path, pieces);
}

struct Header {
  std::string dtype;
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
};

/// Reads the header's text: a Python dictionary of exactly the keys descr, fortran_order and shape,
/// in any order.
class HeaderParser {
 public:
  HeaderParser(const InputFile& file, std::string_view text) : file_(file), rest_(text) {}

  Header parse() {
    std::optional<std::string> dtype;
    std::optional<bool> fortran_order;
    std::optional<std::vector<std::int64_t>> shape;
    expect('{');
    while (!accept('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr" && !dtype) {
        dtype = string();
      } else if (key == "fortran_order" && !fortran_order) {
        fortran_order = boolean();
      } else if (key == "shape" && !shape) {
        shape = integers();
      } else {
        file_.fail(fmt::format("its .npy header has an unknown or repeated key '{}'", key));
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (!rest_.empty() || !dtype || !fortran_order || !shape) {
      malformed();
    }
    return {*std::move(dtype), *fortran_order, *std::move(shape)};
  }

 private:
  [[noreturn]] void malformed() const {
    file_.fail(
        "its .npy header is not a dictionary of a plain dtype, a memory order and a shape; "
        "save one array of floats with numpy.save");
  }

  void skip_space() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \n"), rest_.size())); }

  bool accept(std::string_view token) {
    skip_space();
    if (!rest_.starts_with(token)) {
      return false;
    }
    rest_.remove_prefix(token.size());
    return true;
  }
  bool accept(char token) { return accept(std::string_view(&token, 1)); }

  void expect(char token) {
    if (!accept(token)) {
      malformed();
    }
  }

  std::string string() {
    const char quote = accept('\'') ? '\'' : '"';
    if (quote == '"') {
      expect('"');
    }
    const std::size_t end = rest_.find(quote);
    if (end == std::string_view::npos) {
      malformed();
    }
    std::string content(rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
    return content;
  }

  bool boolean() {
    if (accept("True")) {
      return true;
    }
    if (!accept("False")) {
      malformed();
    }
    return false;
  }

  std::vector<std::int64_t> integers() {
    std::vector<std::int64_t> values;
    expect('(');
    while (!accept(')')) {
      skip_space();
      const std::size_t end = std::min(rest_.find_first_not_of("-0123456789"), rest_.size());
      const auto value = parse_number<std::int64_t>(rest_.substr(0, end));
      if (!value) {
        malformed();
      }
      rest_.remove_prefix(end);
      values.push_back(*value);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return values;
  }

  const InputFile& file_;
  std::string_view rest_;
};

/// `size` bytes as a little-endian integer.
std::uint32_t read_length(InputFile& file, std::size_t size) {
  std::uint32_t length = 0;
  file.read(std::as_writable_bytes(std::span(&length, 1)).first(size));
  return length;
}

Header read_header(InputFile& file) {
  std::array<char, kMagic.size() + 2> start{};
  if (file.remaining() < start.size()) {
    file.fail("is too short for a .npy file");
  }
  file.read(std::as_writable_bytes(std::span(start)));
  if (!std::string_view(start.data(), start.size()).starts_with(kMagic)) {
    file.fail("is not a .npy file (it does not begin with \\x93NUMPY); write it with numpy.save");
  }
  const int version = static_cast<unsigned char>(start[kMagic.size()]);
  if (version < 1 || version > 3) {
    file.fail(fmt::format("is of .npy version {}; versions 1 to 3 can be read", version));
  }
  const std::uint32_t length = read_length(file, version == 1 ? 2 : 4);
  if (length > kLongestHeader || length > file.remaining()) {
    file.fail(fmt::format("its .npy header claims {} bytes; {} remain, and {} are the most", length,
                          file.remaining(), kLongestHeader));
  }
  std::string text(length, '\0');
  file.read(std::as_writable_bytes(std::span(text)));
  return HeaderParser(file, text).parse();
}

}  // namespace

void write_npy(const std::filesystem::path& path, std::span<const std::int64_t> shape,
               std::span<const float> values) {
  write(path, "<f4", shape, values);
}

void write_npy(const std::filesystem::path& path, std::span<const std::int64_t> shape,
               std::span<const double> values) {
  write(path, "<f8", shape, values);
}

namespace {

/// Bytes of an element.
std::uint64_t size_of(std::string_view dtype) {
  return dtype == "<f8" ? sizeof(double) : dtype == "<f4" ? sizeof(float) : dtype == "<f2" ? 2 : 1;
}

[[noreturn]] void refuse_dtype(const InputFile& file, std::string_view dtype) {
  file.fail(fmt::format("holds dtype '{}'; save array.astype('<f4')", dtype));
}

/// The header, checked against the file: an array in C order of that many elements.
Header read_array_header(InputFile& file) {
  Header header = read_header(file);
  if (std::ranges::count(std::array{"<f4", "<f8", "<f2", "|u1"}, header.dtype) == 0) {
    refuse_dtype(file, header.dtype);
  }
  if (header.fortran_order) {
    file.fail("is in Fortran order; save numpy.ascontiguousarray(array)");
  }
  const std::optional<std::int64_t> count = element_count(header.shape);
  const std::uint64_t size = size_of(header.dtype);
  if (!count || static_cast<std::uint64_t>(*count) > file.remaining() / size ||
      static_cast<std::uint64_t>(*count) * size != file.remaining()) {
    file.fail(fmt::format("its shape {} of '{}' does not match the {} bytes of data it holds",
                          tuple(header.shape), header.dtype, file.remaining()));
  }
  return header;
}

}  // namespace

std::variant<NpyArray, NpyLevels> read_npy_or_levels(const std::filesystem::path& path) {
  InputFile file(path);
  Header header = read_array_header(file);
  const std::uint64_t count = file.remaining() / size_of(header.dtype);
  if (header.dtype == "|u1") {
    NpyLevels levels{std::move(header.shape), std::vector<std::uint8_t>(count)};
    file.read(std::as_writable_bytes(std::span(levels.values)));
    return levels;
  }
  return NpyArray{std::move(header.shape), header.dtype == "<f4" ? file.read_floats<float>(count)
                                           : header.dtype == "<f8"
                                               ? file.read_floats<double>(count)
                                               : file.read_floats<Float16>(count)};
}

NpyArray read_npy(const std::filesystem::path& path) {
  std::variant<NpyArray, NpyLevels> array = read_npy_or_levels(path);
  if (std::holds_alternative<NpyLevels>(array)) {
    refuse_dtype(InputFile(path), "|u1");
  }
  return std::get<NpyArray>(std::move(array));
}

std::vector<double> read_npy_doubles(const std::filesystem::path& path,
                                     std::span<const std::int64_t> shape) {
  InputFile file(path);
  const Header header = read_array_header(file);
  if (header.dtype != "<f8" || !std::ranges::equal(header.shape, shape)) {
    file.fail(fmt::format("is of shape {} and dtype '{}', not of {} and '<f8'", tuple(header.shape),
                          header.dtype, tuple(shape)));
  }
  std::vector<double> values(file.remaining() / sizeof(double));
  file.read(std::as_writable_bytes(std::span(values)));
  return values;
}

}  // namespace ebm
