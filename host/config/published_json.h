// The configuration files published with the paper's code: flat JSON objects, of three kinds
// (training on images, training on toy data, sampling). They are turned into the tree that our YAML
// would have, so that one reader and one set of rules serve both.
//
// `_comment` may repeat and is ignored; any other key twice is an error, and every key of the kind
// must be there. Where the published code does not look at a key neither do we: `s_t_0_size`
// without persistent chains, `noise_init_factor` without noise, the long runs' keys with
// `log_longrun` false. The files do not say where the data are, so that is `data/KIND`, and the run
// has the file's name.
#pragma once

#include <filesystem>
#include <string>

#include "host/config/config_errors.h"
#include "host/config/yaml_tree.h"

namespace ebm {

enum class PublishedUse { training, sampling };

/// Whether a configuration file is a published one: its name ends in ".json".
bool is_published_json(const std::filesystem::path& file);

/// The tree of the file's text. Its values keep their lines and, for error messages, the keys that
/// they have in the file. Throws ConfigurationError naming file, line, key and remedy when this is
/// not JSON or is for the other use; adds errors of unknown, repeated or missing keys. Values are
/// checked as far as they are translated; the rest is left to whoever reads the tree.
YamlValue parse_published_json(const std::string& text, const std::filesystem::path& file,
                               PublishedUse use, ConfigErrors& errors);

}  // namespace ebm
