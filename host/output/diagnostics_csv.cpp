#include "host/output/diagnostics_csv.h"

#include <fmt/format.h>

#include <cstddef>
#include <span>
#include <string>

#include "host/files/input_file.h"
#include "host/parse_number.h"

namespace ebm {

Diagnostics read_diagnostics(const std::filesystem::path& path) {
  InputFile file(path);
  std::string text(file.remaining(), '\0');
  file.read(std::as_writable_bytes(std::span(text)));

  Diagnostics result;
  std::string_view rest = text;
  std::size_t number = 0;
  std::size_t width = 6;
  for (std::size_t end = 0; (end = rest.find('\n')) != std::string_view::npos;) {
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    ++number;
    if (number == 1) {
      if (line == kOlderDiagnosticsHeader) {
        width = 4;
      } else if (line != kDiagnosticsHeader) {
        file.fail(fmt::format(R"(line 1 is "{}", not "{}")", line, kDiagnosticsHeader));
      }
      continue;
    }
    const auto columns = parse_numbers<double>(line, ',');
    const std::size_t iteration = number - 1;
    if (!columns || columns->size() != width || (*columns)[0] != static_cast<double>(iteration)) {
      file.fail(fmt::format("line {} is \"{}\", not the {} numbers of iteration {}", number, line,
                            width, iteration));
    }
    result.d_s.push_back((*columns)[1]);
    result.r_s.push_back((*columns)[2]);
  }
  if (number == 0) file.fail("has no header line");
  result.is_cut = !rest.empty();
  return result;
}

}  // namespace ebm
