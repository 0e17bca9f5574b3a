// Small JSON files: what programs leave beside their arrays and pictures.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

namespace ebm {

/// The object that a JSON file holds, its keys in their order. Throws InputFileError naming the
/// file when it cannot be read, is not JSON or holds something else, and for one nested more than
/// sixteen deep.
nlohmann::ordered_json read_json_object(const std::filesystem::path& path);

}  // namespace ebm
