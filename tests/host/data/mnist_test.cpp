#include "host/data/mnist.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda/base/errors.h"
#include "host/data/prepare_image.h"
#include "tests/support/idx_bytes.h"
#include "tests/support/temporary_folder.h"

namespace ebm {
namespace {

constexpr std::size_t kDigitSize = 784;
const std::string kDigits = arbitrary_bytes(5 * kDigitSize);

std::string digits_file() { return idx_bytes({5, 28, 28}, kDigits); }

TEST(Mnist, PreparesEveryDigitInOrder) {
  const TemporaryFolder folder;
  write_bytes(folder / "train-images-idx3-ubyte", digits_file());
  const ImageDataset dataset = load_mnist(folder.path(), 32, 1);
  EXPECT_EQ(dataset.count, 5);
  EXPECT_EQ(dataset.channels, 1);
  EXPECT_EQ(dataset.height, 32);
  EXPECT_EQ(dataset.width, 32);
  ASSERT_EQ(dataset.images.size(), 5U * 1024);
  for (std::size_t i = 0; i < 5; ++i) {
    const std::string digit = kDigits.substr(i * kDigitSize, kDigitSize);
    const std::vector<std::uint8_t> pixels(digit.begin(), digit.end());
    std::vector<float> expected(1024);
    prepare_image({pixels, 28, 28, 1}, 32, expected);
    const auto image = dataset.images.begin() + static_cast<std::ptrdiff_t>(i * expected.size());
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), image)) << i;
  }
}

TEST(Mnist, RepeatsGreyInThreeChannels) {
  const TemporaryFolder folder;
  write_bytes(folder / "train-images-idx3-ubyte", digits_file());
  const ImageDataset grey = load_mnist(folder.path(), 16, 1);
  const ImageDataset colour = load_mnist(folder.path(), 16, 3);
  EXPECT_EQ(colour.channels, 3);
  ASSERT_EQ(colour.images.size(), 3 * grey.images.size());
  const std::size_t plane = 256;
  for (std::size_t i = 0; i < colour.images.size(); ++i) {
    ASSERT_EQ(colour.images[i], grey.images[i / (3 * plane) * plane + i % plane]);
  }
}

TEST(Mnist, FindsEverySpelling) {
  const std::vector<float> expected = [] {
    const TemporaryFolder folder;
    write_bytes(folder / "train-images-idx3-ubyte", digits_file());
    return load_mnist(folder.path(), 32, 1).images;
  }();
  for (const char* name :
       {"train-images-idx3-ubyte.gz", "train-images.idx3-ubyte", "train-images.idx3-ubyte.gz"}) {
    const TemporaryFolder folder;
    if (std::string_view(name).ends_with(".gz")) {
      write_gzip(folder / name, digits_file());
    } else {
      write_bytes(folder / name, digits_file());
    }
    EXPECT_EQ(load_mnist(folder.path(), 32, 1).images, expected) << name;
    EXPECT_EQ(load_idx_images(folder / name, 32, 1).images, expected) << name;
  }
}

TEST(Mnist, IsFoundWhereTorchvisionLeavesIt) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "MNIST/raw");
  write_bytes(folder / "MNIST/raw/train-images-idx3-ubyte", digits_file());
  write_gzip(folder / "MNIST/raw/train-images-idx3-ubyte.gz", digits_file());
  for (const char* path : {"", "MNIST", "MNIST/raw"}) {
    EXPECT_EQ(load_mnist(folder / path, 32, 1).count, 5) << path;
  }
}

TEST(Mnist, HoldsTheTestDigitsApart) {
  const TemporaryFolder folder;
  const std::string digits = digits_file();
  write_bytes(folder / "train-images-idx3-ubyte", digits);
  const auto test_digits = [&] { return load_mnist(folder.path(), 32, 1, DataSplit::test); };
  EXPECT_TRUE(mentions(message_of<InputFileError>(test_digits),
                       {"no MNIST test images", "t10k-images-idx3-ubyte,", "ebm_fetch_dataset"}));
  const std::string others = idx_bytes({2, 28, 28}, std::string(2 * 784, '\x40'));
  write_gzip(folder / "t10k-images-idx3-ubyte.gz", others);
  EXPECT_EQ(test_digits().images,
            load_idx_images(folder / "t10k-images-idx3-ubyte.gz", 32, 1).images);
  EXPECT_EQ(test_digits().count, 2);
  EXPECT_EQ(load_mnist(folder.path(), 32, 1).count, 5);
}

TEST(Mnist, IsTheSameOnAnyNumberOfThreads) {
  const TemporaryFolder folder;
  write_bytes(folder / "train-images-idx3-ubyte", digits_file());
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  const std::vector<float> one = load_mnist(folder.path(), 32, 1).images;
  omp_set_num_threads(4);
  const std::vector<float> four = load_mnist(folder.path(), 32, 1).images;
  omp_set_num_threads(threads);
  EXPECT_EQ(one, four);
}

TEST(Mnist, SaysWhatItLookedFor) {
  const TemporaryFolder folder;
  const std::string message = message_of<InputFileError>([&] { load_mnist(folder.path(), 32, 1); });
  EXPECT_TRUE(
      mentions(message, {folder.path().string(), "train-images-idx3-ubyte,",
                         "train-images-idx3-ubyte.gz", "train-images.idx3-ubyte", "data.path"}));
  EXPECT_TRUE(mentions(message_of<InputFileError>([&] { load_mnist(folder / "missing", 32, 1); }),
                       {"missing"}));
}

TEST(Mnist, NamesAMalformedFile) {
  const TemporaryFolder folder;
  write_bytes(folder / "train-images-idx3-ubyte", digits_file().substr(0, 1000));
  EXPECT_TRUE(mentions(message_of<InputFileError>([&] { load_mnist(folder.path(), 32, 1); }),
                       {(folder / "train-images-idx3-ubyte").string(), "cut short"}));
}

TEST(Mnist, RefusesOtherChannelsAndSizes) {
  EXPECT_THROW(load_idx_images("unused", 32, 2), std::invalid_argument);
  EXPECT_THROW(load_idx_images("unused", 0, 1), std::invalid_argument);
}

}  // namespace
}  // namespace ebm
