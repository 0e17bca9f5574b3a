#include "host/config/yaml_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>

#include "host/parse_number.h"

namespace ebm {
namespace {

// What was found, cut short: a message stays readable whatever the file holds.
std::string shown(const YamlValue& value) {
  switch (value.kind) {
    case YamlValue::Kind::scalar:
      return value.quoted ? fmt::format("\"{:.60}\"", value.text)
                          : fmt::format("'{:.60}'", value.text);
    case YamlValue::Kind::sequence:
      return "a list";
    case YamlValue::Kind::map:
      return "a map";
    case YamlValue::Kind::null:
      break;
  }
  return "null";
}

// Whether the bytes are UTF-8 (Unicode, table 3-7) without the code points that Unicode keeps free
// of characters: of all others the YAML writer makes U+FFFD, and a path would be another one when
// read.
bool is_unicode(std::string_view text) {
  static constexpr std::array<char32_t, 4> kLeast{0, 0x80, 0x800, 0x10000};
  while (!text.empty()) {
    const auto lead = static_cast<unsigned char>(text.front());
    const auto size = static_cast<std::size_t>(std::max(std::countl_one(lead), 1));
    if (std::countl_one(lead) == 1 || size > kLeast.size() || size > text.size()) {
      return false;
    }
    char32_t point = size == 1 ? lead : lead & (0x7FU >> size);
    for (const char next : text.substr(1, size - 1)) {
      if ((static_cast<unsigned char>(next) & 0xC0U) != 0x80) {
        return false;
      }
      point = point << 6 | (static_cast<unsigned char>(next) & 0x3FU);
    }
    const bool is_surrogate = point >= 0xD800 && point <= 0xDFFF;
    const bool is_free = (point >= 0xFDD0 && point <= 0xFDEF) || (point & 0xFFFEU) == 0xFFFE;
    if (point < kLeast[size - 1] || point > 0x10FFFF || is_surrogate || is_free) {
      return false;
    }
    text.remove_prefix(size);
  }
  return true;
}

// A key as the user wrote it, and what that is here.
std::string name_in_errors(const YamlValue& value, std::string_view dotted_key) {
  return value.written_key.empty() || value.written_key == dotted_key
             ? fmt::format("{:.80}", dotted_key)
             : fmt::format("{} ({})", value.written_key, dotted_key);
}

// Levenshtein distance: insertions, deletions and substitutions of one character.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({substituted, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
}

template <class Number>
bool contains(const Range& range, Number value) {
  const auto x = static_cast<double>(value);
  return std::isfinite(x) && x <= range.high &&
         (range.low_excluded ? x > range.low : x >= range.low);
}

// What a number must be, in words. Integers have the limits of their type where the range has none.
template <class Number>
std::string expected(const Range& range) {
  if constexpr (std::is_integral_v<Number>) {
    using Limits = std::numeric_limits<Number>;
    return fmt::format("an integer between {} and {}",
                       std::isfinite(range.low) ? static_cast<Number>(range.low) : Limits::min(),
                       std::isfinite(range.high) ? static_cast<Number>(range.high) : Limits::max());
  }
  std::string words = "a finite number";
  if (std::isfinite(range.low)) {
    words += fmt::format(" {} {}", range.low_excluded ? "above" : "of at least", range.low);
  }
  if (std::isfinite(range.high)) {
    words += fmt::format(" and at most {}", range.high);
  }
  return words;
}

// The number that is the whole of the scalar, if it is one of this type.
template <class Number>
std::optional<Number> number_of(const YamlValue& value) {
  const bool plain = value.kind == YamlValue::Kind::scalar && !value.quoted;
  return plain ? parse_number<Number>(value.text) : std::nullopt;
}

/// Takes null, or two numbers of the range in order; else returns false.
bool read_clamp(const YamlValue& at, const Range& range, Clamp& clamp) {
  if (at.kind == YamlValue::Kind::null) {
    clamp.reset();
    return true;
  }
  if (at.kind != YamlValue::Kind::sequence || at.children.size() != 2) {
    return false;
  }
  const std::optional<double> low = number_of<double>(at.children[0]);
  const std::optional<double> high = number_of<double>(at.children[1]);
  if (!low || !high || !contains(range, *low) || !contains(range, *high) || *low >= *high) {
    return false;
  }
  clamp = {*low, *high};
  return true;
}

}  // namespace

