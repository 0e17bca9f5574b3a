// Lists of layers in configurations.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "cuda/base/errors.h"
#include "host/config/config.h"
#include "tests/support/custom_networks.h"
#include "tests/support/layers.h"
#include "tests/support/temporary_folder.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

class LayerLists : public testing::Test {
 protected:
  fs::path written(const std::string& text) const {
    write_bytes(folder_ / "x.yaml", text);
    return folder_ / "x.yaml";
  }
  /// What a list of layers for images is refused with, the file's name left out.
  std::string refusal(const std::string& list) const {
    const std::string message = message_of<ConfigurationError>(
        [&] { load_train_config(written(image_config(list, "digits"))); });
    return message.substr(std::min(message.find("x.yaml:"), message.size()));
  }

  const TemporaryFolder folder_;
};

TEST_F(LayerLists, ListsAreReadInBothStyles) {
  const std::vector<Layer> expected{
      conv("0", 4, 3, 1, 1), leaky_relu(), max_pool(), nonlocal("3"),
      conv("4", 6, 4, 2, 1), leaky_relu(), flatten(),  linear("7", 1),
  };
  const TrainConfig flow = load_train_config(written(image_config(kImages, "digits")));
  EXPECT_EQ(flow.network.kind, NetworkKind::custom);
  EXPECT_EQ(flow.network.layers, expected);
  const TrainConfig block =
      load_train_config(written(image_config("\n"
                                             "  - conv: {outputs: 4, kernel: 3, padding: 1}\n"
                                             "  - leaky_relu\n"
                                             "  - max_pool: {}\n"
                                             "  - nonlocal:\n"
                                             "  - conv:\n"
                                             "      outputs: 6\n"
                                             "      kernel: 4\n"
                                             "      stride: 2\n"
                                             "      padding: 1\n"
                                             "  - leaky_relu\n"
                                             "  - flatten\n"
                                             "  - linear: {outputs: 1}\n",
                                             "digits")));
  EXPECT_EQ(block, flow);
  EXPECT_EQ(load_train_config(written(to_yaml(flow))), flow) << to_yaml(flow);
  EXPECT_EQ(load_train_config(written(plane_config(kPlane)),
                              std::vector<std::string>{"network.layers=[linear: {outputs: 1}]"})
                .network.layers,
            (std::vector<Layer>{linear("0", 1)}));
}

TEST_F(LayerLists, ResidualsHoldListsOfTheirOwn) {
  const std::string list =
      "[conv: {outputs: 4, kernel: 3, padding: 1}, silu, avg_pool, "
      "residual: {layers: [silu, conv: {outputs: 4, kernel: 1}, "
      "residual: {layers: [nonlocal, silu]}]}, avg_pool: {kernel: 4}, conv: {outputs: 1, kernel: "
      "2}]";
  const std::vector<Layer> expected{
      conv("0", 4, 3, 1, 1),
      silu(),
      avg_pool(2),
      residual({silu(), conv("3.1", 4, 1), residual({nonlocal("3.2.0"), silu()}, "3.2")}, "3"),
      avg_pool(4),
      conv("5", 1, 2),
  };
  const TrainConfig flow = load_train_config(written(image_config(list, "digits")));
  EXPECT_EQ(flow.network.layers, expected);
  const TrainConfig block =
      load_train_config(written(image_config("\n"
                                             "  - conv: {outputs: 4, kernel: 3, padding: 1}\n"
                                             "  - silu:\n"
                                             "  - avg_pool: {}\n"
                                             "  - residual:\n"
                                             "      layers:\n"
                                             "        - silu\n"
                                             "        - conv: {outputs: 4, kernel: 1}\n"
                                             "        - residual:\n"
                                             "            layers:\n"
                                             "            - nonlocal\n"
                                             "            - silu\n"
                                             "  - avg_pool:\n"
                                             "      kernel: 4\n"
                                             "  - conv: {outputs: 1, kernel: 2}\n",
                                             "digits")));
  EXPECT_EQ(block, flow);
  EXPECT_EQ(load_train_config(written(to_yaml(flow))), flow) << to_yaml(flow);
  EXPECT_EQ(parse_layers(to_yaml(flow.network.layers), "a checkpoint"), expected);

  std::vector<std::string> names;
  const Network network = make_network(flow.network);
  for (const ParameterTensor& tensor : network.parameters()) {
    names.push_back(tensor.name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"0.weight", "0.bias", "3.1.weight", "3.1.bias",
                                             "3.2.0.g.0.weight", "3.2.0.g.0.bias", "3.2.0.W.weight",
                                             "3.2.0.W.bias", "3.2.0.theta.weight",
                                             "3.2.0.theta.bias", "3.2.0.phi.0.weight",
                                             "3.2.0.phi.0.bias", "5.weight", "5.bias"}));
}

