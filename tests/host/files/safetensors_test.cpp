#include "host/files/safetensors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <stdexcept>
#include <string>

#include "cuda/base/errors.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/places.h"
#include "tests/support/temporary_folder.h"

namespace ebm {
namespace {

using Shape = std::vector<std::int64_t>;

std::string length_bytes(std::uint64_t length) {
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes;
}

std::string file_bytes(const std::string& header, std::size_t data_size) {
  return length_bytes(header.size()) + header + std::string(data_size, '\0');
}

/// A header entry.
std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return '"' + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" +
         offsets + "}";
}

/// A JSON object of those members.
std::string object(std::initializer_list<std::string> members) {
  std::string text(1, '{');
  for (const std::string& member : members) {
    text += (text.size() == 1 ? "" : ",") + member;
  }
  return text += '}';
}

TensorFile read(const std::string& bytes) {
  const TemporaryFolder folder;
  write_bytes(folder / "net.safetensors", bytes);
  return read_safetensors(folder / "net.safetensors");
}

/// The message with which those bytes are refused; it must name the file.
std::string refusal(const std::string& bytes) {
  std::string message = message_of<InputFileError>([&] { read(bytes); });
  EXPECT_TRUE(mentions(message, {"net.safetensors: "}));
  return message;
}

TEST(Safetensors, RoundTripsNamesShapesValuesOrderAndMetadata) {
  const TemporaryFolder folder;
  const TensorFile written{.tensors = {{"f.2.weight", {2, 1, 1, 2}, {1.5F, -0.0F, 3e38F, 1e-45F}},
                                       {"f.0.bias", {3}, {INFINITY, -INFINITY, 0.1F}},
                                       {"scalar", {}, {42}},
                                       {"quote \" and ε", {1}, {7}},
                                       {"empty", {0, 3}, {}}},
                           .metadata = {{"iteration", "100"}, {"config", "name: x\nseed: 1\n"}}};
  write_safetensors(folder / "net.safetensors", written);
  const TensorFile file = read_safetensors(folder / "net.safetensors");
  EXPECT_EQ(file.metadata, written.metadata);
  EXPECT_EQ(file.path, folder / "net.safetensors");
  ASSERT_EQ(file.tensors.size(), written.tensors.size());
  for (std::size_t i = 0; i < file.tensors.size(); ++i) {
    EXPECT_EQ(file.tensors[i].name, written.tensors[i].name);
    EXPECT_EQ(file.tensors[i].shape, written.tensors[i].shape);
    EXPECT_EQ(file.tensors[i].values, written.tensors[i].values);
  }
  EXPECT_TRUE(std::signbit(file.at("f.2.weight").values[1]));
}

TEST(Safetensors, KeepsNaN) {
  const TemporaryFolder folder;
  write_safetensors(folder / "net", {.tensors = {{"x", {1}, {NAN}}}, .metadata = {}});
  EXPECT_TRUE(std::isnan(read_safetensors(folder / "net").at("x").values[0]));
}

TEST(Safetensors, WritesTheFormatsBytes) {
  const TemporaryFolder folder;
  write_safetensors(folder / "net",
                    {.tensors = {{"b", {1}, {1}}, {"a", {2}, {2, 3}}}, .metadata = {{"k", "v"}}});
  const std::string header =
      object({R"("__metadata__":{"k":"v"})", entry("b", "F32", "[1]", "[0,4]"),
              entry("a", "F32", "[2]", "[4,12]")});
  const std::string padding((8 - header.size() % 8) % 8, ' ');
  const std::string data("\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40", 12);
  EXPECT_EQ(read_bytes(folder / "net"),
            length_bytes(header.size() + padding.size()) + header + padding + data);
}

TEST(Safetensors, MayHoldNothing) {
  const TemporaryFolder folder;
  write_safetensors(folder / "net", {});
  EXPECT_EQ(read_bytes(folder / "net"), file_bytes("{}      ", 0));
  EXPECT_TRUE(read_safetensors(folder / "net").tensors.empty());
}

TEST(Safetensors, FindsTensorsByName) {
  const TensorFile file{
      .tensors = {{"a", {1}, {1}}}, .metadata = {}, .path = "folder/net.safetensors"};
  EXPECT_EQ(file.find("a"), &file.tensors[0]);
  EXPECT_EQ(&file.at("a"), &file.tensors[0]);
  EXPECT_EQ(file.find("b"), nullptr);
  EXPECT_TRUE(mentions(message_of<InputFileError>([&] { file.at("f.8.bias"); }),
                       {"folder/net.safetensors", "f.8.bias"}));
}

TEST(Safetensors, ReadsWhatPyTorchWrote) {
  for (const char* name : {"correlations", "densities", "images", "nonlocal_1ch", "nonlocal_3ch",
                           "toy", "vanilla_1ch", "vanilla_3ch"}) {
    const TensorFile file = read_safetensors(test_data() / (std::string(name) + ".safetensors"));
    EXPECT_FALSE(file.tensors.empty());
    EXPECT_FALSE(file.metadata.empty());
    for (const Tensor& tensor : file.tensors) {
      for (const float value : tensor.values) {
        ASSERT_TRUE(std::isfinite(value)) << name << ' ' << tensor.name;
      }
    }
  }
  const TensorFile images = read_safetensors(test_data() / "images.safetensors");
  EXPECT_EQ(images.metadata.at("size"), "32");
  EXPECT_EQ(images.at("wide.pixels").shape, (Shape{47, 61, 3}));
  EXPECT_EQ(images.at("wide.prepared").shape, (Shape{3, 32, 32}));
}

TEST(Safetensors, ConvertsBytesAndDoublesToFloat) {
  const std::string header =
      object({entry("d", "F64", "[1]", "[0,8]"), entry("u", "U8", "[3]", "[8,11]")});
  const double value = 0.1;
  std::string data(sizeof(value), '\0');
  std::memcpy(data.data(), &value, sizeof(value));
  const TensorFile file =
      read(length_bytes(header.size()) + header + data + std::string("\x00\x7f\xff", 3));
  EXPECT_EQ(file.at("d").values, (std::vector<float>{0.1F}));
  EXPECT_EQ(file.at("u").values, (std::vector<float>{0, 127, 255}));
}

/// Every 16-bit pattern, read as tensor "h" of that dtype.
std::vector<float> every_half(const std::string& dtype) {
  std::string data(std::size_t{2} << 16, '\0');
  for (std::size_t bits = 0; bits < 1 << 16; ++bits) {
    data[2 * bits] = static_cast<char>(bits & 0xFF);
    data[2 * bits + 1] = static_cast<char>(bits >> 8);
  }
  const std::string header = object({entry("h", dtype, "[65536]", "[0,131072]")});
  return read(length_bytes(header.size()) + header + data).at("h").values;
}

TEST(Safetensors, ReadsHalfPrecisionExactly) {
  const std::vector<float> f16 = every_half("F16");
  EXPECT_EQ(f16[0x0001], 0x1p-24F);  // the smallest
  EXPECT_EQ(f16[0x03FF], 1023 * 0x1p-24F);
  EXPECT_EQ(f16[0x0400], 0x1p-14F);
  EXPECT_EQ(f16[0x3555], 0.333251953125F);
  EXPECT_EQ(f16[0x3C00], 1);
  EXPECT_EQ(f16[0x7BFF], 65504);
  EXPECT_EQ(f16[0x7C00], INFINITY);
  EXPECT_TRUE(std::isnan(f16[0x7C01]));
  for (std::size_t bits = 1; bits <= 0x7C00; ++bits) {
    ASSERT_LT(f16[bits - 1], f16[bits]) << bits;
    ASSERT_EQ(f16[bits | 0x8000], -f16[bits]) << bits;
  }
  EXPECT_TRUE(std::signbit(f16[0x8000]));
  const std::vector<float> bf16 = every_half("BF16");
  for (std::uint32_t bits = 0; bits < 1 << 16; ++bits) {  // the upper half of a float
    const std::uint32_t whole = bits << 16;
    ASSERT_EQ(std::memcmp(&bf16[bits], &whole, sizeof(whole)), 0) << bits;
  }
}

TEST(Safetensors, ReadsCounters) {  // as those of averaged models and of batch normalization
  const std::string header = object({entry("n_averaged", "I64", "[]", "[0,8]")});
  EXPECT_EQ(
      read(length_bytes(header.size()) + header + length_bytes(70000)).at("n_averaged").values,
      std::vector<float>{70000});
}

TEST(Safetensors, ReadsHeadersInAnyOrderAndWithoutPadding) {
  const TensorFile file = read(
      file_bytes(object({entry("a", "F32", "[1]", "[4,8]"), entry("b", "F32", "[]", "[0,4]")}), 8));
  ASSERT_EQ(file.tensors.size(), 2U);
  EXPECT_EQ(file.tensors[0].name, "b");
  EXPECT_EQ(file.tensors[1].name, "a");
}

TEST(Safetensors, RefusesToWriteWhatCannotBeReadBack) {
  const TemporaryFolder folder;
  for (const TensorFile& file :
       {TensorFile{.tensors = {{"a", {2}, {1}}}, .metadata = {}},
        TensorFile{.tensors = {{"a", {-1}, {}}}, .metadata = {}},
        TensorFile{.tensors = {{"a", {1}, {1}}, {"a", {1}, {1}}}, .metadata = {}},
        TensorFile{.tensors = {{"__metadata__", {1}, {1}}}, .metadata = {}},
        TensorFile{.tensors = {{"\xff", {1}, {1}}}, .metadata = {}}}) {
    EXPECT_THROW(write_safetensors(folder / "net", file), std::invalid_argument);
  }
  EXPECT_TRUE(folder.names().empty());
}

TEST(Safetensors, LeavesTheOldFileWhenTheDiskIsFull) {
  const TemporaryFolder folder;
  write_safetensors(folder / "net", {.tensors = {{"a", {1}, {1}}}, .metadata = {}});
  const std::string before = read_bytes(folder / "net");
  {
    const FileSizeLimit limit(1024);
    EXPECT_THROW(
        write_safetensors(folder / "net",
                          {.tensors = {{"a", {1000}, std::vector<float>(1000)}}, .metadata = {}}),
        OutputError);
  }
  EXPECT_EQ(read_bytes(folder / "net"), before);
  EXPECT_EQ(folder.names(), std::vector<std::string>{"net"});
}

TEST(Safetensors, RefusesEveryTruncation) {
  const TemporaryFolder folder;
  write_safetensors(folder / "net",
                    {.tensors = {{"a", {2}, {1, 2}}, {"b", {1}, {3}}}, .metadata = {{"k", "v"}}});
  const std::string whole = read_bytes(folder / "net");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    refusal(whole.substr(0, size));
  }
  EXPECT_TRUE(mentions(refusal(whole + "x"), {"13 bytes", "take 12"}));
  EXPECT_TRUE(mentions(refusal(whole.substr(0, whole.size() - 1)), {"\"b\"", "cut short"}));
}