void refuse_key(const YamlValue& root, std::string_view dotted_key, std::string_view why,
                ConfigErrors& errors) {
  const YamlValue* innermost = &root;
  for (std::string_view path = dotted_key; !path.empty();) {
    const std::size_t dot = std::min(path.find('.'), path.size());
    const YamlValue* child = innermost->find(path.substr(0, dot));
    if (child == nullptr) {
      break;
    }
    innermost = child;
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  errors.add(innermost->position, fmt::format("{}: {}: {}", innermost->place,
                                              name_in_errors(*innermost, dotted_key), why));
  errors.spoil(std::string(dotted_key));
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates) {
  std::string_view best;
  std::size_t fewest = word.size();
  for (const std::string_view candidate : candidates) {
    const std::size_t edits = edit_distance(word, candidate);
    if (edits <= (candidate.size() + 2) / 3 && edits < fewest) {
      fewest = edits;
      best = candidate;
    }
  }
  return best.empty() ? "" : fmt::format("; did you mean '{}'?", best);
}

YamlReader::YamlReader(const YamlValue& map, ConfigErrors& errors, std::string name)
    : map_(map),
      errors_(errors),
      name_(std::move(name)),
      is_map_(map.kind == YamlValue::Kind::map) {
  if (!is_map_) {
    errors_.add(map.position, fmt::format("{}: {}{}must be a map of keys, not {}", map.place, name_,
                                          name_.empty() ? "" : ": ", shown(map)));
    errors_.spoil(name_);
  }
}

void YamlReader::finish() {
  if (!is_map_) {
    return;
  }
  for (const YamlValue& child : map_.children) {
    if (is_unknown(child)) {
      const std::string guess = did_you_mean(child.key, known_);
      refuse(child, !guess.empty() ? "unknown key" + guess
                    : known_.empty()
                        ? "unknown key; none is valid here"
                        : fmt::format("unknown key; valid here: {}", fmt::join(known_, ", ")));
    }
  }
  for (const std::string_view key : missing_) {
    // A misspelt key is both missing and unknown; the second says more.
    if (std::ranges::none_of(map_.children, [&](const YamlValue& child) {
          return is_unknown(child) && !did_you_mean(child.key, {&key, 1}).empty();
        })) {
      errors_.add(map_.position,
                  fmt::format("{}: {}: required key is missing", map_.place, full(key)));
    }
  }
}

bool YamlReader::is_unknown(const YamlValue& child) const {
  return std::ranges::find(known_, child.key) == known_.end() &&
         std::ranges::find(refused_, child.key) == refused_.end();
}

const YamlValue* YamlReader::look_up(std::string_view key, Applies applies) {
  const YamlValue* found = map_.find(key);
  const bool ignored =
      !applies.here && found != nullptr && (found->only_if_it_applies || is_uncertain(applies));
  if (applies.here || ignored) {
    if (std::ranges::find(known_, key) == known_.end()) {
      known_.push_back(key);
    }
  } else if (found != nullptr) {
    refuse(*found, fmt::format("applies to {} only", applies.to));
    refused_.push_back(key);
  }
  return applies.here ? found : nullptr;
}

const YamlValue* YamlReader::find_required(const Key& key) {
  const YamlValue* found = find(key.name);
  if (found == nullptr) {
    add_missing(key, {});
  }
  return found;
}

std::string YamlReader::full(std::string_view key) const {
  return name_.empty() ? std::string(key) : fmt::format("{}.{}", name_, key);
}

void YamlReader::refuse(const YamlValue& at, std::string_view why) {
  errors_.add(at.position,
              fmt::format("{}: {}: {}", at.place, name_in_errors(at, full(at.key)), why));
  errors_.spoil(full(at.key));
}

void YamlReader::refuse_item(const YamlValue& at, std::string_view name, std::string_view why) {
  errors_.add(at.position, fmt::format("{}: {}: {}", at.place, name, why));
  errors_.spoil(std::string(name));
}

bool YamlReader::is_uncertain(const Applies& applies) const {
  return !applies.to.empty() &&
         (uncertain_ || (errors_.uncertain() && applies.decided == Decides::everywhere));
}

void YamlReader::be_uncertain(Decides decides) {
  uncertain_ = uncertain_ || decides == Decides::in_section;
  if (decides == Decides::everywhere) {
    errors_.set_uncertain();
  }
}

void YamlReader::add_missing(const Key& key, Applies applies) {
  const std::string name = full(key.name);
  const bool may_not_apply = is_uncertain(applies);
  be_uncertain(key.decides);
  if (is_map_ && !may_not_apply && !errors_.is_spoilt(name)) {
    missing_.push_back(key.name);
    errors_.spoil(name);
  }
}

std::optional<std::size_t> YamlReader::index_of(const YamlValue& at,
                                                std::span<const std::string_view> valid) {
  const auto match =
      at.kind == YamlValue::Kind::scalar ? std::ranges::find(valid, at.text) : valid.end();
  if (match == valid.end()) {
    refuse(at, fmt::format("must be one of {}, not {}{}", fmt::join(valid, ", "), shown(at),
                           did_you_mean(at.text, valid)));
    return std::nullopt;
  }
  return static_cast<std::size_t>(match - valid.begin());
}

std::vector<YamlReader::NamedItem> YamlReader::named_items(
    const YamlValue& list, std::span<const std::string_view> names) {
  std::vector<NamedItem> items;
  if (list.kind != YamlValue::Kind::sequence || list.children.empty()) {
    refuse(list,
           fmt::format("must be a list of at least one item, not {}",
                       list.kind == YamlValue::Kind::sequence ? "an empty one" : shown(list)));
    uncertain_ = true;
    return items;
  }
  for (std::size_t i = 0; i < list.children.size(); ++i) {
    const YamlValue& child = list.children[i];
    const std::string name = fmt::format("{}[{}]", full(list.key), i);
    const bool is_map = child.kind == YamlValue::Kind::map && child.children.size() == 1;
    if (!is_map && child.kind != YamlValue::Kind::scalar) {
      refuse_item(child, name,
                  fmt::format("must be a name or `name: {{keys}}`, not {}", shown(child)));
      uncertain_ = true;
      continue;
    }
    const std::string& word = is_map ? child.children.front().key : child.text;
    const auto known = std::ranges::find(names, word);
    if (known == names.end()) {
      refuse_item(child, name,
                  fmt::format("must be one of {}, not '{:.60}'{}", fmt::join(names, ", "), word,
                              did_you_mean(word, names)));
      uncertain_ = true;
      continue;
    }
    YamlValue keys{.kind = YamlValue::Kind::map, .place = child.place, .position = child.position};
    if (is_map && child.children.front().kind != YamlValue::Kind::null) {
      keys = child.children.front();
    }
    items.push_back({static_cast<std::size_t>(known - names.begin()), std::move(keys),
                     fmt::format("{}.{}", name, word)});
  }
  return items;
}

template <class Number>
bool YamlReader::convert_number(const YamlValue& at, Number& value, Range range) {
  const std::optional<Number> number = number_of<Number>(at);
  if (!number || !contains(range, *number)) {
    refuse(at, fmt::format("must be {}, not {}", expected<Number>(range), shown(at)));
    return false;
  }
  value = *number;
  return true;
}

bool YamlReader::convert(const YamlValue& at, int& value, Range range) {
  return convert_number(at, value, range);
}

bool YamlReader::convert(const YamlValue& at, std::int64_t& value, Range range) {
  return convert_number(at, value, range);
}

bool YamlReader::convert(const YamlValue& at, std::uint64_t& value, Range range) {
  return convert_number(at, value, range);
}

bool YamlReader::convert(const YamlValue& at, double& value, Range range) {
  return convert_number(at, value, range);
}

bool YamlReader::convert(const YamlValue& at, std::string& value, Range /*range*/) {
  if (at.kind != YamlValue::Kind::scalar) {
    refuse(at, fmt::format("must be text, not {}", shown(at)));
    return false;
  }
  if (at.text.empty()) {
    refuse(at, "must not be empty");
    return false;
  }
  if (!is_unicode(at.text)) {
    refuse(at, "is not UTF-8 text, and YAML can hold no other; rename what it names");
  }
  value = at.text;
  return true;
}

bool YamlReader::convert(const YamlValue& at, bool& value, Range /*range*/) {
  const bool plain = at.kind == YamlValue::Kind::scalar && !at.quoted;
  if (!plain || (at.text != "true" && at.text != "false")) {
    refuse(at, fmt::format("must be true or false, not {}", shown(at)));
    return false;
  }
  value = at.text == "true";
  return true;
}

bool YamlReader::convert(const YamlValue& at, Clamp& value, Range range) {
  if (!read_clamp(at, range, value)) {
    refuse(at, "must be null, or [low, high], two finite numbers with low < high");
    return false;
  }
  return true;
}

bool YamlReader::convert(const YamlValue& at, ClampChoice& value, Range range) {
  value.trained = at.kind == YamlValue::Kind::scalar && at.text == "trained";
  if (!value.trained && !read_clamp(at, range, value.other)) {
    refuse(at, "must be trained, null, or [low, high], two finite numbers with low < high");
    return false;
  }
  return true;
}

}  // namespace ebm