TEST_F(LayerLists, ResidualsCanBeThreeDeep) {
  const auto nested = [](int depth) {
    std::string list = "[conv: {outputs: 1, kernel: 1}]";
    for (int i = 0; i < depth; ++i) {
      list = "[residual: {layers: " + list + "}]";
    }
    return list.substr(0, list.size() - 1) + ", conv: {outputs: 1, kernel: 16}]";
  };
  const TrainConfig config = load_train_config(written(image_config(nested(3), "digits")));
  EXPECT_EQ(config.network.layers[0].layers[0].layers[0].layers[0].key, "0.0.0.0");
  EXPECT_EQ(refusal(nested(4)), "x.yaml:4: nested more than 16 levels deep");
}

TEST_F(LayerLists, SamplingConfigurationsSurviveWriting) {
  const SampleConfig config = load_sample_config(
      written("name: x\n"
              "network: {layers: " +
              kImages +
              ", channels: 1, image_size: 16}\n"
              "start: uniform\n"
              "sample: {checkpoint: y, train_epsilon: 0.01, epsilon: 0.01, steps: 3}\n"));
  EXPECT_EQ(config.network.kind, NetworkKind::custom);
  EXPECT_EQ(config.network.layers, layers_of(kImages));
  EXPECT_EQ(load_sample_config(written(to_yaml(config))), config) << to_yaml(config);
}

