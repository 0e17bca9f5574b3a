#include "host/files/npy.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <cstring>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

#include "cuda/base/errors.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temporary_folder.h"

namespace ebm {
namespace {

using Shape = std::vector<std::int64_t>;

/// A file as NumPy would write it, but with the header text, version and data given.
std::string npy_bytes(const std::string& header, const std::string& data, char version = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += {version, '\0'};
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) {
    bytes += static_cast<char>(header.size() >> (8 * i) & 0xFF);
  }
  return bytes + header + data;
}

std::string dictionary(const std::string& dtype, const std::string& shape,
                       const std::string& order = "False") {
  return "{'descr': '" + dtype + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
}

template <typename Value>
std::string bytes_of(const std::vector<Value>& values) {
  std::string bytes(values.size() * sizeof(Value), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

NpyArray read(const std::string& bytes) {
  const TemporaryFolder folder;
  write_bytes(folder / "array.npy", bytes);
  return read_npy(folder / "array.npy");
}

/// The message with which those bytes are refused; it must name the file.
std::string refusal(const std::string& bytes) {
  std::string message = message_of<InputFileError>([&] { read(bytes); });
  EXPECT_TRUE(mentions(message, {"array.npy: "}));
  return message;
}

TEST(Npy, ReadsHalfPrecisionExactly) {
  const auto half = [](std::uint16_t bits) {
    return read(npy_bytes(dictionary("<f2", "(1,)"), bytes_of(std::vector{bits}))).values.front();
  };
  EXPECT_EQ(half(0x3C00), 1);
  EXPECT_EQ(half(0xC001), -2 - 0x1p-9F);
}

TEST(Npy, KeepsLevelsApartFromNumbers) {
  const TemporaryFolder folder;
  const std::string levels("\x00\x7f\xff\x80\x01\x02", 6);
  write_bytes(folder / "x.npy", npy_bytes(dictionary("|u1", "(2, 3)"), levels));
  const auto array = std::get<NpyLevels>(read_npy_or_levels(folder / "x.npy"));
  EXPECT_EQ(array.shape, (Shape{2, 3}));
  EXPECT_EQ(array.values, (std::vector<std::uint8_t>{0, 127, 255, 128, 1, 2}));
  EXPECT_TRUE(mentions(message_of<InputFileError>([&] { read_npy(folder / "x.npy"); }),
                       {"x.npy", "'|u1'", "astype('<f4')"}));
  write_bytes(folder / "x.npy", npy_bytes(dictionary("|u1", "(2, 4)"), levels));
  EXPECT_TRUE(mentions(message_of<InputFileError>([&] { read_npy_or_levels(folder / "x.npy"); }),
                       {"(2, 4)", "6 bytes"}));
}

TEST(Npy, RoundTripsEveryShape) {
  const TemporaryFolder folder;
  for (const Shape& shape :
       {Shape{}, Shape{0}, Shape{5}, Shape{2, 3}, Shape{2, 0, 4}, Shape{2, 1, 3, 2}}) {
    const auto size = static_cast<std::size_t>(
        std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>()));
    std::vector<float> values(size);
    std::iota(values.begin(), values.end(), -1.5F);
    write_npy(folder / "array.npy", shape, values);
    const NpyArray array = read_npy(folder / "array.npy");
    EXPECT_EQ(array.shape, shape);
    EXPECT_EQ(array.values, values);
  }
}

TEST(Npy, WritesTheBytesThatNumpyWrites) {
  const TemporaryFolder folder;
  const std::vector<float> values = {0, 1, 2, 3, 4, 5};
  write_npy(folder / "array.npy", Shape{2, 3}, values);
  // numpy.save of numpy.arange(6, dtype='<f4').reshape(2, 3), NumPy 2.
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
  EXPECT_EQ(read_bytes(folder / "array.npy"), std::string("\x93NUMPY\x01\x00\x76\x00", 10) +
                                                  header + std::string(117 - header.size(), ' ') +
                                                  '\n' + bytes_of(values));
  write_npy(folder / "array.npy", Shape{6}, values);
  EXPECT_NE(read_bytes(folder / "array.npy").find("'shape': (6,), }"), std::string::npos);
}

TEST(Npy, AlignsDataTo64BytesWhateverTheHeader) {
  const TemporaryFolder folder;
  Shape shape;
  for (int dimensions = 0; dimensions < 40; ++dimensions, shape.push_back(1)) {
    write_npy(folder / "array.npy", shape, std::array{1.0F});
    EXPECT_EQ(std::filesystem::file_size(folder / "array.npy") % 64, sizeof(float));
    EXPECT_EQ(read_npy(folder / "array.npy").shape, shape);
  }
}

TEST(Npy, WritesDoublesAndReadsThemAsFloats) {
  const TemporaryFolder folder;
  const std::vector<double> values = {0.1, -1e-3, std::numeric_limits<double>::infinity()};
  write_npy(folder / "array.npy", Shape{3}, values);
  EXPECT_TRUE(read_bytes(folder / "array.npy").ends_with(bytes_of(values)));
  const std::vector<float> expected = {0.1F, -1e-3F, std::numeric_limits<float>::infinity()};
  EXPECT_EQ(read_npy(folder / "array.npy").values, expected);
}

TEST(Npy, ReadsLaterVersionsAndOtherSpellings) {
  const std::vector<float> values = {1, 2};
  const std::string data = bytes_of(values);
  for (const char version : {'\1', '\2', '\3'}) {
    EXPECT_EQ(read(npy_bytes(dictionary("<f4", "(2,)"), data, version)).values, values);
  }
  const std::string other = R"({"shape":(2 , 1),"fortran_order":False,"descr":"<f4"})";
  EXPECT_EQ(read(npy_bytes(other, data)).shape, (Shape{2, 1}));
}

TEST(Npy, RefusesShapesThatAreNotTheValues) {
  const TemporaryFolder folder;
  const std::array values = {1.0F, 2.0F};
  for (const Shape& shape : {Shape{3}, Shape{}, Shape{-1, -2}}) {
    EXPECT_THROW(write_npy(folder / "array.npy", shape, values), std::invalid_argument);
  }
  EXPECT_TRUE(folder.names().empty());
}

TEST(Npy, LeavesNothingWhenTheDiskIsFull) {
  const TemporaryFolder folder;
  const FileSizeLimit limit(64);
  EXPECT_THROW(write_npy(folder / "array.npy", Shape{1}, std::array{1.0F}), OutputError);
  EXPECT_TRUE(folder.names().empty());
}

TEST(Npy, SaysHowToSaveWhatItDoesNotRead) {
  EXPECT_TRUE(mentions(refusal(npy_bytes(dictionary("<f4", "(2, 2)", "True"), "")),
                       {"Fortran order", "numpy.ascontiguousarray"}));
  for (const std::string dtype : {">f4", "<i8", "|i1", ">f2", "|O"}) {
    EXPECT_TRUE(
        mentions(refusal(npy_bytes(dictionary(dtype, "(1,)"), "")), {dtype, "astype('<f4')"}));
  }
}

TEST(Npy, RefusesSizesThatDisagree) {
  const std::string data = bytes_of(std::vector<float>{1, 2, 3});
  for (const std::string shape :
       {"(4,)", "(2,)", "()", "(0,)", "(-3,)", "(-1, -3)", "(9223372036854775807,)",
        "(4294967296, 4294967296)", "(4611686018427387904, 1)", "(0, 9223372036854775807, 2)"}) {
    EXPECT_TRUE(mentions(refusal(npy_bytes(dictionary("<f4", shape), data)),
                         {"shape " + shape, "12 bytes"}));
  }
}

TEST(Npy, RefusesMalformedHeaders) {
  const std::string data = bytes_of(std::vector<float>{1});
  for (const std::string header :
       {"", "{}", "{", "[]", "{'descr': '<f4'}", "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1 1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1.0,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x",
        "{'descr': '<f4, 'fortran_order': False, 'shape': (1,)}",
        "{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (1,)}"}) {
    EXPECT_TRUE(mentions(refusal(npy_bytes(header, data)), {"header is not a dictionary"}))
        << header;
  }
  for (const std::string header :
       {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}"}) {
    EXPECT_TRUE(mentions(refusal(npy_bytes(header, data)), {"unknown or repeated key"})) << header;
  }
}

TEST(Npy, RefusesOtherFilesAndEveryTruncation) {
  EXPECT_TRUE(mentions(refusal(""), {"too short"}));
  EXPECT_TRUE(mentions(refusal("PK\3\4 an .npz file"), {"not a .npy file", "numpy.save"}));
  EXPECT_TRUE(mentions(refusal(npy_bytes("{}", "", 4)), {"version 4"}));
  const std::string whole =
      npy_bytes(dictionary("<f4", "(2,)"), bytes_of(std::vector<float>{1, 2}));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    refusal(whole.substr(0, size));
  }
}

TEST(Npy, BelievesNoLengthBeyondTheFile) {
  EXPECT_TRUE(mentions(refusal(std::string("\x93NUMPY\x02\x00\xFF\xFF\xFF\xFF", 12) + "{}"),
                       {"4294967295", "2 remain"}));
}

TEST(Npy, RefusesWhatIsNotAFile) {
  const TemporaryFolder folder;
  EXPECT_TRUE(mentions(message_of<InputFileError>([&] { read_npy(folder.path()); }),
                       {folder.path().string(), "is a folder"}));
  EXPECT_TRUE(mentions(message_of<InputFileError>([&] { read_npy(folder / "missing"); }),
                       {(folder / "missing").string(), "No such file"}));
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_TRUE(mentions(message_of<InputFileError>([&] { read_npy(folder / "pipe"); }),
                       {(folder / "pipe").string(), "not a regular file"}));
}

}  // namespace
}  // namespace ebm
