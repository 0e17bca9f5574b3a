// Writes variables as the YAML that YamlReader reads: the same members, called in the same order.
#pragma once

#include <fmt/format.h>
#include <yaml-cpp/emitter.h>

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "host/config/yaml_reader.h"

namespace ebm {

/// Top-level sections are one line each. Numbers are the shortest text that reads back the same.
class YamlWriter {
 public:
  YamlWriter() { emitter_ << YAML::BeginMap; }

  template <class T>
  void required(const Key& key, const T& value, Range /*range*/ = {}, Applies applies = {}) {
    if (applies.here) {
      is_empty_ = false;
      emitter_ << YAML::Key << std::string(key.name) << YAML::Value;
      write(value);
    }
  }

  template <class T>
  void optional(const Key& key, const T& value, Range range = {}, Applies applies = {}) {
    required(key, value, range, applies);
  }

  template <class T>
  void default_to(const T& /*value*/, const std::type_identity_t<T>& /*fallback*/) {}

  template <class Visit>
  void section(const Key& key, Visit visit, Applies applies = {}) {
    if (applies.here) {
      emitter_ << YAML::Key << std::string(key.name) << YAML::Value << YAML::Flow << YAML::BeginMap;
      visit(*this);
      emitter_ << YAML::EndMap;
    }
  }

  template <class Items, class Visit>
  void list(const Key& key, const Items& items, Visit visit, Applies applies = {}) {
    if (!applies.here || items.empty()) {
      return;
    }
    is_empty_ = false;
    emitter_ << YAML::Key << std::string(key.name) << YAML::Value << YAML::Flow << YAML::BeginSeq;
    for (const auto& item : items) {
      YamlWriter keys;
      visit(keys, item);
      if (keys.is_empty_) {
        emitter_ << std::string(item_name(item));
      } else {
        emitter_ << YAML::BeginMap << YAML::Key << std::string(item_name(item)) << YAML::Value
                 << YAML::BeginMap;
        visit(*this, item);
        emitter_ << YAML::EndMap << YAML::EndMap;
      }
    }
    emitter_ << YAML::EndSeq;
  }

  /// The whole text, once every key has been written.
  std::string finish() {
    emitter_ << YAML::EndMap << YAML::Newline;
    return emitter_.c_str();
  }

 private:
  template <class T>
  void write(const T& value) {
    if constexpr (std::is_enum_v<T>) {
      emitter_ << std::string(to_string(value));
    } else {
      emitter_ << fmt::format("{}", value);
    }
  }

  void write(const ClampChoice& value) {
    if (value.trained) {
      emitter_ << "trained";
    } else {
      write(value.other);
    }
  }

  void write(const Clamp& value) {
    if (!value) {
      emitter_ << YAML::LowerNull << YAML::Null;
      return;
    }
    emitter_ << YAML::Flow << YAML::BeginSeq;
    write(value->first);
    write(value->second);
    emitter_ << YAML::EndSeq;
  }

  YAML::Emitter emitter_;
  bool is_empty_ = true;  // no key written yet
};

}  // namespace ebm
