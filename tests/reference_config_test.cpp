// The reference configurations against the code: that they name every key there is and no other,
// with the code's own defaults, ranges and words.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "host/config/config.h"
#include "host/config/keys.h"
#include "tests/places.h"
#include "tests/temporary_folder.h"

namespace ebm {
namespace {

const std::filesystem::path kConfigs = shipped_configs();

/// What the file may say of a value's type and range.
template <class T>
std::string words(const Range& range) {
  if constexpr (std::is_enum_v<T>) {
    return fmt::format("{}", fmt::join(names(T{}), " | "));
  } else if constexpr (std::is_same_v<T, bool>) {
    return "true | false";
  }
  const bool ends = std::isfinite(range.high);
  if (range.low_excluded) {
    return fmt::format("above {}", range.low) +
           (ends ? fmt::format(" and at most {}", range.high) : "");
  }
  if (std::isfinite(range.low)) {
    return ends ? fmt::format("{} to {}", range.low, range.high)
                : fmt::format("at least {}", range.low);
  }
  return "";
}

/// Visits the keys of a configuration and looks for each in the reference, also for those that do
/// not apply to it. Required values are taken from there, all others must be what they are already.
class Comparison {
 public:
  Comparison(const YamlValue& map, const std::vector<std::string>& lines, std::string name = "")
      : map_(map), lines_(lines), name_(std::move(name)), reader_(map, name_) {}

  template <class T>
  void required(std::string_view key, T& value, Range range = {}, Applies /*applies*/ = {}) {
    expect_comment(key, "required;", "required,");
    expect_comment(key, words<T>(range));
    reader_.required(key, value, range);
  }

  template <class T>
  void optional(std::string_view key, T& value, Range range = {}, Applies /*applies*/ = {}) {
    expect_comment(key, words<T>(range));
    T stated = value;
    reader_.required(key, stated, range);
    EXPECT_EQ(stated, value) << full(key) << " has another default";
  }

  template <class T>
  void default_to(T& value, std::type_identity_t<T> fallback) {
    value = fallback;
  }

  template <class Visit>
  void section(std::string_view key, Visit visit, Applies /*applies*/ = {}) {
    Comparison inner(reader_.at(key), lines_, full(key));
    visit(inner);
    inner.finish();
  }

  /// The list in the reference has one item of each kind, in their order.
  template <class Item, class Visit>
  void list(std::string_view key, const std::vector<Item>& /*items*/, Visit visit,
            Applies /*applies*/ = {}) {
    const auto kinds = names(decltype(Item::kind){});
    const std::vector<YamlValue>& stated = reader_.at(key).children;
    ASSERT_EQ(stated.size(), kinds.size());
    for (std::size_t i = 0; i < kinds.size(); ++i) {
      YamlValue keys{.kind = YamlValue::Kind::map, .place = stated[i].place};
      const bool has_keys = stated[i].kind == YamlValue::Kind::map;
      EXPECT_EQ(has_keys ? stated[i].children.at(0).key : stated[i].text, kinds[i]);
      if (has_keys) {
        keys = stated[i].children.at(0);
      }
      Item item;
      item.kind = static_cast<decltype(item.kind)>(i);
      Comparison inner(keys, lines_, fmt::format("{}.{}", full(key), kinds[i]));
      inner.is_item_ = true;
      visit(inner, item);
      inner.finish();
    }
  }

  /// Throws where the reference has a key that was not asked for.
  void finish() const { reader_.finish(); }

 private:
  std::string full(std::string_view key) const {
    return name_.empty() ? std::string(key) : fmt::format("{}.{}", name_, key);
  }

  /// Of a value: what stands behind it on its line. Of an item's: what the next lines say of it.
  std::string comment(std::string_view key) const {
    const YamlValue* found = map_.find(key);
    if (found == nullptr) {
      return "";
    }
    const auto line = std::stoul(found->place.substr(found->place.rfind(':') + 1)) - 1;
    if (!is_item_) {
      return lines_[line].substr(lines_[line].find('#') + 1);
    }
    const std::string below = lines_.at(line + 1) + lines_.at(line + 2);
    const std::size_t begin = std::min(below.find(fmt::format(" {}: ", key)), below.size());
    return below.substr(begin, below.find(". ", begin) - begin);
  }

  void expect_comment(std::string_view key, const std::string& part,
                      const std::string& or_part = "\n") const {
    const std::string text = comment(key);
    EXPECT_TRUE(text.find(part) != std::string::npos || text.find(or_part) != std::string::npos)
        << full(key) << " is explained by \"" << text << "\", without \"" << part << '"';
  }

  const YamlValue& map_;
  const std::vector<std::string>& lines_;
  std::string name_;
  YamlReader reader_;
  bool is_item_ = false;
};

/// The reference with the keys that stand behind a # put in.
std::string with_all_keys(const std::filesystem::path& file) {
  static const std::regex hidden("(^|\n)( *)#([a-z])");
  return std::regex_replace(read_bytes(file), hidden, "$1$2$3");
}

template <class Config, class Visit>
void compare(const std::filesystem::path& file, Visit visit) {
  const std::string text = with_all_keys(file);
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(line);
  }
  const YamlValue tree = parse_yaml(text, {.name = file.string()});
  Comparison comparison(tree, lines);
  Config config;
  visit(comparison, config);
  comparison.finish();
}

TEST(ReferenceConfig, HasEveryKeyOfTrainingWithItsDefaultAndRange) {
  compare<TrainConfig>(kConfigs / "reference.yaml",
                       [](auto& io, auto& config) { visit_training(io, config); });
}

TEST(ReferenceConfig, HasEveryKeyOfSamplingWithItsDefaultAndRange) {
  compare<SampleConfig>(kConfigs / "sampling/reference.yaml",
                        [](auto& io, auto& config) { visit_sampling(io, config); });
}

/// Dotted names of the keys below a map.
std::set<std::string> keys_of(const YamlValue& map, const std::string& prefix = "") {
  std::set<std::string> keys;
  for (const YamlValue& child : map.children) {
    keys.insert(prefix + child.key);
    if (child.kind == YamlValue::Kind::map) {
      keys.merge(keys_of(child, prefix + child.key + '.'));
    }
  }
  return keys;
}

TEST(ReferenceConfig, HidesTheKeysThatDoNotApplyAndNoOthers) {
  const auto keys = [](const std::string& text) {
    return keys_of(parse_yaml(text, {.name = "a reference"}));
  };
  const auto training = kConfigs / "reference.yaml";
  EXPECT_EQ(keys(read_bytes(training)), keys(to_yaml(load_train_config(training))));
  const auto sampling = kConfigs / "sampling/reference.yaml";
  EXPECT_EQ(keys(read_bytes(sampling)), keys(to_yaml(load_sample_config(sampling))));
}

}  // namespace
}  // namespace ebm
