// Checkpoints: round trip, PyTorch's names, and every way a file can be the wrong one.

#include "host/training/checkpoint.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "cuda/base/errors.h"
#include "cuda/nn/features.h"
#include "host/files/checked_tensors.h"
#include "tests/support/layers.h"
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

/// The network's θ that a file with these changes gives.
std::vector<float> loaded(const TemporaryFolder& folder,
                          const std::function<void(TensorFile&)>& change) {
  const Buffer<float> theta = load_checkpoint(changed(folder, change), {}).parameters;
  return {theta.span().begin(), theta.span().end()};
}

void prefix_names(TensorFile& file, const std::string& prefix) {
  for (Tensor& tensor : file.tensors) {
    tensor.name = prefix + tensor.name;
  }
}

TEST(Checkpoint, WrappersNamesAreUndone) {
  const TemporaryFolder folder;
  const std::vector<float> plain = loaded(folder, [](TensorFile&) {});
  for (const std::string prefix :
       {"module.", "_orig_mod.", "_orig_mod.module.", "energy.", "model._orig_mod.net.", "0."}) {
    EXPECT_EQ(loaded(folder, [&](TensorFile& file) { prefix_names(file, prefix); }), plain)
        << prefix;
  }
  EXPECT_EQ(loaded(folder,
                   [](TensorFile& file) {  // torch.compile of a part
                     for (Tensor& tensor : file.tensors) {
                       tensor.name.insert(tensor.name.find('.') + 1, "_orig_mod.");
                     }
                   }),
            plain);
  EXPECT_EQ(loaded(folder,
                   [](TensorFile& file) {  // torch.optim.swa_utils.AveragedModel
                     prefix_names(file, "module.");
                     file.tensors.push_back({"n_averaged", {}, {17}});
                   }),
            plain);
}

/// Puts spectral norm on convs.0, as PyTorch's older or newer one would save it.
void put_spectral_norm(TensorFile& file, float sigma, bool parametrized) {
  const auto weight = std::ranges::find(file.tensors, "convs.0.weight", &Tensor::name);
  const std::int64_t rows = weight->shape.front();
  const std::int64_t columns = std::ssize(weight->values) / rows;
  // u = e_1 and v = e_2: σ is the weight of that row and column.
  std::vector<float> u(static_cast<std::size_t>(rows));
  std::vector<float> v(static_cast<std::size_t>(columns));
  u[1] = 1;
  v[2] = 1;
  weight->values[static_cast<std::size_t>(columns) + 2] = sigma;
  weight->name = parametrized ? "convs.0.parametrizations.weight.original" : "convs.0.weight_orig";
  const std::string vectors =
      parametrized ? "convs.0.parametrizations.weight.0._" : "convs.0.weight_";
  file.tensors.push_back({vectors + "u", {rows}, u});
  file.tensors.push_back({vectors + "v", {columns}, v});
}

TEST(Checkpoint, SpectralNormIsFoldedIntoTheWeight) {
  const TemporaryFolder folder;
  const std::vector<float> plain = loaded(folder, [](TensorFile&) {});
  const Network network = published_network("nonlocal", 3, 4);
  const ParameterTensor& tensor = network.parameters().front();
  ASSERT_EQ(tensor.name, "convs.0.weight");
  for (const bool parametrized : {false, true}) {
    const std::vector<float> folded = loaded(folder, [&](TensorFile& file) {
      put_spectral_norm(file, 4, parametrized);
      prefix_names(file, "module.");
    });
    std::vector<float> expected = plain;
    const auto first = expected.begin() + tensor.offset;
    *(first + 27 + 2) = 4;
    std::for_each(first, first + tensor.size, [](float& w) { w /= 4; });
    EXPECT_EQ(folded, expected);
    EXPECT_TRUE(mentions(message_of<InputFileError>([&] {
                           loaded(folder, [&](TensorFile& file) {
                             put_spectral_norm(file, 0, parametrized);
                           });
                         }),
                         {"changed.safetensors", "convs.0", "norm 0"}));
  }
  EXPECT_TRUE(mentions(message_of<InputFileError>([&] {
                         loaded(folder, [](TensorFile& file) {
                           put_spectral_norm(file, 4, false);
                           file.tensors.back().shape = {1};
                           file.tensors.back().values = {1};
                         });
                       }),
                       {"'convs.0.weight'", "convs.0.weight_orig", "convs.0.weight_v"}));
}

TEST(Checkpoint, OfSeveralNetworksOneMustBeChosen) {
  const TemporaryFolder folder;
  const auto both = [&](bool n_averaged) {
    return message_of<InputFileError>([&] {
      loaded(folder, [&](TensorFile& file) {
        std::vector<Tensor> averaged = file.tensors;
        prefix_names(file, "online_model.");
        for (Tensor& tensor : averaged) {
          tensor.name.insert(0, "ema_model.");
        }
        file.tensors.insert(file.tensors.end(), averaged.begin(), averaged.end());
        if (n_averaged) {
          file.tensors.push_back({"n_averaged", {}, {17}});
        }
      });
    });
  };
  for (const bool n_averaged : {false, true}) {
    EXPECT_TRUE(mentions(both(n_averaged), {"changed.safetensors", "under online_model, ema_model",
                                            "online_model.convs.0.weight",
                                            " more. To choose: ", "--entry ema_model"}));
  }
}

TEST(Checkpoint, GivesFeaturesTheirParameters) {
  // Those of the nonlocal network's first layers: the others are left alone.
  const TemporaryFolder folder;
  const Buffer<float> theta = initial_parameters(published_network("nonlocal", 3, 4), 1);
  const Network first =
      feature_network({3, 32, 32}, {conv("convs.0", 4, 3, 1, 1), leaky_relu(), max_pool()});
  const std::int64_t of_first = 4 * (3 * 9 + 1);
  const Buffer<float> found = load_feature_parameters(saved(folder), first);
  EXPECT_TRUE(std::ranges::equal(found.span().first(of_first), theta.span().first(of_first)));

  const auto refusal = [&](const Layer& layer) {
    return message_of<InputFileError>([&] {
      load_feature_parameters(saved(folder), feature_network({3, 32, 32}, {layer}));
    });
  };
  EXPECT_TRUE(mentions(refusal(conv("0", 4, 3, 1, 1)),
                       {"net.safetensors", "no tensor '0.weight'", "convs.0.weight"}));
  EXPECT_TRUE(mentions(refusal(conv("convs.0", 5, 3, 1, 1)),
                       {"'convs.0.weight' has shape (4, 3, 3, 3)", "need (5, 3, 3, 3)"}));
}

TEST(Checkpoint, WrongTensorsAreNamed) {
  const TemporaryFolder folder;
  const auto load = [](const std::filesystem::path& path) {
    return message_of<InputFileError>([&] { load_checkpoint(path, {}); });
  };
  EXPECT_TRUE(mentions(load(changed(folder, [](TensorFile& file) { file.tensors.pop_back(); })),
                       {"changed.safetensors", "no tensor 'fc.2.bias'", "holds convs.0.weight, ",
                        "fc.2.weight. ", "--layers"}));
  EXPECT_TRUE(mentions(load(changed(folder,
                                    [](TensorFile& file) {
                                      file.tensors.push_back({"extra", {1}, {0}});
                                    })),
                       {"'extra'", "not one of", "fc.2.bias, extra. ", "--layers"}));
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