TEST(Safetensors, BelievesNoHeaderLengthBeyondTheFile) {
  for (const std::uint64_t length :
       {std::uint64_t{3}, std::uint64_t{100'000'001}, std::numeric_limits<std::uint64_t>::max()}) {
    EXPECT_TRUE(mentions(refusal(length_bytes(length) + "{}"),
                         {std::to_string(length), "2 remain", "cut short"}));
  }
}

TEST(Safetensors, RefusesHeadersOverTheFormatsLimit) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "net";
  write_bytes(path, length_bytes(200'000'000) + "{}");
  std::filesystem::resize_file(path, 300'000'000);  // sparse
  EXPECT_TRUE(mentions(message_of<InputFileError>([&] { read_safetensors(path); }),
                       {"200000000", "100000000 are the most"}));
}

TEST(Safetensors, RefusesHeadersThatAreNotObjects) {
  for (const std::string header : {"", "[]", "1", "null", " {}"}) {
    EXPECT_TRUE(mentions(refusal(file_bytes(header, 0)), {"not a JSON object"})) << header;
  }
  for (const std::string header : {"{", "{}}", "{\"a\"}", "{\"a\":}", "{\"\xff\":1}", "{} x"}) {
    EXPECT_TRUE(mentions(refusal(file_bytes(header, 0)), {"not JSON", "byte "})) << header;
  }
  EXPECT_TRUE(mentions(refusal(file_bytes("{\"a\":1e999}", 0)), {"out of range"}));
}

