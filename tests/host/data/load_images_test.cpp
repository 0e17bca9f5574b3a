// Every kind of image data, from files to prepared images, and the cache between.
#include "host/data/load_images.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "cuda/base/errors.h"
#include "host/data/cifar10.h"
#include "host/data/exif.h"
#include "tests/support/cifar10_files.h"
#include "tests/support/environment_variable.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/idx_bytes.h"
#include "tests/support/picture_files.h"
#include "tests/support/threads.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

class LoadImages : public testing::Test {
 protected:
  DataConfig data(DataKind kind, int channels = 3) const {
    return {.kind = kind, .path = data_.path().string(), .image_size = 8, .channels = channels};
  }
  std::string refusal(DataKind kind) const {
    return message_of<InputFileError>([&] { load_images(data(kind)); });
  }
  /// Names of the cached files.
  std::vector<std::string> kept() const {
    std::vector<std::string> names;
    if (fs::exists(cache_ / "ebm")) {
      for (const fs::directory_entry& entry : fs::directory_iterator(cache_ / "ebm")) {
        names.push_back(entry.path().string());
      }
    }
    return names;
  }

  const TemporaryFolder cache_;
  const TemporaryFolder data_;
  const EnvironmentVariable variable_{"XDG_CACHE_HOME", cache_.path().string()};
};

/// The pictures, prepared one by one.
std::vector<float> prepared(const std::vector<Picture>& pictures, int channels) {
  std::vector<float> images;
  for (const Picture& picture : pictures) {
    std::vector<float> image(static_cast<std::size_t>(channels) * 64);
    prepare_image(with_channels(picture, channels).view(), 8, image);
    images.insert(images.end(), image.begin(), image.end());
  }
  return images;
}

TEST_F(LoadImages, FolderIsReadInTheOrderOfPaths) {
  const std::vector<Picture> pictures = {smooth_picture(30, 20, 3, 1), smooth_picture(9, 40, 1, 2),
                                         smooth_picture(16, 16, 3, 3), smooth_picture(8, 8, 3, 4)};
  // In the order of bytes: capitals first, then '-' before '/'.
  write_below(data_ / "Z.PNG", png_bytes(pictures[0]));
  write_below(data_ / "a-b/x.png", png_bytes(pictures[1]));
  write_below(data_ / "a/b/y.Png", png_bytes(pictures[2]));
  write_below(data_ / "a/z.jpeg", png_bytes(pictures[3]));  // what it is, its first bytes say
  write_below(data_ / "notes.txt", "no image");
  write_below(data_ / "a/._z.jpeg", "hidden, as another system leaves them");
  write_below(data_ / ".trash/old.png", "hidden");
  fs::create_directory(data_ / "folder.png");
  for (const int channels : {1, 3}) {
    const ImageDataset dataset = load_images(data(DataKind::folder, channels));
    EXPECT_EQ(dataset.count, 4);
    EXPECT_EQ(dataset.channels, channels);
    EXPECT_EQ(dataset.height, 8);
    EXPECT_EQ(dataset.width, 8);
    EXPECT_EQ(dataset.images, prepared(pictures, channels));
  }
}

TEST_F(LoadImages, FolderLinksDoNoHarm) {
  write_below(data_ / "a/x.png", png_bytes(smooth_picture(8, 8, 3)));
  fs::create_symlink(data_.path(), data_ / "a/loop");
  fs::create_symlink(data_.path(), data_ / "a/loop.png");
  fs::create_symlink("x.png", data_ / "a/y.png");
  EXPECT_EQ(load_images(data(DataKind::folder)).count, 2);
  fs::create_symlink("self.png", data_ / "self.png");
  EXPECT_TRUE(mentions(refusal(DataKind::folder), {"self.png", "cannot be opened"}));
}

