#include "host/output/event_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <isa-l/crc.h>
#include <png.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <stdexcept>

#include "host/errors.h"
#include "host/output/event.pb.h"
#include "host/output/input_file.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

template <typename Number>
void append_bytes(std::string& bytes, Number number) {
  bytes.append(reinterpret_cast<const char*>(&number), sizeof number);  // little-endian
}

std::uint32_t checksum(const std::string& bytes, std::size_t begin) {
  return masked_crc32c(std::as_bytes(std::span(bytes).subspan(begin)));
}

/// TFRecord: length, its checksum, the event, its checksum.
void append_record(std::string& bytes, const tensorboard::Event& event) {
  const std::size_t begin = bytes.size();
  append_bytes(bytes, std::uint64_t{event.ByteSizeLong()});
  append_bytes(bytes, checksum(bytes, begin));
  const std::size_t data = bytes.size();
  if (!event.AppendToString(&bytes)) {
    throw std::length_error("an event for TensorBoard is too long");
  }
  append_bytes(bytes, checksum(bytes, data));
}

/// Names are ordered by time, to the microsecond.
fs::path new_path(const fs::path& folder) {
  std::array<char, HOST_NAME_MAX + 1> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0 || host.front() == '\0') {
    host = {"localhost"};
  }
  return folder /
         fmt::format("events.out.tfevents.{:017.6f}.{}.{}", wall_time(), host.data(), ::getpid());
}

}  // namespace

EventFile::EventFile(const fs::path& folder, std::int64_t first_step) : path_(new_path(folder)) {
  make_folder(folder);
  file_ = FileDescriptor(
      ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!file_.valid()) {
    throw_output_error("make", path_, errno);
  }
  tensorboard::Event version;
  version.set_wall_time(wall_time());
  version.set_file_version("brain.Event:2");  // the one that session logs are heeded in
  append_record(unwritten_, version);
  tensorboard::Event start;
  start.set_wall_time(wall_time());
  start.set_step(first_step);
  start.mutable_session_log()->set_status(tensorboard::SessionLog::START);
  append_record(unwritten_, start);
  flush();
}

void EventFile::add_scalars(std::int64_t step, double wall_time,
                            std::span<const NamedScalar> scalars) {
  tensorboard::Event event;
  event.set_wall_time(wall_time);
  event.set_step(step);
  for (const NamedScalar& scalar : scalars) {
    tensorboard::Summary::Value& value = *event.mutable_summary()->add_value();
    value.set_tag(scalar.tag);
    value.set_simple_value(static_cast<float>(scalar.value));
  }
  append_record(unwritten_, event);
}

void EventFile::add_picture(std::int64_t step, double wall_time, const std::string& tag,
                            std::span<const std::byte> png) {
  png_image header{};
  header.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_memory(&header, png.data(), png.size()) == 0) {
    throw std::invalid_argument(fmt::format("picture {}: {}", tag, header.message));
  }
  const std::uint32_t format = header.format;
  png_image_free(&header);
  tensorboard::Event event;
  event.set_wall_time(wall_time);
  event.set_step(step);
  tensorboard::Summary::Value& value = *event.mutable_summary()->add_value();
  value.set_tag(tag);
  tensorboard::Summary::Image& image = *value.mutable_image();
  image.set_height(static_cast<std::int32_t>(header.height));
  image.set_width(static_cast<std::int32_t>(header.width));
  image.set_colorspace(static_cast<std::int32_t>(PNG_IMAGE_SAMPLE_CHANNELS(format)));
  image.set_encoded_image_string(png.data(), png.size());
  append_record(unwritten_, event);
}

void EventFile::flush() {
  append_whole(file_, path_, std::as_bytes(std::span(unwritten_)));
  unwritten_.clear();
}

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::uint32_t masked_crc32c(std::span<const std::byte> bytes) {
  // The library's pointer is not const, but it does not write through it.
  auto* data = reinterpret_cast<unsigned char*>(const_cast<std::byte*>(bytes.data()));
  const std::uint32_t crc = ~::crc32_iscsi(data, static_cast<int>(bytes.size()), ~0U);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
}

}  // namespace ebm