TEST(Safetensors, RefusesDeeplyNestedHeaders) {
  for (const auto& [open, close] : {std::pair{"[", "]"}, std::pair{"{\"a\":", "}"}}) {
    std::string header = "{\"a\":";
    for (int i = 0; i < 100'000; ++i) {
      header += open;
    }
    EXPECT_TRUE(mentions(refusal(file_bytes(header, 0)), {"nested too deeply"}));
  }
}

TEST(Safetensors, RefusesMoreNamesThanItCanReadInAMoment) {
  std::string header = "{";
  for (int i = 0; i < 300'000; ++i) {
    header += "\"t" + std::to_string(i) + "\":{},";
  }
  header.back() = '}';
  EXPECT_TRUE(mentions(refusal(file_bytes(header, 0)), {"more than 4000 names"}));
}

TEST(Safetensors, RefusesRepeatedNames) {
  const std::string a = entry("a", "F32", "[1]", "[0,4]");
  EXPECT_TRUE(mentions(refusal(file_bytes(object({a, a}), 4)), {"repeats", "\"a\""}));
  EXPECT_TRUE(
      mentions(refusal(file_bytes(
                   R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4)),
               {"repeats", "\"dtype\""}));
  EXPECT_TRUE(mentions(refusal(file_bytes(R"({"__metadata__":{"k":"1","k":"2"}})", 0)),
                       {"repeats", "\"k\""}));
}

TEST(Safetensors, RefusesMetadataThatIsNotTexts) {
  for (const std::string metadata : {"1", "[]", "[\"a\"]", "null", "\"a\"", "{\"a\":1}"}) {
    EXPECT_TRUE(mentions(refusal(file_bytes(object({"\"__metadata__\":" + metadata}), 0)),
                         {"__metadata__"}))
        << metadata;
  }
}

