#include "host/data/image_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <new>
#include <string_view>

#include "cuda/base/errors.h"
#include "host/data/image_folder.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kLargestImage = std::int64_t{1} << 26;
constexpr std::int64_t kLargestTotal = std::int64_t{1} << 32;
constexpr int kMostEntries = 1'000'000;

/// The entries of an archive, one after another.
class ArchiveReader {
 public:
  ArchiveReader(std::span<const std::byte> bytes, const fs::path& path)
      : path_(path), archive_(archive_read_new(), archive_read_free) {
    if (!archive_) {
      throw std::bad_alloc();
    }
    require(archive_read_support_filter_gzip(archive_.get()));
    require(archive_read_support_format_tar(archive_.get()));
    require(archive_read_open_memory(archive_.get(), bytes.data(), bytes.size()));
  }

  /// Goes to the next entry. False at the archive's end.
  bool next() {
    const int status = archive_read_next_header(archive_.get(), &entry_);
    if (status == ARCHIVE_EOF) {
      return false;
    }
    require(status);
    const char* name = archive_entry_pathname(entry_);
    name_ = name != nullptr ? name : "";
    if (++entries_ > kMostEntries) {
      fail(fmt::format("holds more than {} entries", kMostEntries));
    }
    refuse_unsafe_entry();
    return true;
  }

  const std::string& name() const { return name_; }
  bool is_image() const {
    return archive_entry_filetype(entry_) == AE_IFREG && is_image_name(name_);
  }

  /// The content of the entry, whose size is checked first.
  std::vector<std::byte> read() {
    const std::int64_t size = archive_entry_size(entry_);
    if (archive_entry_sparse_count(entry_) > 0) {  // gigabytes of nothing in a small archive
      fail(fmt::format("{} is a sparse file; pack the images again, without --sparse", name_));
    }
    if (archive_entry_size_is_set(entry_) == 0 || size < 0 || size > kLargestImage) {
      fail(fmt::format("{} is {} bytes long; {} can be read", name_, size, kLargestImage));
    }
    total_ += size;
    if (total_ > kLargestTotal) {
      fail(fmt::format("holds more than {} bytes of images", kLargestTotal));
    }
    std::vector<std::byte> bytes;  // grows with what is there: a size alone takes no memory
    const void* block = nullptr;
    std::size_t count = 0;
    la_int64_t offset = 0;
    while (archive_read_data_block(archive_.get(), &block, &count, &offset) == ARCHIVE_OK) {
      const auto* first = static_cast<const std::byte*>(block);
      bytes.insert(bytes.end(), first, first + count);
    }
    if (std::ssize(bytes) != size) {
      fail(fmt::format("{} is cut short: {}; fetch the archive again", name_, reason()));
    }
    return bytes;
  }

  [[noreturn]] void fail(std::string_view problem) const {
    throw InputFileError(fmt::format("{}: {}", path_.string(), problem));
  }

 private:
  void refuse_unsafe_entry() const {
    const auto type = archive_entry_filetype(entry_);
    const fs::path entry_path(name_);
    if (name_.empty() || entry_path.is_absolute() ||
        std::ranges::find(entry_path, fs::path("..")) != entry_path.end()) {
      fail(fmt::format("holds the path '{}', which leads out of it", name_));
    }
    if (archive_entry_hardlink(entry_) != nullptr || (type != AE_IFREG && type != AE_IFDIR)) {
      fail(fmt::format("holds {}, a link or a device; an archive of images holds files only",
                       name_));
    }
  }

  void require(int status) const {
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) {
      fail(fmt::format("cannot be read as a .tgz archive: {}; fetch it again", reason()));
    }
  }

  std::string_view reason() const {
    const char* text = archive_error_string(archive_.get());
    return text != nullptr ? text : "it ends too early";
  }

  const fs::path& path_;
  std::unique_ptr<archive, int (*)(archive*)> archive_;
  archive_entry* entry_ = nullptr;  // the archive's
  std::string name_;
  int entries_ = 0;
  std::int64_t total_ = 0;
};

}  // namespace

std::vector<ArchivedFile> read_image_archive(std::span<const std::byte> bytes,
                                             const fs::path& path) {
  ArchiveReader reader(bytes, path);
  std::vector<ArchivedFile> files;
  while (reader.next()) {
    if (reader.is_image()) {
      files.push_back({reader.name(), reader.read()});
    }
  }
  std::ranges::sort(files, {}, &ArchivedFile::name);
  const auto twice = std::ranges::adjacent_find(files, {}, &ArchivedFile::name);
  if (twice != files.end()) {
    reader.fail(fmt::format("holds {} twice", twice->name));
  }
  if (files.empty()) {
    reader.fail("holds no images (.jpg, .jpeg or .png)");
  }
  return files;
}

}  // namespace ebm