TEST_F(LoadImages, FolderErrorsNameEveryFile) {
  EXPECT_TRUE(mentions(refusal(DataKind::folder), {data_.path().string(), "holds no images"}));
  for (int i = 0; i < 60; ++i) {
    write_below(data_ / fmt::format("{:02}.jpg", i), jpeg_bytes(smooth_picture(16, 16, 3)));
  }
  write_below(data_ / "17.jpg", "not a picture");
  for (const int threads : {1, 2, 5}) {
    const Threads use(threads);
    EXPECT_EQ(refusal(DataKind::folder), (data_ / "17.jpg").string() +
                                             ": is neither a JPEG nor a PNG file; mend or remove "
                                             "it, or leave it out with data.unreadable: skip");
  }
  write_below(data_ / "40.jpg", "");
  fs::create_symlink("nowhere", data_ / "58.png");
  for (const int threads : {1, 2, 5}) {
    const Threads use(threads);
    EXPECT_EQ(refusal(DataKind::folder),
              fmt::format("3 pictures cannot be read; mend or remove them, or leave them out with "
                          "data.unreadable: skip:\n  {0}/17.jpg: is neither a JPEG nor a PNG "
                          "file\n  {0}/40.jpg: is empty\n  {0}/58.png: cannot be opened: No such "
                          "file or directory",
                          data_.path().string()));
  }
  for (int i = 1000; i < 2005; ++i) {
    write_below(data_ / fmt::format("a/{}.jpg", i), "x");
  }
  const std::string very_many = refusal(DataKind::folder);
  EXPECT_TRUE(mentions(very_many, {"1008 pictures cannot be read", "/40.jpg", "/a/1996.jpg"}));
  EXPECT_TRUE(very_many.ends_with("/a/1996.jpg: is neither a JPEG nor a PNG file\n  and 8 more"));
  EXPECT_TRUE(kept().empty());
  DataConfig missing = data(DataKind::folder);
  missing.path += "/missing";
  EXPECT_TRUE(mentions(message_of<InputFileError>([&] { load_images(missing); }),
                       {"missing", "No such file"}));
}

TEST_F(LoadImages, UnreadablePicturesAreLeftOutAndCounted) {
  std::vector<Picture> pictures;
  for (unsigned i = 0; i < 9; ++i) {
    pictures.push_back(smooth_picture(16, 16, 3, i));
    write_below(data_ / fmt::format("{}.png", i), png_bytes(pictures.back()));
  }
  pictures.erase(pictures.begin() + 5);
  pictures.erase(pictures.begin());
  write_below(data_ / "0.png", "");
  write_below(data_ / "5.png", png_bytes(pictures[2]).substr(0, 60));
  DataConfig config = data(DataKind::folder);
  config.unreadable = Unreadable::skip;
  for (const char* time : {"the first", "the cache's"}) {
    std::vector<std::string> notes;
    const ImageDataset images =
        load_images(config, {}, [&](const std::string& line) { notes.push_back(line); });
    EXPECT_EQ(images.count, 7) << time;
    EXPECT_EQ(images.images, prepared(pictures, 3)) << time;
    EXPECT_EQ(notes, std::vector<std::string>{"2 of 9 pictures cannot be read and are left out "
                                              "(data.unreadable: skip)"});
  }
  EXPECT_TRUE(mentions(refusal(DataKind::folder), {"0.png", "5.png"}));  // still, by default
  for (int i = 1; i < 9; ++i) {
    fs::remove(data_ / fmt::format("{}.png", i));
  }
  EXPECT_EQ(message_of<InputFileError>([&] { load_images(config); }),
            "none of 1 pictures can be read:\n  " + (data_ / "0.png").string() + ": is empty");

  write_tar(data_ / "102flowers.tgz", {{"jpg/a.png", png_bytes(pictures[0])}, {"jpg/b.jpg", "x"}});
  config.kind = DataKind::flowers102;
  for (int time = 0; time < 2; ++time) {
    const ImageDataset images = load_images(config);
    EXPECT_EQ(images.left_out, 1);
    EXPECT_EQ(images.images, prepared({pictures[0]}, 3));
  }
}

