// Networks that are lists of layers: against the published ones, in checkpoints, in the programs.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "cuda/base/errors.h"
#include "cuda/nn/cpu/cpu_energy.h"
#include "host/config/config.h"
#include "host/files/checked_tensors.h"
#include "host/files/npy.h"
#include "host/training/checkpoint.h"
#include "tests/support/custom_networks.h"
#include "tests/support/host_energy.h"
#include "tests/support/numbers.h"
#include "tests/support/places.h"
#include "tests/support/run_training.h"
#include "tests/support/shell.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

class CustomNetwork : public testing::Test {
 protected:
  const TemporaryFolder folder_;
};

/// f, its gradient, the weight gradient and the chains after some steps.
std::vector<float> everything(const Network& network, const std::vector<float>& theta) {
  constexpr std::size_t kChains = 9;
  const auto size = kChains * static_cast<std::size_t>(network.input().size());
  const auto energy = std::make_unique<HostEnergy>(make_cpu_energy(network));
  energy->set_parameters(theta);
  std::vector<float> states = numbers(size, 7);
  std::vector<float> f(kChains);
  std::vector<float> values(size);
  energy->energies_and_gradients(states, f, values);
  values.insert(values.end(), f.begin(), f.end());
  std::vector<float> gradient(theta.size());
  energy->add_weight_gradient(states, 0.5F, f, gradient);
  values.insert(values.end(), gradient.begin(), gradient.end());
  std::vector<float> norm_sums(kChains);
  energy->langevin({.update = {.epsilon = 0.01F, .noise = {1, Purpose::langevin, 1}}, .steps = 3},
                   states, norm_sums);
  values.insert(values.end(), norm_sums.begin(), norm_sums.end());
  values.insert(values.end(), states.begin(), states.end());
  return values;
}

TEST_F(CustomNetwork, HasTheBitsOfThePublishedNetworkThatItIs) {
  const std::string vanilla =
      "[conv: {outputs: 4, kernel: 3, padding: 1}, leaky_relu,"
      " conv: {outputs: 8, kernel: 4, stride: 2, padding: 1}, leaky_relu,"
      " conv: {outputs: 16, kernel: 4, stride: 2, padding: 1}, leaky_relu,"
      " conv: {outputs: 32, kernel: 4, stride: 2, padding: 1}, leaky_relu,"
      " conv: {outputs: 1, kernel: 4}]";
  const std::string nonlocal =
      "[conv: {outputs: 4, kernel: 3, padding: 1}, leaky_relu, max_pool, nonlocal,"
      " conv: {outputs: 8, kernel: 3, padding: 1}, leaky_relu, max_pool, nonlocal,"
      " conv: {outputs: 16, kernel: 3, padding: 1}, leaky_relu, max_pool,"
      " flatten, linear: {outputs: 32}, leaky_relu, linear: {outputs: 1}]";
  const std::string pointwise =
      "[conv: {outputs: 4, kernel: 1}, leaky_relu, conv: {outputs: 8, kernel: 1}, leaky_relu,"
      " conv: {outputs: 8, kernel: 1}, leaky_relu, conv: {outputs: 8, kernel: 1}, leaky_relu,"
      " conv: {outputs: 1, kernel: 1}]";
  for (const auto& [kind, channels, image_size, list] :
       {std::tuple{NetworkKind::toy, 2, 1, pointwise},
        {NetworkKind::vanilla, 3, 32, vanilla},
        {NetworkKind::nonlocal, 1, 32, nonlocal}}) {
    const Network published =
        make_network({.kind = kind, .features = 4, .channels = channels, .layers = {}});
    const Network custom = make_network({.kind = NetworkKind::custom,
                                         .channels = channels,
                                         .image_size = image_size,
                                         .layers = layers_of(list)});
    ASSERT_EQ(custom.parameter_count(), published.parameter_count()) << to_string(kind);
    const std::vector<float> theta =
        numbers(static_cast<std::size_t>(custom.parameter_count()), 5, 0.2F);
    EXPECT_EQ(everything(custom, theta), everything(published, theta)) << to_string(kind);
  }
}

