// The errors of a configuration, collected so that all of them can be told at once.
#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ebm {

class ConfigErrors {
 public:
  /// Where in a file an error is, by which errors are ordered; then come those of the file as a
  /// whole, and those of overrides, one after another.
  static constexpr std::size_t kWholeFile = std::numeric_limits<std::size_t>::max() / 2;
  static constexpr std::size_t kFirstOverride = kWholeFile + 1;

  /// `message` names the place.
  void add(std::size_t position, std::string message) {
    errors_.push_back({position, std::move(message)});
  }

  /// The value at a dotted key cannot be used: nothing is to be made of it.
  void spoil(std::string key) { spoilt_.push_back(std::move(key)); }
  /// Whether that is so of the key, of a part of it, or of a section around it.
  bool is_spoilt(std::string_view key) const;

  /// A value on which it depends which keys apply cannot be used: that a key does not apply, or is
  /// missing among those that may not apply, is no error from now on.
  void set_uncertain() { uncertain_ = true; }
  bool uncertain() const { return uncertain_; }

  /// Throws ConfigurationError with all errors, in order, if there are any. Of very many, the
  /// first.
  void throw_if_any() const;

 private:
  struct Error {
    std::size_t position;
    std::string message;
  };
  std::vector<Error> errors_;
  std::vector<std::string> spoilt_;
  bool uncertain_ = false;
};

}  // namespace ebm