TEST(Safetensors, RefusesEntriesOfTheWrongKind) {
  for (const std::string fields :
       {"1", "[]", "{}", R"({"dtype":"F32","shape":[1]})",
        R"({"dtype":1,"shape":[1],"data_offsets":[0,4]})",
        R"({"dtype":"F32","shape":[1],"offsets":[0,4]})",
        R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1})"}) {
    EXPECT_TRUE(mentions(refusal(file_bytes(object({"\"a\":" + fields}), 4)),
                         {"\"a\"", "a dtype, a shape and data_offsets"}))
        << fields;
  }
  for (const std::string shape :
       {"1", "null", "{}", "[-1]", "[1.0]", "[\"1\"]", "[true]", "[[1]]", "[9223372036854775808]",
        "[4294967296,4294967296]", "[3037000500,3037000500]"}) {
    EXPECT_TRUE(mentions(refusal(file_bytes(object({entry("a", "F32", shape, "[0,4]")}), 4)),
                         {"\"a\"", "shape"}))
        << shape;
  }
  for (const std::string offsets :
       {"4", "[]", "[0]", "[0,4,8]", "[4,0]", "[-4,0]", "[0.0,4.0]", R"(["0","4"])"}) {
    EXPECT_TRUE(mentions(refusal(file_bytes(object({entry("a", "F32", "[1]", offsets)}), 4)),
                         {"\"a\"", "data_offsets"}))
        << offsets;
  }
}

TEST(Safetensors, SaysHowToSaveOtherDtypes) {
  for (const std::string dtype : {"F8_E4M3", "I32", "", "f32"}) {
    EXPECT_TRUE(mentions(refusal(file_bytes(object({entry("a", dtype, "[1]", "[0,2]")}), 2)),
                         {"\"a\"", "\"" + dtype + "\"", "tensor.float()"}));
  }
}

TEST(Safetensors, RefusesSizesThatDisagree) {
  for (const auto& [shape, offsets] :
       {std::pair{"[2]", "[0,4]"}, std::pair{"[1]", "[0,8]"}, std::pair{"[1]", "[0,5]"},
        std::pair{"[0]", "[0,8]"}, std::pair{"[2,3]", "[0,8]"},
        std::pair{"[4611686018427387904]", "[0,0]"}, std::pair{"[4611686018427387905]", "[0,4]"}}) {
    EXPECT_TRUE(mentions(refusal(file_bytes(object({entry("a", "F32", shape, offsets)}), 8)),
                         {"\"a\"", "not what its shape and dtype take"}))
        << shape << offsets;
  }
  for (const std::string offsets : {"[0,12]", "[8,12]", "[0,9223372036854775807]"}) {
    EXPECT_TRUE(mentions(refusal(file_bytes(object({entry("a", "F32", "[1]", offsets)}), 8)),
                         {"\"a\"", "cut short"}))
        << offsets;
  }
}

TEST(Safetensors, RefusesOverlapsHolesAndUnclaimedData) {
  const auto two = [](const std::string& first, const std::string& second) {
    return object({entry("a", "F32", "[1]", first), entry("b", "F32", "[1]", second)});
  };
  EXPECT_TRUE(mentions(refusal(file_bytes(two("[0,4]", "[0,4]"), 4)), {"\"b\"", "overlaps"}));
  EXPECT_TRUE(mentions(refusal(file_bytes(two("[0,4]", "[2,6]"), 8)), {"\"b\"", "overlaps"}));
  EXPECT_TRUE(mentions(refusal(file_bytes(two("[0,4]", "[8,12]"), 12)), {"\"b\"", "hole"}));
  EXPECT_TRUE(mentions(refusal(file_bytes(two("[4,8]", "[8,12]"), 12)), {"\"a\"", "hole"}));
  EXPECT_TRUE(mentions(refusal(file_bytes(two("[0,4]", "[4,8]"), 9)), {"9 bytes", "take 8"}));
}

TEST(Safetensors, RefusesWhatIsNotAFile) {
  const TemporaryFolder folder;
  EXPECT_TRUE(mentions(message_of<InputFileError>([&] { read_safetensors(folder.path()); }),
                       {folder.path().string(), "is a folder"}));
  EXPECT_TRUE(mentions(message_of<InputFileError>([&] { read_safetensors(folder / "missing"); }),
                       {(folder / "missing").string(), "No such file"}));
  EXPECT_TRUE(mentions(message_of<InputFileError>([] { read_safetensors("/dev/zero"); }),
                       {"/dev/zero", "not a regular file"}));
}

}  // namespace
}  // namespace ebm
