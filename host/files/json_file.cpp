#include "host/files/json_file.h"

#include <fmt/format.h>

#include <span>
#include <string>
#include <string_view>

#include "host/files/input_file.h"

namespace ebm {
namespace {

constexpr int kDeepest = 16;

}  // namespace

nlohmann::ordered_json read_json_object(const std::filesystem::path& path) {
  using Json = nlohmann::ordered_json;
  InputFile file(path);
  std::string text(file.remaining(), '\0');
  file.read(std::as_writable_bytes(std::span(text)));
  const auto watch = [&file](int depth, Json::parse_event_t /*event*/, Json& /*parsed*/) {
    if (depth > kDeepest) {
      file.fail(fmt::format("is nested more than {} deep", kDeepest));
    }
    return true;
  };
  Json value;
  try {
    value = Json::parse(text, watch);
  } catch (const Json::exception& error) {
    std::string_view what = error.what();
    what.remove_prefix(what.find("] ") + 2);
    file.fail(fmt::format("is not valid JSON: {:.200}", what));
  }
  if (!value.is_object()) file.fail("is not a JSON object");
  return value;
}

}  // namespace ebm