TEST_F(LoadImages, PicturesOfOtherKindsAreCounted) {
  write_below(data_ / "a.png", png_bytes(smooth_picture(8, 8, 3)));
  write_below(data_ / "b.webp", "x");
  write_below(data_ / "c/d.JFIF", "x");
  write_below(data_ / "c/e.jfif", "x");
  write_below(data_ / "f.bmp", "x");
  write_below(data_ / "labels.csv", "x");
  write_below(data_ / ".g.webp", "hidden");
  std::vector<std::string> notes;
  load_images(data(DataKind::folder), {}, [&](const std::string& line) { notes.push_back(line); });
  EXPECT_EQ(notes, std::vector{fmt::format("passed over in {}: 1 .bmp, 2 .jfif, 1 .webp; .jpg, "
                                           ".jpeg and .png are read",
                                           data_.path().string())});
  fs::remove(data_ / "a.png");
  EXPECT_TRUE(mentions(refusal(DataKind::folder),
                       {"holds no images", "there are 1 .bmp, 2 .jfif, 1 .webp, to be converted"}));
}

TEST_F(LoadImages, ExifIsAppliedWhereAsked) {
  const Picture picture = smooth_picture(8, 8, 3, 4);
  write_below(data_ / "a.png", with_chunk(png_bytes(picture), "eXIf", exif_of(6)));
  DataConfig config = data(DataKind::folder);
  EXPECT_EQ(load_images(config).images, prepared({picture}, 3));
  config.exif = ExifUse::apply;
  EXPECT_EQ(load_images(config).images, prepared({upright(picture, 6)}, 3));
  EXPECT_EQ(kept().size(), 2U);
}

TEST_F(LoadImages, IsTheSameOnAnyNumberOfThreads) {
  const EnvironmentVariable no_cache("XDG_CACHE_HOME", "/dev/null");
  for (unsigned i = 0; i < 40; ++i) {
    write_below(data_ / fmt::format("{}.jpg", i), jpeg_bytes(smooth_picture(30, 20, 3, i)));
  }
  std::vector<float> first;
  for (const int threads : {1, 2, 5}) {
    const Threads use(threads);
    const std::vector<float> images = load_images(data(DataKind::folder)).images;
    first = threads == 1 ? images : first;
    EXPECT_EQ(images, first) << threads << " threads";
  }
}

TEST_F(LoadImages, ProgressEndsAtTheTotalOnOneThread) {
  for (unsigned i = 0; i < 20; ++i) {
    write_below(data_ / fmt::format("{}.png", i), png_bytes(smooth_picture(8, 8, 3, i)));
  }
  const Threads use(1);
  std::vector<std::size_t> done;
  load_images(data(DataKind::folder), [&](std::size_t so_far, std::size_t total) {
    EXPECT_EQ(total, 20U);
    done.push_back(so_far);
  });
  EXPECT_EQ(done.size(), 20U);
  EXPECT_EQ(done.back(), 20U);
  // From the cache there is nothing to wait for.
  load_images(data(DataKind::folder), [](std::size_t, std::size_t) { ADD_FAILURE(); });
}

TEST_F(LoadImages, FolderIsKeptByContent) {
  write_below(data_ / "a.png", png_bytes(smooth_picture(20, 20, 3, 1)));
  write_below(data_ / "b.png", png_bytes(smooth_picture(20, 20, 3, 2)));
  const std::vector<float> images = load_images(data(DataKind::folder)).images;
  ASSERT_EQ(kept().size(), 1U);
  const std::string name = kept().front();
  const auto written = fs::last_write_time(name);
  EXPECT_EQ(load_images(data(DataKind::folder)).images, images);
  EXPECT_EQ(fs::last_write_time(name), written);
  // Another preparation is another file.
  load_images(data(DataKind::folder, 1));
  EXPECT_EQ(kept().size(), 2U);
  // So is another content, whatever the files' names, sizes and times say.
  const auto time = fs::last_write_time(data_ / "a.png");
  const std::string a = read_bytes(data_ / "a.png");
  write_bytes(data_ / "a.png", read_bytes(data_ / "b.png"));
  write_bytes(data_ / "b.png", a);
  fs::last_write_time(data_ / "a.png", time);
  std::vector<float> swapped = images;
  std::rotate(swapped.begin(), swapped.begin() + std::ssize(images) / 2, swapped.end());
  EXPECT_EQ(load_images(data(DataKind::folder)).images, swapped);
  EXPECT_EQ(kept().size(), 3U);
}

