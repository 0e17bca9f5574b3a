// Checkpoints: round trip, PyTorch's names, and every way a file can be the wrong one.

#include "host/training/checkpoint.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "cuda/base/errors.h"
#include "host/files/checked_tensors.h"
#include "tests/support/temporary_folder.h"

namespace ebm {
namespace {

CheckpointInfo nonlocal_info() {
  return {.network = "nonlocal",
          .channels = 3,
          .features = 4,
          .epsilon = 0.0075,
          .iteration = 12,
          .steps = 150,
          .clamp = Clamp({-1, 0.75}),
          .data_noise = 0.03};
}

std::filesystem::path saved(const TemporaryFolder& folder) {
  const Network network = published_network("nonlocal", 3, 4);
  save_checkpoint(folder / "net.safetensors", nonlocal_info(), network,
                  initial_parameters(network, 1).span());
  return folder / "net.safetensors";
}

/// The saved file with something changed.
std::filesystem::path changed(const TemporaryFolder& folder,
                              const std::function<void(TensorFile&)>& change) {
  TensorFile file = read_checked_tensors(saved(folder));
  change(file);
  write_safetensors(folder / "changed.safetensors", file);
  return folder / "changed.safetensors";
}

TEST(Checkpoint, RoundTrips) {
  const TemporaryFolder folder;
  const Checkpoint back = load_checkpoint(saved(folder), {});
  EXPECT_EQ(back.info.network, "nonlocal");
  EXPECT_EQ(back.info.channels, 3);
  EXPECT_EQ(back.info.features, 4);
  EXPECT_EQ(back.info.epsilon, 0.0075);
  EXPECT_EQ(back.info.iteration, 12);
  EXPECT_EQ(back.info.clamp, Clamp({-1, 0.75}));
  EXPECT_EQ(back.info.steps, 150);
  EXPECT_EQ(back.info.data_noise, 0.03);
  const Buffer<float> theta = initial_parameters(published_network("nonlocal", 3, 4), 1);
  EXPECT_TRUE(std::ranges::equal(back.parameters.span(), theta.span()));
}

TEST(Checkpoint, HasPyTorchsNames) {
  const TemporaryFolder folder;
  const TensorFile file = read_safetensors(saved(folder));
  std::vector<std::string> names;
  for (const Tensor& tensor : file.tensors) {
    if (tensor.name.ends_with(".weight")) {
      names.push_back(tensor.name);
    }
  }
  EXPECT_EQ(names, (std::vector<std::string>{
                       "convs.0.weight", "convs.3.g.0.weight", "convs.3.W.weight",
                       "convs.3.theta.weight", "convs.3.phi.0.weight", "convs.4.weight",
                       "convs.7.g.0.weight", "convs.7.W.weight", "convs.7.theta.weight",
                       "convs.7.phi.0.weight", "convs.8.weight", "fc.0.weight", "fc.2.weight"}));
  EXPECT_EQ(file.at("fc.0.weight").shape, (std::vector<std::int64_t>{32, 256}));
  EXPECT_EQ(file.at("convs.3.W.weight").shape, (std::vector<std::int64_t>{4, 2, 1, 1}));
}

TEST(Checkpoint, WithoutMetadataTheNetworkMustBeNamed) {
  const TemporaryFolder folder;
  const auto path = changed(folder, [](TensorFile& file) { file.metadata.clear(); });
  EXPECT_TRUE(mentions(message_of<ConfigurationError>([&] { load_checkpoint(path, {}); }),
                       {"changed.safetensors", "--network", "--channels"}));
  const Checkpoint back = load_checkpoint(path, {"nonlocal", 3, 4});
  EXPECT_EQ(back.info.epsilon, 0);
  EXPECT_EQ(back.network.name(), "nonlocal");
  EXPECT_TRUE(mentions(message_of<ConfigurationError>([&] {
                         load_checkpoint(path, {"nonlocul", 3, 4});
                       }),
                       {"nonlocul", "vanilla"}));
}

TEST(Checkpoint, SaysWhetherItWasTrainedInABox) {
  const TemporaryFolder folder;
  const auto info_of = [&](const std::function<void(TensorFile&)>& change) {
    return load_checkpoint(changed(folder, change), {}).info;
  };
  const CheckpointInfo without = info_of([](TensorFile& file) {
    file.metadata.erase("clamp_low");
    file.metadata.erase("clamp_high");
  });
  EXPECT_EQ(without.clamp, Clamp());
  EXPECT_EQ(without.steps, 150);
  EXPECT_EQ(info_of([](TensorFile& file) { file.metadata.erase("steps"); }).steps, 0);
  for (const auto& ends :
       {std::pair("1", "-1"), std::pair("0", "0"), std::pair("nan", "1"), std::pair("0", "inf")}) {
    EXPECT_TRUE(mentions(message_of<InputFileError>([&] {
                           info_of([&](TensorFile& file) {
                             file.metadata["clamp_low"] = ends.first;
                             file.metadata["clamp_high"] = ends.second;
                           });
                         }),
                         {"changed.safetensors", "clamp_low"}))
        << ends.first << " " << ends.second;
  }
  EXPECT_TRUE(mentions(message_of<InputFileError>([&] {
                         info_of([](TensorFile& file) { file.metadata.erase("clamp_high"); });
                       }),
                       {"changed.safetensors", "clamp_high"}));
}

TEST(Checkpoint, DisagreeingChoiceIsRefused) {
  const TemporaryFolder folder;
  const auto path = saved(folder);
  EXPECT_TRUE(mentions(message_of<ConfigurationError>([&] {
                         load_checkpoint(path, {"vanilla", {}, {}});
                       }),
                       {"network vanilla", "nonlocal"}));
  EXPECT_TRUE(mentions(message_of<ConfigurationError>([&] {
                         load_checkpoint(path, {"", 1, {}});
                       }),
                       {"channels 1", "says 3"}));
}

TEST(Checkpoint, PyTorchsOwnFormatIsToldHowToConvert) {
  const TemporaryFolder folder;
  for (const char* name : {"net.pth", "net.pt"}) {
    const std::string path = (folder / name).string();
    const auto load = [&] {
      return message_of<InputFileError>([&] { load_checkpoint(path, {"toy", {}, {}}); });
    };
    EXPECT_FALSE(mentions(load(), {"convert"})) << "there is no such file";
    write_bytes(path, "PK\3\4 as torch.save writes: a zip archive");
    EXPECT_TRUE(mentions(
        load(), {path, "ebm_convert_checkpoint " + path + " net.safetensors (tools/user/"}));
    std::filesystem::copy(saved(folder), path, std::filesystem::copy_options::overwrite_existing);
    EXPECT_EQ(load_checkpoint(path, {}).info.network, "nonlocal");  // a name is not a format
  }
}

TEST(Checkpoint, WrongTensorsAreNamed) {
  const TemporaryFolder folder;
  const auto load = [](const std::filesystem::path& path) {
    return message_of<InputFileError>([&] { load_checkpoint(path, {}); });
  };
  EXPECT_TRUE(mentions(load(changed(folder, [](TensorFile& file) { file.tensors.pop_back(); })),
                       {"changed.safetensors", "no tensor 'fc.2.bias'"}));
  EXPECT_TRUE(mentions(load(changed(folder,
                                    [](TensorFile& file) {
                                      file.tensors.push_back({"extra", {1}, {0}});
                                    })),
                       {"'extra'", "not one of"}));
  EXPECT_TRUE(mentions(load(changed(folder,
                                    [](TensorFile& file) {
                                      Tensor& tensor = file.tensors.back();
                                      tensor.shape = {2};
                                      tensor.values = {0, 0};
                                    })),
                       {"'fc.2.bias'", "(2)", "(1)"}));
  EXPECT_TRUE(
      mentions(load(changed(folder, [](TensorFile& file) { file.metadata["features"] = "four"; })),
               {"features", "four"}));
  EXPECT_TRUE(mentions(
      load(changed(folder, [](TensorFile& file) { file.metadata["features"] = "-4"; })), {"-4"}));
  EXPECT_TRUE(mentions(
      load(changed(folder, [](TensorFile& file) { file.metadata["channels"] = "2000000000"; })),
      {"channels"}));
}

}  // namespace
}  // namespace ebm
