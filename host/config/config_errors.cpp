#include "host/config/config_errors.h"

#include <fmt/format.h>

#include <algorithm>

#include "cuda/base/errors.h"

namespace ebm {
namespace {

/// Whether `inner` is `outer` or a key or item in it; all are in "", the configuration.
bool is_within(std::string_view inner, std::string_view outer) {
  return inner.starts_with(outer) && (outer.empty() || inner.size() == outer.size() ||
                                      inner[outer.size()] == '.' || inner[outer.size()] == '[');
}

}  // namespace

bool ConfigErrors::is_spoilt(std::string_view key) const {
  return std::ranges::any_of(spoilt_, [key](std::string_view spoilt) {
    return is_within(spoilt, key) || is_within(key, spoilt);
  });
}

void ConfigErrors::throw_if_any() const {
  constexpr std::size_t kMost = 100;
  if (errors_.empty()) {
    return;
  }
  if (errors_.size() == 1) {
    throw ConfigurationError(errors_.front().message);
  }
  std::vector<Error> errors = errors_;
  std::ranges::stable_sort(errors, {}, &Error::position);
  std::string text = fmt::format("the configuration has {} errors:", errors.size());
  for (std::size_t i = 0; i < std::min(errors.size(), kMost); ++i) {
    text += "\n  " + errors[i].message;
  }
  if (errors.size() > kMost) {
    text += fmt::format("\n  and {} more", errors.size() - kMost);
  }
  throw ConfigurationError(text);
}

}  // namespace ebm