TEST_F(LoadImages, DamagedCacheIsWrittenAnew) {
  write_below(data_ / "a.png", png_bytes(smooth_picture(20, 20, 3, 1)));
  const std::vector<float> images = load_images(data(DataKind::folder)).images;
  const std::string name = kept().front();
  const std::string good = read_bytes(name);
  std::string flipped = good;
  flipped.back() ^= 1;
  for (const std::string& bad :
       {flipped, good.substr(0, good.size() / 2), std::string(), std::string("nonsense")}) {
    write_bytes(name, bad);
    EXPECT_EQ(load_images(data(DataKind::folder)).images, images);
    EXPECT_EQ(read_bytes(name), good);
  }
  EXPECT_EQ(kept(), std::vector{name});
}

TEST_F(LoadImages, WorksWithoutACache) {
  write_below(data_ / "a.png", png_bytes(smooth_picture(20, 20, 3, 1)));
  const std::vector<float> images = load_images(data(DataKind::folder)).images;
  {
    const EnvironmentVariable relative("XDG_CACHE_HOME", "relative");
    const EnvironmentVariable no_home("HOME", std::nullopt);
    EXPECT_EQ(load_images(data(DataKind::folder)).images, images);
    EXPECT_FALSE(fs::exists("relative"));
  }
  {
    const TemporaryFolder home;
    const EnvironmentVariable unset("XDG_CACHE_HOME", std::nullopt);
    const EnvironmentVariable use_home("HOME", home.path().string());
    EXPECT_EQ(load_images(data(DataKind::folder)).images, images);
    EXPECT_TRUE(fs::exists(home / ".cache/ebm"));
  }
  {
    const EnvironmentVariable not_a_folder("XDG_CACHE_HOME", "/dev/null");
    EXPECT_EQ(load_images(data(DataKind::folder)).images, images);
  }
  fs::remove(kept().front());
  {
    const FileSizeLimit full_disk(100);
    EXPECT_EQ(load_images(data(DataKind::folder)).images, images);
  }
  EXPECT_TRUE(kept().empty());
}

TEST_F(LoadImages, Cifar10IsReadInOrder) {
  for (const char* folder : {".", "cifar-10-batches-bin"}) {
    std::vector<Picture> pictures;
    for (unsigned batch = 1; batch <= 5; ++batch) {
      std::string bytes;
      for (unsigned i = 0; i < batch; ++i) {
        pictures.push_back(smooth_picture(32, 32, 3, 10 * batch + i));
        bytes += cifar10_record(static_cast<char>(i), pictures.back());
      }
      write_below(data_.path() / folder / fmt::format("data_batch_{}.bin", batch), bytes);
    }
    const ImageDataset dataset = load_images(data(DataKind::cifar10));
    EXPECT_EQ(dataset.count, 15);
    EXPECT_EQ(dataset.images, prepared(pictures, 3));
    EXPECT_EQ(load_images(data(DataKind::cifar10, 1)).images, prepared(pictures, 1));
    fs::remove(data_ / "data_batch_1.bin");
  }
}

TEST_F(LoadImages, Cifar10HoldsTheTestImagesApart) {
  DataConfig held_out = data(DataKind::cifar10);
  held_out.split = DataSplit::test;
  for (int batch = 1; batch <= 5; ++batch) {
    write_below(data_ / fmt::format("data_batch_{}.bin", batch),
                cifar10_record(9, smooth_picture(32, 32, 3, 1)));
  }
  EXPECT_TRUE(mentions(message_of<InputFileError>([&] { load_images(held_out); }),
                       {"test_batch.bin and test_batch", "data.path"}));
  const std::vector<Picture> pictures{smooth_picture(32, 32, 3, 2), smooth_picture(32, 32, 3, 3)};
  const std::string records = cifar10_record(0, pictures[0]) + cifar10_record(1, pictures[1]);
  write_below(data_ / "cifar-10-batches-py/test_batch",
              cifar10_pickle(records.substr(1, 3072) + records.substr(3074)));
  EXPECT_EQ(load_images(held_out).images, prepared(pictures, 3));
  write_below(data_ / "test_batch.bin", records.substr(3073));
  EXPECT_EQ(load_images(held_out).images, prepared({pictures[1]}, 3));
  EXPECT_EQ(load_images(data(DataKind::cifar10)).count, 5);
}

