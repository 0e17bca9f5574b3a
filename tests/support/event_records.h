// TFRecord files read back, for tests: an implementation of their own, slow and plain.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "host/output/event.pb.h"
#include "tests/support/temporary_folder.h"

namespace ebm {

/// CRC-32C (Castagnoli), bit by bit: RFC 3720, section 12.1.
inline std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t crc = ~0U;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ (crc % 2 == 1 ? 0x82F63B78U : 0U);
    }
  }
  return ~crc;
}

/// The events of a file. Throws std::runtime_error unless it consists of whole records whose
/// checksums are right.
inline std::vector<tensorboard::Event> read_events(const std::filesystem::path& path) {
  const std::string file = read_bytes(path);
  std::string_view rest = file;
  const auto take = [&](std::uint64_t count) {
    if (count > rest.size()) {
      throw std::runtime_error(path.string() + " ends in part of a record");
    }
    const std::string_view taken = rest.substr(0, count);
    rest.remove_prefix(count);
    return taken;
  };
  const auto take_with_checksum = [&](std::uint64_t count) {
    const std::string_view bytes = take(count);
    std::uint32_t masked = 0;
    std::memcpy(&masked, take(sizeof masked).data(), sizeof masked);
    const std::uint32_t rotated = masked - 0xa282ead8U;
    if (((rotated >> 17) | (rotated << 15)) != crc32c(bytes)) {
      throw std::runtime_error(path.string() + " has a wrong checksum");
    }
    return bytes;
  };
  std::vector<tensorboard::Event> events;
  while (!rest.empty()) {
    std::uint64_t length = 0;
    std::memcpy(&length, take_with_checksum(sizeof length).data(), sizeof length);
    const std::string data(take_with_checksum(length));
    if (!events.emplace_back().ParseFromString(data)) {
      throw std::runtime_error(path.string() + " has a record that is no event");
    }
  }
  return events;
}

/// The events of the only file in `folder`, without the two that every file begins with.
inline std::vector<tensorboard::Event> events_after_start(const TemporaryFolder& folder) {
  EXPECT_EQ(folder.names().size(), 1U);
  std::vector<tensorboard::Event> events = read_events(folder / folder.names().at(0));
  events.erase(events.begin(), events.begin() + 2);
  return events;
}

}  // namespace ebm