TEST_F(CustomNetwork, LinearLayersOnThePlaneArePointwiseConvolutions) {
  const auto network = [](const std::string& list) {
    return make_network(
        {.kind = NetworkKind::custom, .channels = 2, .image_size = 1, .layers = layers_of(list)});
  };
  const Network linear = network(kPlane);
  const Network pointwise = network(
      "[conv: {outputs: 16, kernel: 1}, leaky_relu, conv: {outputs: 8, kernel: 1}, leaky_relu, "
      "conv: {outputs: 1, kernel: 1}]");
  ASSERT_EQ(linear.parameter_count(), pointwise.parameter_count());
  const std::vector<float> theta =
      numbers(static_cast<std::size_t>(linear.parameter_count()), 5, 0.3F);
  const std::vector<float> a = everything(linear, theta);
  const std::vector<float> b = everything(pointwise, theta);
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_NEAR(a[i], b[i], 1e-5) << i;
  }
}

/// A network's file of these layers, with something in its metadata changed.
fs::path saved(const TemporaryFolder& folder,
               const std::map<std::string, std::string>& metadata = {}) {
  const Network network = make_network(
      {.kind = NetworkKind::custom, .channels = 1, .image_size = 16, .layers = layers_of(kImages)});
  save_checkpoint(folder / "net.safetensors",
                  {.network = "custom", .channels = 1, .epsilon = 0.01, .iteration = 3}, network,
                  initial_parameters(network, 1).span());
  if (!metadata.empty()) {
    TensorFile file = read_checked_tensors(folder / "net.safetensors");
    for (const auto& [key, value] : metadata) {
      file.metadata[key] = value;
    }
    write_safetensors(folder / "net.safetensors", file);
  }
  return folder / "net.safetensors";
}

TEST_F(CustomNetwork, CheckpointsRoundTrip) {
  const Checkpoint back = load_checkpoint(saved(folder_), {});
  EXPECT_EQ(back.info.network, "custom");
  EXPECT_EQ(back.network.input(), (Shape{1, 16, 16}));
  EXPECT_EQ(back.network.layers(), layers_of(kImages));
  const Buffer<float> theta = initial_parameters(back.network, 1);
  EXPECT_TRUE(std::ranges::equal(back.parameters.span(), theta.span()));
  EXPECT_EQ(back.network.parameters().front().name, "0.weight");  // as torch.nn.Sequential's
  EXPECT_EQ(back.network.parameters().back().name, "7.bias");
}

TEST_F(CustomNetwork, CheckpointsMustAgreeWithWhatIsAskedFor) {
  NetworkChoice choice{.network = "custom",
                       .channels = 1,
                       .features = {},
                       .image_size = 16,
                       .layers = layers_of(kImages)};
  const fs::path path = saved(folder_);
  EXPECT_EQ(load_checkpoint(path, choice).network.layers(), choice.layers);
  const auto refused = [&] {
    return message_of<ConfigurationError>([&] { load_checkpoint(path, choice); });
  };
  choice.image_size = 8;
  EXPECT_TRUE(mentions(refused(), {"image_size 8", "net.safetensors says 16"}));
  choice.image_size = 16;
  choice.layers = layers_of(kPlane);
  EXPECT_TRUE(mentions(refused(), {"network.layers", "net.safetensors", "max_pool"}));
}

TEST_F(CustomNetwork, HostileMetadataIsAWrongInputFile) {
  const std::string huge = "{outputs: 65536}";
  std::string many = "[flatten";
  for (int i = 0; i < 5000; ++i) {
    many += ", leaky_relu";
  }
  const std::vector<std::pair<std::map<std::string, std::string>, std::vector<std::string>>> cases{
      {{{"layers", ""}}, {"its metadata", "is empty"}},
      {{{"layers", "garbage"}}, {"its metadata", "map of keys", "garbage"}},
      {{{"layers", "layers: [[[[[[[[[[["}}, {"its metadata"}},
      {{{"layers", "layers: &a [*a]"}}, {"its metadata", "anchors"}},
      {{{"layers", "layers: []"}}, {"its metadata", "layers", "an empty one"}},
      {{{"layers", "layers: [linear: {outputs: 1}]\nextra: 1"}}, {"its metadata", "extra"}},
      {{{"layers", "layers: [konv: {outputs: 1}]"}}, {"its metadata", "layers[0]", "'konv'"}},
      {{{"layers", "layers: [conv: {outputs: -1, kernel: 1}]"}}, {"layers[0].conv.outputs", "-1"}},
      {{{"layers", "layers: [flatten, linear: " + huge + ", linear: " + huge + "]"}},
       {"its metadata", "too large"}},
      {{{"layers", "layers: [flatten, linear: {outputs: 1}]"}}, {"no tensor '1.weight'"}},
      {{{"layers", "layers: " + many + "]"}}, {"its metadata", "layers"}},
      {{{"layers", "layers: [" + std::string(1'000'000, ' ') + "flatten]"}},
       {"its metadata", "bytes long"}},
      {{{"image_size", "1000000000"}}, {"its metadata", "too large"}},
      {{{"image_size", "65536"}}, {"its metadata", "1x65536x65536", "too large"}},
      {{{"image_size", "0"}}, {"its metadata", "1x0x0", "empty"}},
      {{{"image_size", "-16"}}, {"its metadata", "empty"}},
      {{{"image_size", "big"}}, {"image_size", "'big'"}},
      {{{"image_size", "18"}}, {"its metadata", "layer 3 (nonlocal) given 4x9x9"}},
      {{{"channels", "2"}}, {"'0.weight'", "(4, 1, 3, 3)", "(4, 2, 3, 3)"}},
      {{{"network", "vanilla"}}, {"no tensor 'f.0.weight'"}},
  };
  for (const auto& [metadata, parts] : cases) {
    const fs::path path = saved(folder_, metadata);
    const std::string message = message_of<InputFileError>([&] { load_checkpoint(path, {}); });
    EXPECT_TRUE(message.starts_with(path.string() + ": ")) << message;
    EXPECT_TRUE(mentions(message, parts));
    EXPECT_LT(message.size(), 500U);
  }
}

