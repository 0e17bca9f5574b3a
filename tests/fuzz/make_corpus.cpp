// Writes the seeds of the binary formats: `make_corpus tests/fuzz/corpus`. Those of texts are
// written by hand, and inputs that once were findings are kept beside them. A seed whose name
// begins with "refused" must be refused, any other must be read.
#include <fmt/format.h>
#include <png.h>

#include <array>
#include <cstdio>
#include <numeric>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "cuda/nn/network.h"
#include "host/config/layers.h"
#include "host/files/npy.h"
#include "host/files/safetensors.h"
#include "host/training/checkpoint.h"
#include "tests/fuzz/small_state.h"
#include "tests/support/cifar10_files.h"
#include "tests/support/idx_bytes.h"
#include "tests/support/picture_files.h"
#include "tests/support/temporary_folder.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

/// The corpus of a target.
fs::path corpus_of(const fs::path& corpora, std::string_view target) {
  fs::create_directories(corpora / target);
  return corpora / target;
}

template <class Value>
std::vector<Value> counting(std::size_t size) {
  std::vector<Value> values(size);
  std::iota(values.begin(), values.end(), Value{1});
  return values;
}

void make_npy(const fs::path& folder) {
  write_npy(folder / "matrix_f4.npy", std::array<std::int64_t, 2>{2, 3}, counting<float>(6));
  write_npy(folder / "vector_f8.npy", std::array<std::int64_t, 1>{3}, counting<double>(3));
  write_npy(folder / "scalar_f4.npy", std::array<std::int64_t, 0>{}, counting<float>(1));
  const std::array<std::int64_t, 2> shape{2, 3};
  write_bytes(folder / "levels_u1.npy", npy_header("|u1", shape) + std::string(6, '\x7f'));
  write_bytes(folder / "halves_f2.npy", npy_header("<f2", shape) + std::string(12, '\x3c'));
  write_npy(folder / "empty_f4.npy", std::array<std::int64_t, 3>{0, 2, 2}, std::vector<float>());
}

std::string with_length(const std::string& header, const std::string& data) {
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size());
  return bytes + header + data;
}

void make_safetensors(const fs::path& folder) {
  write_safetensors(folder / "two_tensors.safetensors",
                    {.tensors = {{"a.weight", {2, 3}, counting<float>(6)}, {"a.bias", {2}, {1, 2}}},
                     .metadata = {{"format", "pt"}},
                     .path = {}});
  write_bytes(folder / "bytes_and_doubles.safetensors",
              with_length(R"({"u":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},)"
                          R"("d":{"dtype":"F64","shape":[1],"data_offsets":[8,16]}})",
                          std::string(16, '\1')));
  write_bytes(folder / "halves.safetensors",
              with_length(R"({"h":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},)"
                          R"("b":{"dtype":"BF16","shape":[2],"data_offsets":[4,8]}})",
                          std::string(8, '\x3c')));
  write_bytes(folder / "refused_overlap.safetensors",
              with_length(R"({"u":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},)"
                          R"("d":{"dtype":"F64","shape":[1],"data_offsets":[4,12]}})",
                          std::string(16, '\1')));
}

/// Without it, damage gets further than the digest.
void leave_out_digest(const fs::path& path) {
  TensorFile file = read_safetensors(path);
  file.metadata.erase("xxh3_128");
  write_safetensors(path, file);
}