TEST_F(LoadImages, Cifar10LevelsBecomeStates) {
  Picture picture{std::vector<std::uint8_t>(3072, 0), 32, 32, 3};
  picture.pixels[0] = 255;  // red of the first pixel
  for (int batch = 1; batch <= 5; ++batch) {
    write_below(data_ / fmt::format("data_batch_{}.bin", batch), cifar10_record(9, picture));
  }
  DataConfig config = data(DataKind::cifar10);
  config.image_size = 32;
  const ImageDataset dataset = load_images(config);
  ASSERT_EQ(dataset.images.size(), 5U * 3072);
  for (std::size_t i = 0; i < dataset.images.size(); ++i) {
    ASSERT_EQ(dataset.images[i], i % 3072 == 0 ? 1.0F : -1.0F) << i;
  }
}

TEST_F(LoadImages, Cifar10ErrorsNameTheFile) {
  EXPECT_TRUE(mentions(refusal(DataKind::cifar10),
                       {"data_batch_1.bin", "cifar-10-batches-py", "data.path"}));
  const std::string good = cifar10_record(0, smooth_picture(32, 32, 3));
  for (int batch = 1; batch <= 4; ++batch) {
    write_below(data_ / fmt::format("data_batch_{}.bin", batch), good);
  }
  const fs::path last = data_ / "data_batch_5.bin";
  EXPECT_TRUE(mentions(refusal(DataKind::cifar10), {last.string(), "cannot be opened"}));
  const std::vector<std::pair<std::string, std::string>> cases = {
      {good + "x", "3074 bytes long"},
      {good.substr(1), "3072 bytes long"},
      {"", "0 bytes long"},
      {good + cifar10_record(10, smooth_picture(32, 32, 3)), "record 1 has label 10"},
  };
  for (const auto& [bytes, problem] : cases) {
    write_bytes(last, bytes);
    EXPECT_TRUE(mentions(refusal(DataKind::cifar10), {last.string(), problem}));
  }
}

/// Five batches as torchvision unpacks them, of 1 … 5 pictures, and these.
std::vector<Picture> write_torchvisions_cifar10(const fs::path& folder, bool by_columns) {
  std::vector<Picture> pictures;
  for (unsigned batch = 1; batch <= 5; ++batch) {
    std::string levels;
    std::string columns(std::size_t{batch} * 3072, '\0');
    for (unsigned i = 0; i < batch; ++i) {
      pictures.push_back(smooth_picture(32, 32, 3, 10 * batch + i));
      levels += cifar10_record(0, pictures.back()).substr(1);
    }
    for (std::size_t i = 0; i < levels.size(); ++i) {
      columns[i % 3072 * batch + i / 3072] = levels[i];
    }
    write_below(folder / fmt::format("data_batch_{}", batch),
                cifar10_pickle(by_columns ? columns : levels, by_columns));
  }
  return pictures;
}

TEST_F(LoadImages, Cifar10IsReadAsTorchvisionLeavesIt) {
  for (const char* folder : {".", "cifar-10-batches-py"}) {
    for (const bool by_columns : {false, true}) {
      const std::vector<Picture> pictures =
          write_torchvisions_cifar10(data_.path() / folder, by_columns);
      EXPECT_EQ(load_images(data(DataKind::cifar10)).images, prepared(pictures, 3));
    }
    const ImageDataset batch = load_cifar10_batch(data_.path() / folder / "data_batch_2", 8, 3);
    EXPECT_EQ(batch.images,
              prepared({smooth_picture(32, 32, 3, 20), smooth_picture(32, 32, 3, 21)}, 3));
    fs::remove(data_.path() / folder / "data_batch_1");
  }
}

