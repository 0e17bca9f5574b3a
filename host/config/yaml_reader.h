// Reads a map of a YAML tree into variables, strictly: a value has exactly the type and range asked
// for, and a key nobody asked for is an error. Every error is a ConfigurationError that names the
// place, the full key, the value found and what is valid.
//
// YamlReader, YamlWriter and ReferenceWriter have the same members, so one function template that
// visits a configuration's keys reads, writes and explains it.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "host/config/clamp.h"
#include "host/config/yaml_tree.h"

namespace ebm {

/// The numbers a key may have, bounds included unless `low_excluded`. Never NaN or infinite.
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_excluded = false;
};
constexpr Range at_least(double low) { return {.low = low}; }
constexpr Range above(double low) { return {.low = low, .low_excluded = true}; }
constexpr Range between(double low, double high) { return {.low = low, .high = high}; }

/// Whether a key applies in this configuration, and to what it applies, as an error says it.
struct Applies {
  bool here = true;
  std::string_view to;
};

/// A key, a string literal, and what the references say of it.
struct Key {
  constexpr Key(const char* key, std::string_view what = {}) : name(key), about(what) {}

  std::string_view name;
  std::string_view about;
};

/// Throws ConfigurationError about the value at the dotted key, naming the place where that, or
/// failing that the innermost section around it, was written.
[[noreturn]] void refuse_key(const YamlValue& root, std::string_view dotted_key,
                             std::string_view why);

/// "; did you mean 'x'?" for the candidate x that `word` is a likely misspelling of, or "".
std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates);

class YamlReader {
 public:
  /// Reads `map`, which must be a map and outlive the reader. `name` is its dotted key, "" for the
  /// root. Keys are string literals: the reader keeps views of them.
  explicit YamlReader(const YamlValue& map, std::string name = "");

  /// Reads a key that must be there. `Range` is for numbers. A value is a number, text, a bool, an
  /// enumeration that has names(), a Clamp or a ClampChoice.
  template <class T>
  void required(const Key& key, T& value, Range range = {}, Applies applies = {}) {
    if (!optional(key, value, range, applies) && applies.here) {
      refuse_missing(key.name);
    }
  }

  /// Reads a key if it is there, else leaves `value`, the default, as it is. Returns whether it
  /// was.
  template <class T>
  bool optional(const Key& key, T& value, Range range = {}, Applies applies = {}) {
    const YamlValue* found = look_up(key.name, applies);
    if (found == nullptr) {
      return false;
    }
    if constexpr (std::is_enum_v<T>) {
      value = static_cast<T>(index_of(*found, names(T{})));
    } else {
      convert(*found, value, range);
    }
    return true;
  }

  /// Sets a default that depends on keys read before.
  template <class T>
  void default_to(T& value, std::type_identity_t<T> fallback) {
    value = fallback;
  }

  /// Reads the map under `key` by `visit(reader)`. A missing section reads as an empty one.
  template <class Visit>
  void section(const Key& key, Visit visit, Applies applies = {}) {
    const YamlValue* found = look_up(key.name, applies);
    if (!applies.here) {
      return;
    }
    const YamlValue missing{.kind = YamlValue::Kind::map, .place = map_.place};
    YamlReader reader(found != nullptr ? *found : missing, full(key.name));
    visit(reader);
    reader.finish();
  }

  /// Reads the list under `key`, if it is there. Each item is one of item_names(Item), or a map of
  /// one such name to the item's own keys, which `visit(reader, item)` reads. An empty list is an
  /// error.
  template <class Item, class Visit>
  void list(const Key& key, std::vector<Item>& items, Visit visit, Applies applies = {}) {
    const YamlValue* found = look_up(key.name, applies);
    if (found == nullptr) {
      return;
    }
    items.clear();
    for (const NamedItem& named : named_items(*found, item_names(Item{}))) {
      Item& item = items.emplace_back();
      name_item(item, named.place);
      YamlReader reader(named.keys, named.name);
      visit(reader, item);
      reader.finish();
    }
  }

  /// The value under `key` as it was written. `at` throws if there is none, `find` returns null.
  const YamlValue& at(std::string_view key);
  const YamlValue* find(std::string_view key) { return look_up(key, {}); }

  /// Refuses the keys that were not asked for.
  void finish() const;

 private:
  /// An item of a list: its name's place among the names, its keys (a map), its name in errors.
  struct NamedItem {
    std::size_t place = 0;
    YamlValue keys;
    std::string name;
  };
  std::vector<NamedItem> named_items(const YamlValue& list,
                                     std::span<const std::string_view> names) const;

  /// Marks `key` as known. Null if the map does not have it.
  const YamlValue* look_up(std::string_view key, Applies applies);
  std::string full(std::string_view key) const;
  [[noreturn]] void refuse(const YamlValue& at, std::string_view why) const;
  [[noreturn]] void refuse_unknown(const YamlValue& at) const;
  [[noreturn]] void refuse_missing(std::string_view key) const;

  std::size_t index_of(const YamlValue& at, std::span<const std::string_view> valid) const;
  template <class Number>
  void convert_number(const YamlValue& at, Number& value, Range range) const;
  void convert(const YamlValue& at, int& value, Range range) const;
  void convert(const YamlValue& at, std::int64_t& value, Range range) const;
  void convert(const YamlValue& at, std::uint64_t& value, Range range) const;
  void convert(const YamlValue& at, double& value, Range range) const;
  void convert(const YamlValue& at, std::string& value, Range range) const;
  void convert(const YamlValue& at, bool& value, Range range) const;
  void convert(const YamlValue& at, Clamp& value, Range range) const;
  void convert(const YamlValue& at, ClampChoice& value, Range range) const;

  const YamlValue& map_;
  std::string name_;
  std::vector<std::string_view> known_;  // keys asked for that apply
};

}  // namespace ebm