void make_checkpoint(const fs::path& folder) {
  const auto make = [&](const char* name, const CheckpointInfo& info, const Network& network) {
    save_checkpoint(folder / name, info, network,
                    counting<float>(static_cast<std::size_t>(network.parameter_count())));
  };
  for (const auto& [name, channels, features] :
       {std::tuple{"toy", 2, 1}, {"vanilla", 1, 1}, {"nonlocal", 1, 2}}) {
    const CheckpointInfo info{.network = name,
                              .channels = channels,
                              .features = features,
                              .epsilon = 0.01,
                              .iteration = 100};
    const std::string file = fmt::format("{}.safetensors", name);
    make(file.c_str(), info, published_network(name, channels, features));
    leave_out_digest(folder / file);
  }
  const CheckpointInfo info{.network = "custom", .channels = 1};
  const Network network("custom", {1, 4, 4},
                        parse_layers("layers: [conv: {outputs: 2, kernel: 3, padding: 1}, "
                                     "leaky_relu, max_pool, flatten, linear: {outputs: 1}]",
                                     "seed"));
  make("digest.safetensors", info, network);
  make("custom.safetensors", info, network);
  leave_out_digest(folder / "custom.safetensors");
}

void make_image_cache(const fs::path& folder) {
  write_safetensors(folder / "three_images.safetensors",
                    {.tensors = {{"images", {3, 1, 2, 2}, counting<float>(12)}},
                     .metadata = {{"digest", "of the values"}, {"left_out", "0"}},
                     .path = {}});
  write_safetensors(folder / "refused_shape.safetensors",
                    {.tensors = {{"images", {3, 4, 1, 1}, counting<float>(12)}},
                     .metadata = {{"digest", "of the values"}, {"left_out", "0"}},
                     .path = {}});
}

void make_idx(const fs::path& folder) {
  const std::string bytes = idx_bytes({2, 3, 4}, arbitrary_bytes(24));
  write_bytes(folder / "images-idx3-ubyte", bytes);
  write_gzip(folder / "images-idx3-ubyte.gz", bytes);
  write_bytes(folder / "refused_labels-idx1-ubyte", idx_bytes({1, 1, 1}, "x", 0x00000801));
  write_bytes(folder / "refused_short-idx3-ubyte", idx_bytes({60000, 28, 28}, "x"));
}

void make_cifar10(const fs::path& folder) {
  write_bytes(folder / "two_records.bin",
              '\0' + arbitrary_bytes(3072) + '\t' + arbitrary_bytes(3072));
  write_bytes(folder / "refused_label.bin", '\n' + arbitrary_bytes(3072));
  write_bytes(folder / "two_images", cifar10_pickle(arbitrary_bytes(2 * 3072)));
  write_bytes(folder / "refused_function", "\x80\2cposix\nsystem\n.");
}

/// A PNG file as libpng writes pixels of this format; of a palette, its first entries.
std::string png_of(png_uint_32 format) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = 6;
  image.height = 5;
  image.format = format;
  image.colormap_entries = 4;
  const std::vector<std::uint16_t> pixels(PNG_IMAGE_SIZE(image), 0x0202);
  const std::vector<std::uint8_t> palette(64, 0x80);
  std::string bytes(4096, '\0');
  png_alloc_size_t size = bytes.size();
  if (png_image_write_to_memory(&image, bytes.data(), &size, 0, pixels.data(), 0, palette.data()) ==
      0) {
    throw std::runtime_error(image.message);
  }
  return bytes.substr(0, size);
}

/// The file with `bytes` written over those at `place`.
std::string overwritten(std::string file, std::size_t place, std::string_view bytes) {
  return file.replace(place, bytes.size(), bytes);
}

/// A JPEG file whose last scan is repeated.
std::string with_scans(const std::string& jpeg, int times) {
  const std::size_t scan = jpeg.rfind("\xFF\xDA");
  const std::size_t end = jpeg.size() - 2;
  std::string file = jpeg.substr(0, scan);
  for (int i = 0; i < times; ++i) {
    file.append(jpeg, scan, end - scan);
  }
  return file.append(jpeg, end);
}

