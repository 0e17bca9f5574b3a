#include "host/output/event_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <isa-l/crc.h>
#include <png.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string_view>

#include "host/output/event.pb.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

/// CRC-32C (Castagnoli) as TFRecord has it: rotated and offset, so that a record that itself holds
/// checksums is well protected.
std::uint32_t masked_crc32c(std::string_view bytes) {
  // The library's pointer is not const, but it does not write through it.
  auto* data = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
  // No event has 2^31 bytes: protobuf refuses to write it.
  const std::uint32_t crc = ~::crc32_iscsi(data, static_cast<int>(bytes.size()), ~0U);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
}

template <typename Number>
std::string bytes_of(Number number) {
  return {reinterpret_cast<const char*>(&number), sizeof number};  // little-endian
}

/// TFRecord: length, its checksum, the event, its checksum.
std::string framed(const tensorboard::Event& event) {
  const std::string data = event.SerializeAsString();
  const std::string length = bytes_of(std::uint64_t{data.size()});
  return length + bytes_of(masked_crc32c(length)) + data + bytes_of(masked_crc32c(data));
}

tensorboard::Event event_at(std::int64_t step, double wall_time) {
  tensorboard::Event event;
  event.set_wall_time(wall_time);
  event.set_step(step);
  return event;
}

/// Names are ordered by time, to the microsecond.
fs::path new_path(const fs::path& folder) {
  return folder / fmt::format("events.out.tfevents.{:017.6f}", wall_time());
}

}  // namespace

EventFile::EventFile(const fs::path& folder, std::int64_t first_step) : path_(new_path(folder)) {
  make_folder(folder);
  file_ = FileDescriptor(
      ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!file_.valid()) {
    throw_output_error("make", path_, errno);
  }
  tensorboard::Event version = event_at(0, wall_time());
  version.set_file_version("brain.Event:2");  // the one that session logs are heeded in
  tensorboard::Event start = event_at(first_step, wall_time());
  start.mutable_session_log()->set_status(tensorboard::SessionLog::START);
  unwritten_ = framed(version) + framed(start);
  flush();
}

void EventFile::add_scalars(std::int64_t step, double wall_time,
                            std::span<const NamedScalar> scalars) {
  tensorboard::Event event = event_at(step, wall_time);
  for (const NamedScalar& scalar : scalars) {
    tensorboard::Summary::Value& value = *event.mutable_summary()->add_value();
    value.set_tag(scalar.tag);
    value.set_simple_value(static_cast<float>(scalar.value));
  }
  unwritten_ += framed(event);
}

bool EventFile::add_picture(std::int64_t step, double wall_time, const std::string& tag,
                            std::span<const std::byte> png) {
  png_image header{};
  header.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_memory(&header, png.data(), png.size()) == 0) {
    return false;
  }
  const std::uint32_t format = header.format;
  png_image_free(&header);
  tensorboard::Event event = event_at(step, wall_time);
  tensorboard::Summary::Value& value = *event.mutable_summary()->add_value();
  value.set_tag(tag);
  tensorboard::Summary::Image& image = *value.mutable_image();
  image.set_height(static_cast<std::int32_t>(header.height));
  image.set_width(static_cast<std::int32_t>(header.width));
  image.set_colorspace(static_cast<std::int32_t>(PNG_IMAGE_SAMPLE_CHANNELS(format)));
  image.set_encoded_image_string(png.data(), png.size());
  unwritten_ += framed(event);
  return true;
}

void EventFile::flush() {
  append_whole(file_, path_, std::as_bytes(std::span(unwritten_)));
  unwritten_.clear();
}

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace ebm
