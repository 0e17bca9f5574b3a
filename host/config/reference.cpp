#include "host/config/reference.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "host/config/config.h"
#include "host/config/keys.h"
#include "host/config/yaml_reader.h"
#include "host/config/yaml_tree.h"

namespace ebm {
namespace {

constexpr std::size_t kWidth = 100;  // of lines
constexpr std::size_t kColumn = 28;  // where what is said of a key begins

/// What a value may be, in words.
template <class T>
std::string words(const Range& range) {
  if constexpr (std::is_enum_v<T>) {
    return fmt::format("{}", fmt::join(names(T{}), " | "));
  } else if constexpr (std::is_same_v<T, bool>) {
    return "true | false";
  } else if constexpr (std::is_same_v<T, Clamp>) {
    return "null or [low, high]";
  } else if constexpr (std::is_same_v<T, ClampChoice>) {
    return "trained, null or [low, high]";
  }
  const bool ends = std::isfinite(range.high);
  if (range.low_excluded) {
    return fmt::format("above {}", range.low) +
           (ends ? fmt::format(" and at most {}", range.high) : "");
  }
  if (!std::isfinite(range.low)) {
    return "";
  }
  return ends ? fmt::format("{} to {}", range.low, range.high)
              : fmt::format("at least {}", range.low);
}

/// A value; where it is none that the key may have, the least of those.
template <class T>
std::string shown(const T& value, [[maybe_unused]] const Range& range) {
  if constexpr (std::is_enum_v<T>) {
    return std::string(to_string(value));
  } else if constexpr (std::is_same_v<T, Clamp>) {
    return value ? fmt::format("[{:g}, {:g}]", value->first, value->second) : "null";
  } else if constexpr (std::is_same_v<T, ClampChoice>) {
    return value.trained ? "trained" : shown(value.other, range);
  } else if constexpr (std::is_same_v<T, double>) {
    return fmt::format("{:g}", value);
  } else if constexpr (std::is_same_v<T, int>) {
    return fmt::format("{}", std::max<double>(value, range.low));
  } else {
    return fmt::format("{}", value);
  }
}

/// "# TEXT" from a column on, in as many lines as it takes.
std::string comment(std::string_view text, std::size_t column) {
  std::string lines = "#";
  std::size_t length = column + 1;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (length + 1 + end > kWidth) {
      lines += fmt::format("\n{:{}}#", "", column);
      length = column + 1;
    }
    lines += fmt::format(" {}", text.substr(0, end));
    length += 1 + end;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines + "\n";
}

/// Writes a configuration with every key there is, by the members that YamlWriter has, too. What
/// does not apply to the configuration is behind a #.
class ReferenceWriter {
 public:
  explicit ReferenceWriter(std::size_t indent = 0, bool hidden = false)
      : indent_(indent), hidden_(hidden) {}

  template <class T>
  void required(const Key& key, const T& value, Range range = {}, Applies applies = {}) {
    write(key, {"required", words<T>(range), key.about}, shown(value, range), applies);
  }

  template <class T>
  void optional(const Key& key, const T& value, Range range = {}, Applies applies = {}) {
    write(key, {words<T>(range), key.about}, shown(value, range), applies);
  }

  template <class T>
  void default_to(const T& /*value*/, const std::type_identity_t<T>& /*fallback*/) {}

  template <class Visit>
  void section(const Key& key, Visit visit, Applies applies = {}) {
    ReferenceWriter keys(indent_ + 2, hidden_ || !applies.here);
    visit(keys);
    blank_line();
    is_after_section_ = true;
    std::string heading(key.about);
    if (!applies.to.empty()) {
      heading = fmt::format("For {}. {}", applies.to, heading);
    }
    say(heading);
    text_ += fmt::format("{}:\n{}", name_of(key.name, keys.hidden_), keys.finish());
  }

  /// One item of each name; in an item's own list, none.
  template <class Item, class Visit>
  void list(const Key& key, const std::vector<Item>& /*items*/, Visit visit) {
    if (in_item_) {
      write(key, {"required", key.about}, "[]", {});
      return;
    }
    ReferenceWriter lines(indent_, true);
    lines.say(key.about);
    lines.text_ += fmt::format("{}:\n", lines.name_of(key.name, true));
    const std::span<const std::string_view> names = item_names(Item{});
    for (std::size_t place = 0; place < names.size(); ++place) {
      Item item{};
      name_item(item, place);
      ReferenceWriter keys(indent_ + 6, true);
      keys.in_item_ = true;
      visit(keys, item);
      lines.text_ += fmt::format("{:{}}#- {}{}\n{}", "", indent_ + 2, names[place],
                                 keys.text_.empty() ? "" : ":", keys.text_);
    }
    lists_ += lines.text_;
  }

