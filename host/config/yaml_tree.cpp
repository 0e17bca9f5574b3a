#include "host/config/yaml_tree.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <optional>
#include <set>
#include <sstream>
#include <utility>

#include "cuda/base/errors.h"

namespace ebm {
namespace {

// A convolution in three residuals, one in the other, is 14 levels deep. The parser recurses once a
// level, so this also bounds its stack.
constexpr std::size_t kMaxNesting = 16;

std::string place_of(const YamlSource& source, const YAML::Mark& mark) {
  return source.has_lines ? fmt::format("{}:{}", source.name, mark.line + 1) : source.name;
}

std::size_t position_of(const YamlSource& source, const YAML::Mark& mark) {
  return source.has_lines ? static_cast<std::size_t>(mark.pos) : source.position;
}

[[noreturn]] void refuse(const std::string& place, std::string_view why) {
  throw ConfigurationError(fmt::format("{}: {}", place, why));
}

// Builds the tree from the parser's events. While a container is open only its innermost open
// descendant grows, so the pointers in `open_` stay valid.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(const YamlSource& source, ConfigErrors& errors) : source_(source), errors_(errors) {}

  YamlValue take_root() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
  void OnDocumentEnd() override {}
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapEnd() override { open_.pop_back(); }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    add(mark, {.kind = YamlValue::Kind::null});
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/,
                const std::string& value) override {
    const bool quoted = tag == "!";
    if (!quoted) {
      refuse_explicit(mark, tag);
    }
    if (!open_.empty() && open_.back().awaits_key()) {
      add_key(mark, value);
    } else {
      add(mark, {.kind = YamlValue::Kind::scalar, .text = value, .quoted = quoted});
    }
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/,
                       YAML::EmitterStyle::value /*style*/) override {
    open(mark, tag, YamlValue::Kind::sequence);
  }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/,
                  YAML::EmitterStyle::value /*style*/) override {
    open(mark, tag, YamlValue::Kind::map);
  }

  void OnAnchor(const YAML::Mark& mark, const std::string& /*name*/) override {
    refuse(place_of(source_, mark), "YAML anchors (&name) are not supported");
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    refuse(place_of(source_, mark), "YAML aliases (*name) are not supported");
  }

 private:
  struct Key {
    std::string name;
    std::string place;
    std::size_t position;
  };

  struct Container {
    YamlValue* value;
    std::set<std::string, std::less<>> keys;  // seen so far
    std::optional<Key> key;                   // read, its value not yet

    bool awaits_key() const { return value->kind == YamlValue::Kind::map && !key; }
  };

  void refuse_explicit(const YAML::Mark& mark, const std::string& tag) const {
    if (!tag.empty() && tag != "?") {
      refuse(place_of(source_, mark), "YAML tags (!type) are not supported");
    }
  }

  void add_key(const YAML::Mark& mark, const std::string& name) {
    const std::string place = place_of(source_, mark);
    const std::size_t position = position_of(source_, mark);
    if (!open_.back().keys.insert(name).second && name != source_.repeatable) {
      errors_.add(position, fmt::format("{}: duplicate key '{:.60}'", place, name));
    }
    open_.back().key = Key{name, place, position};
  }

  YamlValue& add(const YAML::Mark& mark, YamlValue value) {
    value.place = place_of(source_, mark);
    value.position = position_of(source_, mark);
    if (open_.empty()) {
      root_ = std::move(value);
      return root_;
    }
    Container& parent = open_.back();
    if (parent.awaits_key()) {
      refuse(value.place, "a key must be a plain name (or a bracket is not closed)");
    }
    if (parent.key) {
      value.key = std::move(parent.key->name);
      value.place = std::move(parent.key->place);
      value.position = parent.key->position;
      parent.key.reset();
    }
    return parent.value->children.emplace_back(std::move(value));
  }

  void open(const YAML::Mark& mark, const std::string& tag, YamlValue::Kind kind) {
    refuse_explicit(mark, tag);
    if (open_.size() == kMaxNesting) {
      refuse(place_of(source_, mark), fmt::format("nested more than {} levels deep", kMaxNesting));
    }
    YamlValue& value = add(mark, {.kind = kind});
    open_.push_back({.value = &value, .keys = {}, .key = {}});
  }

  const YamlSource& source_;
  ConfigErrors& errors_;
  YamlValue root_;
  std::vector<Container> open_;
};

}  // namespace

const YamlValue* YamlValue::find(std::string_view name) const {
  const auto child = std::ranges::find(children, name, &YamlValue::key);
  return child == children.end() ? nullptr : &*child;
}

YamlValue* YamlValue::find(std::string_view name) {
  const auto child = std::ranges::find(children, name, &YamlValue::key);
  return child == children.end() ? nullptr : &*child;
}

YamlValue parse_yaml(const std::string& text, const YamlSource& source, ConfigErrors& errors) {
  std::istringstream stream(text);
  try {
    YAML::Parser parser(stream);
    TreeBuilder builder(source, errors);
    if (!parser.HandleNextDocument(builder)) {
      refuse(source.name, "is empty");
    }
    YamlValue root = builder.take_root();
    TreeBuilder rest(source, errors);
    if (parser.HandleNextDocument(rest)) {
      refuse(rest.take_root().place, "a second YAML document starts; only one is allowed");
    }
    return root;
  } catch (const YAML::Exception& error) {
    refuse(place_of(source, error.mark), "not valid YAML: " + error.msg);
  }
}

void apply_override(YamlValue& root, const std::string& override_text, std::size_t position,
                    ConfigErrors& errors) {
  const std::string place = "--set " + override_text;
  const std::size_t equals = override_text.find('=');
  const std::string path = '.' + override_text.substr(0, equals) + '.';
  if (equals == std::string::npos || path.find("..") != std::string::npos) {
    refuse(place, "expected section.key=value");
  }
  YamlValue value = parse_yaml(override_text.substr(equals + 1),
                               {.name = place, .has_lines = false, .position = position}, errors);

  YamlValue* target = &root;
  if (root.kind != YamlValue::Kind::map) {
    return;
  }
  std::istringstream names(path.substr(1));
  for (std::string name; std::getline(names, name, '.');) {
    if (target->kind != YamlValue::Kind::map) {
      refuse(place, fmt::format("'{}' is not a section", target->key));
    }
    YamlValue* child = target->find(name);
    if (child == nullptr) {
      child = &target->children.emplace_back(YamlValue{
          .kind = YamlValue::Kind::map, .place = place, .position = position, .key = name});
    }
    target = child;
  }
  value.key = target->key;
  *target = std::move(value);
}

}  // namespace ebm