void make_image_folder(const fs::path& folder) {
  const Picture rgb = smooth_picture(9, 17, 3);
  const Picture grey = smooth_picture(16, 8, 1);
  write_bytes(folder / "rgb.png", png_bytes(rgb));
  write_bytes(folder / "grey.png", png_bytes(grey));
  write_bytes(folder / "alpha.png", png_of(PNG_FORMAT_RGBA));
  write_bytes(folder / "palette.png", png_of(PNG_FORMAT_RGBA_COLORMAP));
  write_bytes(folder / "sixteen_bits.png", png_of(PNG_FORMAT_LINEAR_RGB));
  write_bytes(folder / "rgb.jpg", jpeg_bytes(rgb));
  write_bytes(folder / "grey.jpg", jpeg_bytes(grey));
  write_bytes(folder / "progressive.jpg", jpeg_bytes(rgb, true));
  // Sizes of 10,000 × 10,000 pixels, in the header's width and height and in the frame's.
  write_bytes(folder / "refused_size.png",
              overwritten(png_bytes(grey), 16, std::string_view("\0\0\x27\x10\0\0\x27\x10", 8)));
  const std::string jpeg = jpeg_bytes(rgb);
  write_bytes(folder / "refused_size.jpg",
              overwritten(jpeg, jpeg.find("\xFF\xC0") + 5, "\x27\x10\x27\x10"));
  write_bytes(folder / "refused_scans.jpg", with_scans(jpeg_bytes(rgb, true), 60));
  const Picture cmyk{std::vector<std::uint8_t>(256, 9), 8, 8, 4};
  write_bytes(folder / "cmyk.jpg", jpeg_bytes(cmyk));
}

void make_image_archive(const fs::path& folder) {
  const std::string png = png_bytes(smooth_picture(4, 4, 1));
  const std::vector<TarEntry> two_images{
      {.name = "jpg", .type = AE_IFDIR}, {"jpg/b.png", png}, {"jpg/a.png", png}};
  write_tar(folder / "two_images.tgz", two_images);
  write_tar(folder / "two_images.tar", two_images);
  write_tar(folder / "long_name.tar", {{std::string(150, 'n') + ".png", png}, {"readme", "x"}});
  write_tar(folder / "refused_link.tar", {{.name = "a.png", .type = AE_IFLNK, .link = "/etc/x"}});
  write_tar(folder / "refused_sparse.tar",
            {{.name = "a.png", .bytes = std::string(50'000'000, '\0'), .data_at = 49'999'999}});
  write_tar(folder / "refused_twice.tar", {{"a.png", png}, {"a.png", png}});
}

void make_state(const fs::path& folder) {
  TrainingState state = small_state();
  save_long_run(folder / "long_run.safetensors", state, small_long_run());
  state.iteration = 300;
  state.checkpoints = {100, 200, 300};
  save_state(folder / "state.safetensors", state);
  state.rollbacks = 2;
  state.rate_factor = 0.25;
  state.long_run_is_due = true;
  save_state(folder / "rolled_back.safetensors", state);
  state.learned.bank = {};
  save_state(folder / "refused_no_bank.safetensors", state);
}

}  // namespace
}  // namespace ebm

int main(int count, char** arguments) {
  if (count != 2) {
    std::fputs("usage: make_corpus FOLDER\n", stderr);
    return 2;
  }
  const std::filesystem::path corpora = arguments[1];
  ebm::make_cifar10(ebm::corpus_of(corpora, "cifar10"));
  ebm::make_checkpoint(ebm::corpus_of(corpora, "checkpoint"));
  ebm::make_idx(ebm::corpus_of(corpora, "idx"));
  ebm::make_image_cache(ebm::corpus_of(corpora, "image_cache"));
  ebm::make_image_archive(ebm::corpus_of(corpora, "image_archive"));
  ebm::make_npy(ebm::corpus_of(corpora, "npy"));
  ebm::make_image_folder(ebm::corpus_of(corpora, "image_folder"));
  ebm::make_safetensors(ebm::corpus_of(corpora, "safetensors"));
  ebm::make_state(ebm::corpus_of(corpora, "state"));
}
