// What a saved network and its run say of a configuration that is about them, as keys of its tree.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/config/yaml_tree.h"
#include "host/training/checkpoint.h"
#include "host/training/saved_run.h"

namespace ebm {

/// A key of a section, a text or a number; `place` is for errors.
YamlValue text_key(std::string key, std::string value, const std::string& place);
YamlValue number_key(std::string key, std::string value, const std::string& place);

/// A section of those keys.
YamlValue section_key(std::string key, std::vector<YamlValue> children, const std::string& place);

/// "" where there is none.
std::string_view text_of(const YamlValue* value);

/// The section of that name, made where it is missing; none where it is not a map.
YamlValue* section_of(YamlValue& tree, std::string_view name);

void add_if_missing(YamlValue& map, YamlValue value);

/// Adds the keys that a section does not have, but to one of another kind, of which the defaults
/// say nothing.
void complete_section(YamlValue& tree, std::string_view name, const YamlValue& defaults);

/// Adds to the section `network` what the file says itself, and returns the rest of that; nothing
/// where it does not say what it is. Throws ConfigurationError where the tree asks for another
/// network, InputFileError for a file that cannot be read.
std::optional<CheckpointInfo> complete_network(YamlValue& tree, const std::filesystem::path& file);

/// Whether a command line's word is a run or a network, not a configuration.
bool is_run_or_network(const std::filesystem::path& what);

/// A name for what is made from it: the run's, or else the file's.
std::string name_of(const SavedRun& saved);

}  // namespace ebm
