// The reference configurations: that the files are what the code says, and what they say is so.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "host/config/config.h"
#include "host/config/keys.h"
#include "host/config/reference.h"
#include "tests/support/places.h"
#include "tests/support/temporary_folder.h"

namespace ebm {
namespace {

const std::filesystem::path kTraining = shipped_configs() / "reference.yaml";
const std::filesystem::path kSampling = shipped_configs() / "sampling/reference.yaml";
const std::filesystem::path kEvaluation = shipped_configs() / "evaluation/reference.yaml";

/// Visits the keys of a configuration and looks for each in the reference, also for those that do
/// not apply to it. Required values are taken from there, all others must be what they are already.
class Comparison {
 public:
  Comparison(const YamlValue& map, ConfigErrors& errors, std::string name = "")
      : errors_(errors), name_(std::move(name)), reader_(map, errors, name_) {}

  template <class T>
  void required(const Key& key, T& value, Range range = {}, Applies /*applies*/ = {}) {
    reader_.required(key, value, range);
  }

  template <class T>
  void optional(const Key& key, T& value, Range range = {}, Applies /*applies*/ = {}) {
    T stated = value;
    reader_.required(key, stated, range);
    EXPECT_EQ(stated, value) << full(key) << " has another default";
  }

  template <class T>
  void default_to(T& value, std::type_identity_t<T> fallback) {
    value = fallback;
  }

  template <class Visit>
  void section(const Key& key, Visit visit, Applies /*applies*/ = {}) {
    const YamlValue* found = reader_.find_required(key);
    ASSERT_NE(found, nullptr) << full(key);
    Comparison inner(*found, errors_, full(key));
    visit(inner);
    inner.finish();
  }

  /// The list in the reference has one item of each name, in their order; an item's own list, none.
  template <class Item, class Visit>
  void list(const Key& key, const std::vector<Item>& /*items*/, Visit visit,
            Applies /*applies*/ = {}) {
    const YamlValue* found = reader_.find_required(key);
    ASSERT_NE(found, nullptr) << full(key);
    const std::vector<YamlValue>& stated = found->children;
    if (in_item_) {
      EXPECT_TRUE(stated.empty()) << full(key);
      return;
    }
    const auto names = item_names(Item{});
    ASSERT_EQ(stated.size(), names.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
      YamlValue keys{.kind = YamlValue::Kind::map, .place = stated[i].place};
      const bool has_keys = stated[i].kind == YamlValue::Kind::map;
      EXPECT_EQ(has_keys ? stated[i].children.at(0).key : stated[i].text, names[i]);
      if (has_keys) {
        keys = stated[i].children.at(0);
      }
      Item item;
      name_item(item, i);
      Comparison inner(keys, errors_, fmt::format("{}.{}", full(key), names[i]));
      inner.in_item_ = true;
      visit(inner, item);
      inner.finish();
    }
  }

  /// Adds an error where the reference has a key that was not asked for.
  void finish() { reader_.finish(); }

 private:
  std::string full(const Key& key) const {
    return name_.empty() ? std::string(key.name) : fmt::format("{}.{}", name_, key.name);
  }

  ConfigErrors& errors_;
  std::string name_;
  YamlReader reader_;
  bool in_item_ = false;  // of a list
};

/// The reference with the keys that stand behind a # put in.
std::string with_all_keys(const std::string& text) {
  static const std::regex hidden("(^|\n)( *)#([-a-z])");
  return std::regex_replace(text, hidden, "$1$2$3");
}

template <class Config, class Visit>
void compare(const std::string& text, Visit visit) {
  ConfigErrors errors;
  const YamlValue tree = parse_yaml(with_all_keys(text), {.name = "reference"}, errors);
  Comparison comparison(tree, errors);
  Config config;
  visit(comparison, config);
  comparison.finish();
  EXPECT_NO_THROW(errors.throw_if_any());
}

TEST(ReferenceConfig, FilesAreWhatTheProgramsPrint) {
  EXPECT_EQ(read_bytes(kTraining), training_reference())
      << "to write it anew: ebm_train --reference >configs/reference.yaml";
  EXPECT_EQ(read_bytes(kSampling), sampling_reference())
      << "to write it anew: ebm_sample --reference >configs/sampling/reference.yaml";
  EXPECT_EQ(read_bytes(kEvaluation), evaluation_reference())
      << "to write it anew: ebm_evaluate --reference >configs/evaluation/reference.yaml";
}

TEST(ReferenceConfig, FitsAPage) {
  std::istringstream text(training_reference() + sampling_reference() + evaluation_reference());
  for (std::string line; std::getline(text, line);) {
    EXPECT_LE(line.size(), 100U) << line;
    EXPECT_FALSE(line.ends_with(' ')) << line;
  }
}

TEST(ReferenceConfig, HasEveryKeyOfTrainingWithItsDefault) {
  compare<TrainConfig>(training_reference(),
                       [](auto& io, auto& config) { visit_training(io, config); });
}

TEST(ReferenceConfig, HasEveryKeyOfSamplingWithItsDefault) {
  compare<SampleConfig>(sampling_reference(),
                        [](auto& io, auto& config) { visit_sampling(io, config); });
}

TEST(ReferenceConfig, HasEveryKeyOfEvaluationWithItsDefault) {
  compare<EvaluateConfig>(evaluation_reference(),
                          [](auto& io, auto& config) { visit_evaluation(io, config); });
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
    ConfigErrors errors;
    return keys_of(parse_yaml(text, {.name = "a reference"}, errors));
  };
  EXPECT_EQ(keys(read_bytes(kTraining)), keys(to_yaml(load_train_config(kTraining))));
  EXPECT_EQ(keys(read_bytes(kSampling)), keys(to_yaml(load_sample_config(kSampling))));
  EXPECT_EQ(keys(read_bytes(kEvaluation)), keys(to_yaml(load_evaluate_config(kEvaluation))));
}

}  // namespace
}  // namespace ebm
