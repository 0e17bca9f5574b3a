#include "host/files/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <utility>

#include "cuda/base/errors.h"
#include "host/files/half_float.h"
#include "host/files/input_file.h"
#include "host/files/shape.h"

namespace ebm {
namespace {

using nlohmann::json;

constexpr const char* kMetadata = "__metadata__";
constexpr std::uint64_t kLongestHeader = 100'000'000;  // the format's own limit
constexpr std::size_t kAlignment = 8;
constexpr int kDeepestNesting = 8;  // the format needs 3; unlimited, a hostile header eats memory

/// How the elements of a dtype become floats.
struct StoredType {
  std::string_view dtype;
  std::uint64_t size = 0;  ///< bytes of an element
  std::vector<float> (InputFile::*read)(std::uint64_t count) = nullptr;
};

/// Null for a dtype that is not read.
const StoredType* stored_type(std::string_view dtype) {
  static constexpr std::array<StoredType, 7> kTypes{{
      {"F32", sizeof(float), &InputFile::read_floats<float>},
      {"F64", sizeof(double), &InputFile::read_floats<double>},
      {"F16", sizeof(Float16), &InputFile::read_floats<Float16>},
      {"BF16", sizeof(StoredBfloat16), &InputFile::read_floats<StoredBfloat16>},
      {"U8", sizeof(std::uint8_t), &InputFile::read_floats<std::uint8_t>},
      {"BOOL", sizeof(std::uint8_t), &InputFile::read_floats<std::uint8_t>},
      {"I64", sizeof(std::int64_t), &InputFile::read_floats<std::int64_t>},
  }};
  const auto* found = std::ranges::find(kTypes, dtype, &StoredType::dtype);
  return found == kTypes.end() ? nullptr : found;
}

/// More than any network has. Parsing takes a time that grows with their square: a fifth of a
/// second.
constexpr std::size_t kMostNames = 4'000;

/// What the header says of one tensor.
struct Entry {
  std::string name;
  const StoredType* type = nullptr;
  std::vector<std::int64_t> shape;
  std::uint64_t count = 0;  ///< elements
  std::uint64_t begin = 0;  ///< bytes from the start of the data
  std::uint64_t end = 0;
};

json parse_header(const InputFile& file, const std::string& text) {
  std::vector<std::set<std::string>> keys_at(kDeepestNesting + 2);
  const auto check = [&](int depth, json::parse_event_t event, const json& parsed) {
    if (depth > kDeepestNesting) {
      file.fail("its safetensors header is nested too deeply");
    }
    const auto level = static_cast<std::size_t>(depth);
    if (event == json::parse_event_t::object_start) {
      keys_at[level + 1].clear();
    } else if (event == json::parse_event_t::key) {
      const bool is_new = keys_at[level].insert(parsed.get<std::string>()).second;
      if (!is_new) {
        file.fail(fmt::format("its safetensors header repeats the name {}", parsed.dump()));
      }
      if (keys_at[level].size() > kMostNames) {
        file.fail(fmt::format("its safetensors header has more than {} names", kMostNames));
      }
    }
    return true;
  };
  try {
    return json::parse(text, check);
  } catch (const json::parse_error& error) {
    file.fail(fmt::format("its safetensors header is not JSON (byte {})", error.byte));
  } catch (const json::exception&) {
    file.fail("its safetensors header has a number that is out of range");
  }
}

json read_header(InputFile& file) {
  std::uint64_t length = 0;
  if (file.remaining() < sizeof(length)) {
    file.fail("is too short for a safetensors file");
  }
  file.read(std::as_writable_bytes(std::span(&length, 1)));
  if (length > file.remaining() || length > kLongestHeader) {
    file.fail(fmt::format(
        "is not a safetensors file, or is cut short: it claims a header of {} bytes where {} "
        "remain, and {} are the most",
        length, file.remaining(), kLongestHeader));
  }
  std::string text(length, '\0');
  file.read(std::as_writable_bytes(std::span(text)));
  json header = text.starts_with('{') ? parse_header(file, text) : json();
  if (!header.is_object()) {
    file.fail("its safetensors header is not a JSON object");
  }
  return header;
}

/// A JSON list of integers from 0 to 2^63 − 1, or none.
std::optional<std::vector<std::int64_t>> sizes(const json& list) {
  if (!list.is_array()) {
    return std::nullopt;
  }
  std::vector<std::int64_t> values;
  for (const json& item : list) {
    if (!item.is_number_unsigned() ||
        item.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max()) {
      return std::nullopt;
    }
    values.push_back(item.get<std::int64_t>());
  }
  return values;
}

Entry read_entry(const InputFile& file, const std::string& name, const json& fields) {
  const auto fail = [&](std::string_view problem) {
    file.fail(fmt::format("tensor {} {}", json(name).dump(), problem));
  };
  if (!fields.is_object() || fields.size() != 3 || !fields.contains("dtype") ||
      !fields.contains("shape") || !fields.contains("data_offsets") ||
      !fields["dtype"].is_string()) {
    fail("is not described by a dtype, a shape and data_offsets");
  }
  Entry entry{.name = name, .type = stored_type(fields["dtype"].get<std::string>()), .shape = {}};
  if (entry.type == nullptr) {
    fail(fmt::format(
        "is of dtype {}; F32, F64, F16, BF16, U8, I64 and BOOL can be read: save tensor.float()",
        fields["dtype"].dump()));
  }
  std::optional<std::vector<std::int64_t>> shape = sizes(fields["shape"]);
  const std::optional<std::int64_t> count = shape ? element_count(*shape) : std::nullopt;
  if (!count) {
    fail("has a shape that is not a list of sizes, or too large");
  }
  entry.shape = *std::move(shape);
  entry.count = static_cast<std::uint64_t>(*count);
  const std::optional<std::vector<std::int64_t>> offsets = sizes(fields["data_offsets"]);
  if (!offsets || offsets->size() != 2 || (*offsets)[0] > (*offsets)[1]) {
    fail("has data_offsets that are not [begin, end]");
  }
  entry.begin = static_cast<std::uint64_t>((*offsets)[0]);
  entry.end = static_cast<std::uint64_t>((*offsets)[1]);
  if (entry.end > file.remaining()) {
    fail(fmt::format("ends at byte {} of the data, of which the file holds {}: it is cut short",
                     entry.end, file.remaining()));
  }
  const std::uint64_t bytes = entry.end - entry.begin;
  if (bytes % entry.type->size != 0 || bytes / entry.type->size != entry.count) {
    fail(fmt::format("has {} bytes of data, which is not what its shape and dtype take", bytes));
  }
  return entry;
}

std::map<std::string, std::string> read_metadata(const InputFile& file, const json& fields) {
  const auto is_text = [](const json& value) { return value.is_string(); };
  if (!fields.is_object() || !std::ranges::all_of(fields, is_text)) {
    file.fail("its __metadata__ is not a JSON object of texts");
  }
  return fields.get<std::map<std::string, std::string>>();
}

/// Throws unless the entries, sorted by their data, cover the rest of the file without overlap.
void require_exact_cover(const InputFile& file, const std::vector<Entry>& entries) {
  std::uint64_t covered = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != covered) {
      file.fail(fmt::format("tensor {} {} the data before it", json(entry.name).dump(),
                            entry.begin < covered ? "overlaps" : "leaves a hole after"));
    }
    covered = entry.end;
  }
  if (covered != file.remaining()) {
    file.fail(fmt::format("holds {} bytes of data, of which its tensors take {}", file.remaining(),
                          covered));
  }
}

