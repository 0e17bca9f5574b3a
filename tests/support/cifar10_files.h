// CIFAR-10's files as Python saved them, for tests.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <string>

namespace ebm {

/// `size` bytes as an integer, the least first.
inline std::string little_endian(std::size_t value, int size) {
  std::string bytes;
  for (int i = 0; i < size; ++i) {
    bytes += static_cast<char>(value >> (8 * i) & 0xFF);
  }
  return bytes;
}

/// A batch as Python 2 and NumPy saved the published ones, labels and names of files included.
/// `levels` are 3072 of each image, which come image after image unless `by_columns`.
inline std::string cifar10_pickle(const std::string& levels, bool by_columns = false) {
  const std::size_t count = levels.size() / 3072;
  const auto text = [](const std::string& words) {
    return "U" + std::string(1, static_cast<char>(words.size())) + words;
  };
  std::string labels;
  std::string names;
  for (std::size_t i = 0; i < count; ++i) {
    labels += std::string("K") + static_cast<char>(i % 10);
    names += text(fmt::format("image_s_{:06}.png", i)) + "r" + little_endian(300 + i, 4);
  }
  using namespace std::string_literals;
  const std::string array =
      "cnumpy.core.multiarray\n_reconstruct\nq\x07"
      "cnumpy\nndarray\nq\x08K\0\x85U\1b\x87Rq\x09(K\1M"s +
      little_endian(count, 2) +
      "M\0\x0c\x86"
      "cnumpy\ndtype\nq\nU\2u1K\0K\1\x87Rq\x0b(K\3U\1|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
      "K\0tb"s +
      (by_columns ? "\x88" : "\x89") + "T" + little_endian(levels.size(), 4) + levels + "q\x0ctb";
  return "\x80\2}q\1(" + text("batch_label") + "q\2" + text("training batch 1 of 5") + "q\3" +
         text("labels") + "q\4]q\5(" + labels + "e" + text("data") + "q\6" + array +
         text("filenames") + "q\x0d]q\x0e(" + names + "eu.";
}

}  // namespace ebm