  /// The whole text, lists last, once every key has been written.
  std::string finish() const { return text_ + lists_; }

 private:
  void blank_line() {
    if (indent_ == 0) {
      text_ += '\n';
    }
  }

  /// A comment of its own.
  void say(std::string_view text) {
    if (!text.empty()) {
      text_ += std::string(indent_, ' ') + comment(text, indent_);
    }
  }

  std::string name_of(std::string_view key, bool hidden) const {
    return fmt::format("{:{}}{}{}", "", indent_, hidden ? "#" : "", key);
  }

  void write(const Key& key, std::vector<std::string_view> about, const std::string& value,
             Applies applies) {
    if (std::exchange(is_after_section_, false)) {
      blank_line();
    }
    const std::string_view group = applies.here ? "" : applies.to;
    if (group != std::exchange(group_, group) && !group.empty()) {
      say(fmt::format("For {}.", group));
    }
    std::string line = fmt::format("{}: {}", name_of(key.name, hidden_ || !applies.here), value);
    line.resize(std::max(line.size() + 2, kColumn), ' ');
    std::erase(about, "");
    text_ += line + comment(fmt::format("{}", fmt::join(about, "; ")), line.size());
  }

  std::size_t indent_;
  bool hidden_;
  bool in_item_ = false;  // of a list
  std::string text_;
  std::string lists_;
  std::string_view group_;  // to what the hidden keys at the end of the text apply
  bool is_after_section_ = false;
};

/// `example` has what must be there; all else is as it is by default.
template <class Config, class Visit>
std::string reference(std::string_view kind, std::string_view shows, const std::string& example,
                      Visit visit) {
  ConfigErrors errors;
  const YamlValue tree = parse_yaml(example, {.name = "reference"}, errors);
  YamlReader reader(tree, errors);
  Config config;
  visit(reader, config);
  ReferenceWriter writer;
  visit(writer, std::as_const(config));
  return comment(fmt::format("Every key of a {} configuration: its default, what it may be, what "
                             "it means. As it stands this file is {}.",
                             kind, shows),
                 0) +
         comment(
             "\"required\" marks keys without a default. A key behind a # does not apply to "
             "this file; the line above says to what it does.",
             0) +
         "\n" + writer.finish();
}

}  // namespace

std::string training_reference() {
  return reference<TrainConfig>(
      "training", "the published mnist_convergent without noise on its data and long runs",
      "name: reference\n"
      "data: {kind: mnist, path: data/mnist}\n"
      "network: {kind: nonlocal}\n"
      "optimizer: {kind: sgd, lr: 0.01}\n"
      "langevin: {epsilon: 0.0075, steps: 500, init: persistent}\n"
      "train: {iterations: 100000}\n",
      [](auto& io, auto& config) { visit_training(io, config); });
}

std::string sampling_reference() {
  return reference<SampleConfig>(
      "sampling", "the published flowers_convergent, logged more often",
      "name: reference\n"
      "network: {kind: nonlocal}\n"
      "start: data\n"
      "data: {kind: flowers102, path: data/flowers102}\n"
      "sample: {checkpoint: net_200000.safetensors, train_epsilon: 0.0075, epsilon: 0.0075,\n"
      "         steps: 250000}\n",
      [](auto& io, auto& config) { visit_sampling(io, config); });
}

std::string evaluation_reference() {
  return reference<EvaluateConfig>(
      "evaluation", "of a run of the published flowers_convergent, without noise on its data",
      "name: reference\n"
      "network: {kind: nonlocal}\n"
      "data: {kind: flowers102, path: data/flowers102}\n"
      "langevin: {epsilon: 0.0075, steps: 500, init: persistent}\n"
      "evaluate: {checkpoint: runs/flowers_convergent}\n",
      [](auto& io, auto& config) { visit_evaluation(io, config); });
}

}  // namespace ebm