Tensor read_tensor(InputFile& file, Entry&& entry) {
  std::vector<float> values = (file.*entry.type->read)(entry.count);
  return {std::move(entry.name), std::move(entry.shape), std::move(values)};
}

/// The length and the JSON header, padded with spaces.
std::string header_bytes(std::span<const TensorView> tensors, const TensorMetadata& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) {
    header[kMetadata] = metadata;
  }
  std::uint64_t offset = 0;
  for (const TensorView& tensor : tensors) {
    if (element_count(tensor.shape) != static_cast<std::int64_t>(tensor.values.size())) {
      throw std::invalid_argument(fmt::format("write_safetensors: the {} values of {} are not [{}]",
                                              tensor.values.size(), tensor.name,
                                              fmt::join(tensor.shape, ", ")));
    }
    if (tensor.name == kMetadata || header.contains(tensor.name)) {
      throw std::invalid_argument("write_safetensors: two entries named " + tensor.name);
    }
    const std::uint64_t end = offset + tensor.values.size() * sizeof(float);
    header[tensor.name] = {
        {"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::ordered_json::exception& error) {
    throw std::invalid_argument(fmt::format("write_safetensors: {}", error.what()));
  }
  text.append((kAlignment - text.size() % kAlignment) % kAlignment, ' ');
  const std::uint64_t length = text.size();
  std::string bytes(reinterpret_cast<const char*>(&length), sizeof(length));
  return bytes + text;
}

}  // namespace

const Tensor* TensorFile::find(std::string_view name) const {
  const auto found = std::ranges::find(tensors, name, &Tensor::name);
  return found == tensors.end() ? nullptr : &*found;
}

const Tensor& TensorFile::at(std::string_view name) const {
  const Tensor* found = find(name);
  if (found == nullptr) {
    throw InputFileError(fmt::format("{}: has no tensor '{}'", path.string(), name));
  }
  return *found;
}

void write_safetensors(const std::filesystem::path& path, std::span<const TensorView> tensors,
                       const TensorMetadata& metadata, Existing existing) {
  const std::string header = header_bytes(tensors, metadata);
  std::vector<std::span<const std::byte>> pieces = {std::as_bytes(std::span(header))};
  for (const TensorView& tensor : tensors) {
    pieces.push_back(std::as_bytes(tensor.values));
  }
  write_file_atomically(path, pieces, existing);
}

void write_safetensors(const std::filesystem::path& path, const TensorFile& file) {
  std::vector<TensorView> tensors;
  for (const Tensor& tensor : file.tensors) {
    tensors.push_back({tensor.name, tensor.shape, tensor.values});
  }
  write_safetensors(path, tensors, file.metadata);
}

TensorFile read_safetensors(const std::filesystem::path& path) {
  InputFile file(path);
  const json header = read_header(file);
  TensorFile content{.tensors = {}, .metadata = {}, .path = path};
  std::vector<Entry> entries;
  for (const auto& [name, fields] : header.items()) {
    if (name == kMetadata) {
      content.metadata = read_metadata(file, fields);
    } else {
      entries.push_back(read_entry(file, name, fields));
    }
  }
  std::ranges::stable_sort(entries, {}, [](const Entry& e) { return std::pair(e.begin, e.end); });
  require_exact_cover(file, entries);
  for (Entry& entry : entries) {
    content.tensors.push_back(read_tensor(file, std::move(entry)));
  }
  return content;
}

}  // namespace ebm