TEST_F(LoadImages, PicklesAreNotRun) {
  write_torchvisions_cifar10(data_.path(), false);
  const fs::path last = data_ / "data_batch_5";
  const std::string good = read_bytes(last);
  const auto with = [&good](std::string_view from, std::string_view to) {
    std::string bytes = good;
    return bytes.replace(bytes.find(from), from.size(), to);
  };
  const std::string array = "cnumpy.core.multiarray\n_reconstruct\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {with(array, "cposix\nsystem\n"), "posix.system"},
      {with(array, "cnumpy\ndtype\n"), "another type"},
      {with("\x80\2", "\x80\4"), "protocol"},
      {with("\x80\2}", "\x80\2\x81"), "instruction 0x81"},
      {with("U\2u1", "U\2f4"), "8-bit levels"},
      {with("M\5", "M\6"), "8-bit levels"},
      {with("data", "date"), "no array 'data'"},
      {with("\x80\2}", "\x80\2e}"), "takes more from the stack"},
      {with("q\4]", "h\4]"), "recalls"},
      {good.substr(0, good.size() - 1), "cut short"},
      {good.substr(0, 200), "cut short"},
      {"\x80\2.", "takes more from the stack"},
      {"\x80\2}.", "no array 'data'"},
      {"\x80\2K\1.", "another type"},
  };
  for (const auto& [bytes, problem] : cases) {
    write_bytes(last, bytes);
    EXPECT_TRUE(mentions(refusal(DataKind::cifar10), {last.string(), problem, "fetch it again"}))
        << problem;
  }
}

TEST_F(LoadImages, FlowersAreTheSameFromFolderAndArchive) {
  std::vector<TarEntry> entries = {{.name = "jpg/", .type = AE_IFDIR}};
  for (unsigned i = 12; i > 0; --i) {  // the archive's order is not that of the names
    const std::string name = fmt::format("jpg/image_{:05}.jpg", i);
    entries.push_back({name, jpeg_bytes(smooth_picture(40, 30, 3, i))});
    write_below(data_ / name, entries.back().bytes);
  }
  entries.push_back({"jpg/readme.txt", "no image"});
  const ImageDataset from_folder = load_images(data(DataKind::flowers102));
  EXPECT_EQ(from_folder.count, 12);
  DataConfig inner = data(DataKind::flowers102);
  inner.path += "/jpg";
  EXPECT_EQ(load_images(inner).images, from_folder.images);
  inner.path += "/";
  EXPECT_EQ(load_images(inner).images, from_folder.images);

  fs::remove_all(data_ / "jpg");
  write_tar(data_ / "102flowers.tgz", entries);
  EXPECT_EQ(load_images(data(DataKind::flowers102)).images, from_folder.images);
  EXPECT_EQ(kept().size(), 2U);  // one for the images, one for the archive
  EXPECT_EQ(load_images(data(DataKind::flowers102)).images, from_folder.images);
  EXPECT_EQ(data_.names(), std::vector<std::string>{"102flowers.tgz"});
}

TEST_F(LoadImages, HostileArchivesAreRefused) {
  const TarEntry good{"jpg/a.jpg", jpeg_bytes(smooth_picture(16, 16, 3))};
  const std::vector<std::pair<TarEntry, std::vector<std::string>>> cases = {
      {{"../b.jpg", good.bytes}, {"../b.jpg", "leads out"}},
      {{"jpg/../../b.txt", "x"}, {"jpg/../../b.txt", "leads out"}},
      {{"/tmp/b.jpg", good.bytes}, {"/tmp/b.jpg", "leads out"}},
      {{"jpg/b.jpg", "", AE_IFLNK, "/etc/passwd"}, {"jpg/b.jpg", "link"}},
      {{"jpg/b.jpg", "", AE_IFREG, "jpg/a.jpg"}, {"jpg/b.jpg", "link"}},
      {{"jpg/b.jpg", "", AE_IFIFO}, {"jpg/b.jpg", "device"}},
      {{.name = "jpg/b.jpg", .bytes = std::string(5000, '\0'), .data_at = 4096},
       {"jpg/b.jpg", "sparse"}},
      {{"jpg/a.jpg", good.bytes}, {"jpg/a.jpg", "twice"}},
      {{"jpg/b.jpg", "not a picture"}, {"jpg/b.jpg", "neither a JPEG nor a PNG"}},
  };
  for (const auto& [entry, parts] : cases) {
    write_tar(data_ / "102flowers.tgz", {good, entry});
    const std::string message = refusal(DataKind::flowers102);
    EXPECT_TRUE(mentions(message, parts));
    EXPECT_TRUE(mentions(message, {(data_ / "102flowers.tgz").string()}));
    EXPECT_EQ(data_.names(), std::vector<std::string>{"102flowers.tgz"});
  }
  EXPECT_TRUE(kept().empty());
}

