// Reads a map of a YAML tree into variables, strictly: a value has exactly the type and range asked
// for, and a key nobody asked for is an error. Every error names the place, the full key, the value
// found and what is valid; they are collected, and the variable of a value that is refused keeps
// what it had.
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
#include "host/config/config_errors.h"
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

/// What depends on a value: whether other keys of its section, or of all sections, apply.
enum class Decides { nothing, in_section, everywhere };

/// Whether a key applies in this configuration, and to what it applies, as an error says it.
struct Applies {
  bool here = true;
  std::string_view to;
  Decides decided = Decides::everywhere;  ///< by which keys
};

/// A key, a string literal, and what the references say of it.
struct Key {
  constexpr Key(const char* key, std::string_view what = {}, Decides effect = Decides::nothing)
      : name(key), about(what), decides(effect) {}

  std::string_view name;
  std::string_view about;
  Decides decides;
};

/// Adds an error about the value at the dotted key, naming the place where that, or failing that
/// the innermost section around it, was written.
void refuse_key(const YamlValue& root, std::string_view dotted_key, std::string_view why,
                ConfigErrors& errors);

/// "; did you mean 'x'?" for the candidate x that `word` is a likely misspelling of, or "".
std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates);

class YamlReader {
 public:
  /// Reads `map`, which must be a map (that it is none is an error), and outlive the reader, as
  /// `errors` must. `name` is its dotted key, "" for the root. Keys are string literals: the reader
  /// keeps views of them.
  YamlReader(const YamlValue& map, ConfigErrors& errors, std::string name = "");

  /// Reads a key that must be there. `Range` is for numbers. A value is a number, text, a bool, an
  /// enumeration that has names(), a Clamp or a ClampChoice.
  template <class T>
  void required(const Key& key, T& value, Range range = {}, Applies applies = {}) {
    if (!optional(key, value, range, applies) && applies.here) {
      add_missing(key, applies);
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
    bool is_valid = false;
    if constexpr (std::is_enum_v<T>) {
      const std::optional<std::size_t> index = index_of(*found, names(T{}));
      is_valid = index.has_value();
      value = is_valid ? static_cast<T>(*index) : value;
    } else {
      is_valid = convert(*found, value, range);
    }
    if (!is_valid) {
      be_uncertain(key.decides);
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
    const YamlValue missing{
        .kind = YamlValue::Kind::map, .place = map_.place, .position = map_.position};
    YamlReader reader(found != nullptr ? *found : missing, errors_, full(key.name));
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
      YamlReader reader(named.keys, errors_, named.name);
      visit(reader, item);
      reader.finish();
    }
  }

  /// The value under `key` as it was written, or null, which is an error where it is required.
  const YamlValue* find(std::string_view key) { return look_up(key, {}); }
  const YamlValue* find_required(const Key& key);

  /// Refuses the keys that were not asked for, and that keys are missing.
  void finish();

 private:
  /// An item of a list: its name's place among the names, its keys (a map), its name in errors.
  struct NamedItem {
    std::size_t place = 0;
    YamlValue keys;
    std::string name;
  };
  std::vector<NamedItem> named_items(const YamlValue& list,
                                     std::span<const std::string_view> names);

  /// Marks `key` as known. Null if the map does not have it.
  const YamlValue* look_up(std::string_view key, Applies applies);
  std::string full(std::string_view key) const;
  /// Adds an error, and spoils the key.
  void refuse(const YamlValue& at, std::string_view why);
  void refuse_item(const YamlValue& at, std::string_view name, std::string_view why);
  bool is_unknown(const YamlValue& child) const;
  /// Whether it is not known if a key applies.
  bool is_uncertain(const Applies& applies) const;
  void be_uncertain(Decides decides);
  void add_missing(const Key& key, Applies applies);

  std::optional<std::size_t> index_of(const YamlValue& at, std::span<const std::string_view> valid);
  // These return false, having added an error, and leave the value alone where it is refused.
  template <class Number>
  bool convert_number(const YamlValue& at, Number& value, Range range);
  bool convert(const YamlValue& at, int& value, Range range);
  bool convert(const YamlValue& at, std::int64_t& value, Range range);
  bool convert(const YamlValue& at, std::uint64_t& value, Range range);
  bool convert(const YamlValue& at, double& value, Range range);
  bool convert(const YamlValue& at, std::string& value, Range range);
  bool convert(const YamlValue& at, bool& value, Range range);
  bool convert(const YamlValue& at, Clamp& value, Range range);
  bool convert(const YamlValue& at, ClampChoice& value, Range range);

  const YamlValue& map_;
  ConfigErrors& errors_;
  std::string name_;
  bool is_map_;
  bool uncertain_ = false;                 // which keys of this map apply
  std::vector<std::string_view> known_;    // keys asked for that apply, or may
  std::vector<std::string_view> refused_;  // keys asked for that do not apply, and are there
  std::vector<std::string_view> missing_;  // required ones that the map does not have
};

}  // namespace ebm
