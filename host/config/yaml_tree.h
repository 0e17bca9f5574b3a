// YAML text as a tree of plain values that know where they were written. It takes the part of YAML
// a configuration needs: one document of maps, lists and scalars. Anchors, aliases, explicit tags,
// duplicate keys, keys that are not plain names and deep nesting are refused, so hostile text
// cannot make the tree larger than the text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "host/config/config_errors.h"

namespace ebm {

/// Where text comes from, as errors name it: "configs/x.yaml:7", or "--set a.b=c".
struct YamlSource {
  std::string name;
  bool has_lines = true;
  std::string_view repeatable{};  ///< the one key that a map may have more than once
  std::size_t position = 0;       ///< without lines: that of all values, as ConfigErrors has it
};

/// One value, with everything below it. An ordinary value: copies are independent.
struct YamlValue {
  enum class Kind { null, scalar, sequence, map };

  Kind kind = Kind::null;
  std::string place{};  ///< for error messages; of the key, if there is one
  std::size_t position = ConfigErrors::kWholeFile;  ///< by which they are ordered
  std::string key{};                                ///< its name in the map it is in, else empty
  std::string text{};                               ///< of a scalar
  bool quoted = false;                ///< a scalar written in quotes is text, never a number
  std::string written_key{};          ///< the key in the file, where that is another than `key`
  bool only_if_it_applies = false;    ///< ignored where its key does not apply, not refused
  std::vector<YamlValue> children{};  ///< of a map (with distinct keys) or a sequence, as written

  /// The child with this key, or null. Valid until `children` changes.
  const YamlValue* find(std::string_view name) const;
  YamlValue* find(std::string_view name);
};

/// Parses one YAML document. Throws ConfigurationError, naming source and line, if `text` is not
/// valid YAML, holds none or several documents, or uses a refused feature. Duplicate keys are added
/// to the errors; the first one counts.
YamlValue parse_yaml(const std::string& text, const YamlSource& source, ConfigErrors& errors);

/// Sets the value an override "section.key=value" names, whose value is YAML itself (`[-1, 1]`,
/// `null`), and adds the sections on its way that are missing. A map replaces a whole section.
/// Leaves a root that is no map alone. Throws ConfigurationError, having changed nothing, if the
/// override does not have that form. `position` is for errors of the value.
void apply_override(YamlValue& root, const std::string& override_text, std::size_t position,
                    ConfigErrors& errors);

}  // namespace ebm