/// The header of a tar entry, its size in octal digits.
std::string tar_header(const std::string& name, const std::string& size) {
  std::string header(512, '\0');
  const auto put = [&](std::size_t at, const std::string& text) {
    header.replace(at, text.size(), text);
  };
  put(0, name);
  put(100, "0000644");
  put(124, size);
  put(148, "        ");  // the check sum counts itself as spaces
  put(156, "0");
  put(257, "ustar");
  put(263, "00");
  unsigned sum = 0;
  for (const char c : header) {
    sum += static_cast<unsigned char>(c);
  }
  put(148, fmt::format("{:06o}", sum) + '\0');
  return header;
}

TEST_F(LoadImages, AbsurdSizesInArchivesAreRefused) {
  for (const char* size : {"00400000001", "77777777777"}) {
    write_gzip(data_ / "102flowers.tgz", tar_header("jpg/a.jpg", size));
    EXPECT_TRUE(mentions(refusal(DataKind::flowers102), {"jpg/a.jpg", "bytes long"}));
  }
  write_gzip(data_ / "102flowers.tgz", tar_header("jpg/a.jpg", "00000004000"));
  EXPECT_TRUE(mentions(refusal(DataKind::flowers102), {"jpg/a.jpg", "cut short"}));
}

TEST_F(LoadImages, DamagedArchivesAreRefused) {
  EXPECT_TRUE(mentions(refusal(DataKind::flowers102), {"102flowers.tgz", "jpg", "data.path"}));
  write_tar(data_ / "102flowers.tgz", {{"readme.txt", "no image"}});
  EXPECT_TRUE(mentions(refusal(DataKind::flowers102), {"102flowers.tgz", "holds no images"}));
  const std::string noise = arbitrary_bytes(20000);
  write_tar(data_ / "102flowers.tgz",
            {{"jpg/a.jpg", jpeg_bytes(smooth_picture(16, 16, 3)) + noise}, {"jpg/b.txt", noise}});
  const std::string good = read_bytes(data_ / "102flowers.tgz");
  EXPECT_EQ(load_images(data(DataKind::flowers102)).count, 1);
  for (const std::size_t size : {std::size_t{0}, std::size_t{10}, good.size() / 2}) {
    write_bytes(data_ / "102flowers.tgz", good.substr(0, size));
    EXPECT_TRUE(mentions(refusal(DataKind::flowers102), {"102flowers.tgz"})) << size;
  }
  write_bytes(data_ / "102flowers.tgz", "<html>not found</html>");
  EXPECT_TRUE(mentions(refusal(DataKind::flowers102), {"cannot be read as a .tgz archive"}));
}

TEST_F(LoadImages, MnistIsOneOfTheKinds) {
  write_bytes(data_ / "train-images-idx3-ubyte",
              idx_bytes({3, 28, 28}, arbitrary_bytes(std::size_t{3} * 784)));
  EXPECT_EQ(load_images(data(DataKind::mnist, 1)).count, 3);
  EXPECT_EQ(load_images(data(DataKind::mnist, 3)).channels, 3);
  EXPECT_TRUE(kept().empty());
  EXPECT_THROW(load_images(data(DataKind::gmm)), std::invalid_argument);
}

}  // namespace
}  // namespace ebm