/// A program, run without plots.
Outcome program(const std::string& name, const std::string& arguments) {
  return shell(fmt::format("PATH=/nowhere {} {} --threads 1", program_path(name), arguments));
}

/// Trains with the program, then scores and samples with what it saved.
void expect_a_working_network(const TemporaryFolder& folder, const std::string& training,
                              const std::string& network, const Shape& shape) {
  write_bytes(folder / "train.yaml", training);
  const auto path = [&](const char* name) { return (folder / name).string(); };
  const Outcome train = program("ebm_train", path("train.yaml") + " --out " + path("run"));
  ASSERT_EQ(train.status, 0) << train.output;
  const std::string checkpoint = path("run/checkpoints/net_000003.safetensors");

  const std::array<std::int64_t, 4> states{5, shape.channels, shape.height, shape.width};
  write_npy(folder / "x.npy", states, numbers(static_cast<std::size_t>(5 * shape.size()), 3));
  const Outcome score = program("ebm_score", fmt::format("--checkpoint {} --input {} --energy {}",
                                                         checkpoint, path("x.npy"), path("f.npy")));
  ASSERT_EQ(score.status, 0) << score.output;
  EXPECT_TRUE(mentions(score.output, {"custom (iteration 3)"}));

  write_bytes(
      folder / "sample.yaml",
      fmt::format("name: chains\n"
                  "network: {}\n"
                  "start: uniform\n"
                  "sample: {{checkpoint: {}, train_epsilon: {}, epsilon: 0.01, steps: 3, "
                  "chains: 4}}\n",
                  network, checkpoint, load_train_config(folder / "train.yaml").langevin.epsilon));
  const Outcome sample = program("ebm_sample", path("sample.yaml") + " --out " + path("chains"));
  ASSERT_EQ(sample.status, 0) << sample.output;
  EXPECT_EQ(read_npy(folder / "chains/energy.npy").shape, (std::vector<std::int64_t>{3, 4}));
  const Outcome other =
      program("ebm_sample", path("sample.yaml") + " --out " + path("other") +
                                " --set network.layers='[flatten, linear: {outputs: 1}]'");
  EXPECT_EQ(other.status, 2);
  EXPECT_TRUE(mentions(other.output, {"network.layers", checkpoint}));
}

TEST_F(CustomNetwork, AnMlpOnThePlaneGoesThroughThePrograms) {
  expect_a_working_network(folder_, plane_config(kPlane),
                           "{layers: " + kPlane + ", channels: 2, image_size: 1}", {2, 1, 1});
  EXPECT_TRUE(fs::is_regular_file(folder_ / "run/landscape/landscape_000003.gp"));
  EXPECT_EQ(read_npy(folder_ / "chains/states.npy").shape, (std::vector<std::int64_t>{2, 4, 2}));
}

TEST_F(CustomNetwork, AConvNetOnSmallImagesGoesThroughThePrograms) {
  write_small_mnist(folder_ / "digits", 8);
  expect_a_working_network(folder_, image_config(kImages, folder_ / "digits"),
                           "{layers: " + kImages + ", channels: 1, image_size: 16}", {1, 16, 16});
  EXPECT_TRUE(fs::is_regular_file(folder_ / "run/longrun/longrun_000003.png"));
}

}  // namespace
}  // namespace ebm
