#include "host/output/diagnostics_csv.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <system_error>

#include "host/output/input_file.h"

namespace ebm {
namespace {

/// The columns of a line, if it has four numbers.
std::optional<std::array<double, 4>> parse(std::string_view line) {
  std::array<double, 4> numbers{};
  const char* at = line.data();
  const char* const end = at + line.size();
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0 && (at == end || *at++ != ',')) return std::nullopt;
    const auto [after, error] = std::from_chars(at, end, numbers[i]);
    if (error != std::errc()) return std::nullopt;
    at = after;
  }
  return at == end ? std::optional(numbers) : std::nullopt;
}

}  // namespace

Diagnostics read_diagnostics(const std::filesystem::path& path) {
  InputFile file(path);
  std::string text(file.remaining(), '\0');
  file.read(std::as_writable_bytes(std::span(text)));

  Diagnostics result;
  std::string_view rest = text;
  std::size_t number = 0;
  for (std::size_t end = 0; (end = rest.find('\n')) != std::string_view::npos;) {
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    ++number;
    if (number == 1) {
      if (line != kDiagnosticsHeader) {
        file.fail(fmt::format(R"(line 1 is "{}", not "{}")", line, kDiagnosticsHeader));
      }
      continue;
    }
    const auto columns = parse(line);
    const std::size_t iteration = number - 1;
    if (!columns || (*columns)[0] != static_cast<double>(iteration)) {
      file.fail(fmt::format("line {} is \"{}\", not the four numbers of iteration {}", number, line,
                            iteration));
    }
    result.d_s.push_back((*columns)[1]);
    result.r_s.push_back((*columns)[2]);
  }
  if (number == 0) file.fail("has no header line");
  result.is_cut = !rest.empty();
  return result;
}

}  // namespace ebm