TEST_F(LayerLists, ErrorsNameTheLayer) {
  const std::string kinds =
      "conv, leaky_relu, silu, max_pool, avg_pool, nonlocal, flatten, linear, residual";
  const std::vector<std::pair<std::string, std::string>> cases{
      {"[leaky_rleu]",
       "[0]: must be one of " + kinds + ", not 'leaky_rleu'; did you mean 'leaky_relu'?"},
      {"[flatten, dense: {outputs: 1}]", "[1]: must be one of " + kinds + ", not 'dense'"},
      {"[flatten, linear]", "[1].linear.outputs: required key is missing"},
      {"[conv: {outputs: 1, kernl: 3}]", "[0].conv.kernl: unknown key; did you mean 'kernel'?"},
      {"[linear: {outputs: 1, kernel: 3}]", "[0].linear.kernel: unknown key; valid here: outputs"},
      {"[leaky_relu: {slope: 0.2}]", "[0].leaky_relu.slope: unknown key; none is valid here"},
      {"[leaky_relu: 0.2]", "[0].leaky_relu: must be a map of keys, not '0.2'"},
      {"[linear: {outputs: 0}]",
       "[0].linear.outputs: must be an integer between 1 and 65536, not '0'"},
      {"[conv: {outputs: 1, kernel: 2000}]",
       "[0].conv.kernel: must be an integer between 1 and 1024, not '2000'"},
      {"[{flatten, linear: {outputs: 1}}]", "[0]: must be a name or `name: {keys}`, not a map"},
      {"[flatten, null]", "[1]: must be a name or `name: {keys}`, not null"},
      {"[]", ": must be a list of at least one item, not an empty one"},
      {"conv", ": must be a list of at least one item, not 'conv'"},
      {"[linear: {outputs: 1}]",
       ": network custom: layer 0 (linear) given 1x16x16: needs a flat input; put a flatten layer "
       "before it"},
      {"[conv: {outputs: 3, kernel: 3}, nonlocal]",
       ": network custom: layer 1 (nonlocal) given 3x14x14: needs an even number of channels"},
      {"[conv: {outputs: 2, kernel: 2}, max_pool]",
       ": network custom: layer 1 (max_pool) given 2x15x15: needs an even height and width"},
      {"[max_pool, conv: {outputs: 1, kernel: 9}]",
       ": network custom: layer 1 (conv) given 1x8x8: the kernel is larger than the padded input"},
      {"[flatten, linear: {outputs: 65536}, linear: {outputs: 65536}]",
       ": network custom: '2.weight' of shape (65536, 65536) makes it too large"},
      {"[conv: {outputs: 65536, kernel: 1, padding: 1024}]",
       ": network custom: layer 0 (conv) given 1x16x16: its output would be 65536x2064x2064, which "
       "is too large"},
      {"[avg_pool: {kernel: 0}]",
       "[0].avg_pool.kernel: must be an integer between 1 and 1024, not '0'"},
      {"[avg_pool: {kernel: 3}]",
       ": network custom: layer 0 (avg_pool) given 1x16x16: needs a height and a width that are "
       "multiples of its kernel"},
      {"[silu: {beta: 1}]", "[0].silu.beta: unknown key; none is valid here"},
      {"[flatten, residual]",
       ": network custom: layer 1 (residual) given 256x1x1: needs layers, a list of at least one"},
      {"[residual: {}]",
       ": network custom: layer 0 (residual) given 1x16x16: needs layers, a list of at least one"},
      {"[residual: [silu]]", "[0].residual: must be a map of keys, not a list"},
      {"[residual: {layer: [silu]}]", "[0].residual.layer: unknown key; did you mean 'layers'?"},
      {"[residual: {layers: []}]",
       "[0].residual.layers: must be a list of at least one item, not an empty one"},
      {"[flatten, residual: {layers: [silu, relu]}]",
       "[1].residual.layers[1]: must be one of " + kinds + ", not 'relu'; did you mean 'silu'?"},
      {"[residual: {layers: [residual: {layers: [conv: {kernel: 3}]}]}]",
       "[0].residual.layers[0].residual.layers[0].conv.outputs: required key is missing"},
      {"[silu, residual: {layers: [conv: {outputs: 2, kernel: 3}]}]",
       ": network custom: layer 1 (residual) given 1x16x16: its layers give 2x14x14, which cannot "
       "be added to its input"},
      {"[silu, residual: {layers: [silu, nonlocal]}]",
       ": network custom: layer 1 (residual) given 1x16x16: layer 1 (nonlocal) given 1x16x16: "
       "needs an even number of channels"},
      {"[flatten, linear: {outputs: 2}]",
       ": network custom: an energy is one number, but the last layer gives 2x1x1"},
  };
  for (const auto& [list, says] : cases) {
    EXPECT_EQ(refusal(list), "x.yaml:4: network.layers" + says) << list;
  }
  std::string many = "[flatten";
  for (int i = 0; i < 1000; ++i) {
    many += ", leaky_relu";
  }
  EXPECT_EQ(refusal(many + "]"),
            "x.yaml:4: network.layers: network custom: has 1001 layers; 1 to 1000 can be");
}

TEST_F(LayerLists, ReplacesTheKind) {
  const auto refused = [&](const std::string& set) {
    return message_of<ConfigurationError>(
        [&] { load_train_config(written(plane_config(kPlane)), std::vector<std::string>{set}); });
  };
  EXPECT_EQ(refused("network.kind=toy"),
            "--set network.kind=toy: network.kind: applies to networks without a list of layers "
            "only");
  EXPECT_EQ(refused("network={kind: custom}"),
            "--set network={kind: custom}: network.kind: custom is written as network.layers, a "
            "list, instead of network.kind");
  EXPECT_EQ(refused("network.features=8"),
            "--set network.features=8: network.features: applies to the vanilla and nonlocal "
            "networks only");
}

}  // namespace
}  // namespace ebm
