// The configuration files published with the paper's code, as they stand, and damaged ones.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "cuda/base/errors.h"
#include "host/config/config.h"
#include "tests/support/places.h"
#include "tests/support/temporary_folder.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

const fs::path kPublished = test_data() / "published";
const fs::path kOurs = shipped_configs();

class PublishedJson : public testing::Test {
 protected:
  /// The published file with one text replaced by another.
  fs::path changed(const std::string& name, const std::string& from, const std::string& to) const {
    std::string text = read_bytes(kPublished / (name + ".json"));
    const std::size_t place = text.find(from);
    EXPECT_NE(place, std::string::npos) << from;
    write_bytes(folder_ / "x.json", text.replace(place, from.size(), to));
    return folder_ / "x.json";
  }

  /// What loading says of a file, whose path is cut to its name.
  std::string refusal(const fs::path& file, bool sampling = false) const {
    std::string message = message_of<ConfigurationError>([&] {
      sampling ? static_cast<void>(load_sample_config(file))
               : static_cast<void>(load_train_config(file));
    });
    const std::string folder = folder_.path().string() + "/";
    for (std::size_t at = 0; (at = message.find(folder)) != std::string::npos;) {
      message.erase(at, folder.size());
    }
    return message;
  }

  struct Change {
    std::string from;
    std::string to;
    std::string says;
  };
  void expect_refusals(const std::string& name, const std::vector<Change>& changes) const {
    for (const auto& [from, to, says] : changes) {
      EXPECT_EQ(refusal(changed(name, from, to), name.starts_with("eval")), "x.json:" + says);
    }
  }

  const TemporaryFolder folder_;
};

TEST_F(PublishedJson, TrainingIsOursOfTheSameName) {
  for (const std::string name :
       {"gmm_convergent", "gmm_nonconvergent", "rings_convergent", "rings_nonconvergent",
        "mnist_convergent", "cifar10_nonconvergent", "cifar10_oscillate", "flowers_convergent",
        "flowers_nonconvergent"}) {
    const TrainConfig published = load_train_config(kPublished / (name + ".json"));
    const TrainConfig ours = load_train_config(kOurs / (name + ".yaml"));
    EXPECT_EQ(published, ours) << to_yaml(published) << "but ours is\n" << to_yaml(ours);
  }
}

TEST_F(PublishedJson, SamplingIsOursButForTheNameAndTheNetworksPlace) {
  for (const std::string name :
       {"flowers_convergent", "flowers_convergent_mh", "flowers_nonconvergent"}) {
    SampleConfig published = load_sample_config(kPublished / fmt::format("eval_{}.json", name));
    const SampleConfig ours = load_sample_config(kOurs / "sampling" / (name + ".yaml"));
    EXPECT_EQ(published.name, "eval_" + name);
    EXPECT_TRUE(published.sample.checkpoint.ends_with("convergent_net.pth"));
    published.name = ours.name;
    published.sample.checkpoint = ours.sample.checkpoint;
    EXPECT_EQ(published, ours) << to_yaml(published) << "but ours is\n" << to_yaml(ours);
  }
}

TEST_F(PublishedJson, OverridesHaveOurNames) {
  const TrainConfig config =
      load_train_config(kPublished / "mnist_convergent.json",
                        std::vector<std::string>{"name=a", "data.path=/b", "longrun.every=0",
                                                 "network.features=8", "langevin.clamp=[-1, 1]"});
  EXPECT_EQ(config.name, "a");
  EXPECT_EQ(config.data.path, "/b");
  EXPECT_EQ(config.longrun.every, 0);
  EXPECT_EQ(config.network.features, 8);
  EXPECT_EQ(config.langevin.steps, 500);
  EXPECT_EQ(message_of<ConfigurationError>([] {
              load_train_config(kPublished / "mnist_convergent.json",
                                std::vector<std::string>{"log_freq=3"});
            }),
            "--set log_freq=3: log_freq: unknown key; valid here: name, seed, device, precision, "
            "data, network, optimizer, langevin, train, log, checkpoint, divergence, longrun");
}

TEST_F(PublishedJson, LogPointsAreWhenNetworksAreSaved) {
  const TrainConfig images =
      load_train_config(changed("mnist_convergent", "\"log_freq\": 100", "\"log_freq\": 7"));
  EXPECT_EQ(images.log.every, 7);
  EXPECT_EQ(images.checkpoint.every, 7);
  const TrainConfig toy = load_train_config(
      changed("gmm_convergent", "\"log_info_freq\": 100", "\"log_info_freq\": 9"));
  EXPECT_EQ(toy.log.every, 9);
  EXPECT_EQ(toy.checkpoint.every, 9);
}

TEST_F(PublishedJson, KeysThatDoNotMatterAreIgnored) {
  TrainConfig off = load_train_config(kPublished / "cifar10_oscillate.json");
  off.name = "x";
  off.longrun = {.every = 0};
  const std::string last = "\"log_longrun\": true,\n  \"log_longrun_freq\": 10000";
  EXPECT_EQ(load_train_config(changed("cifar10_oscillate", last, "\"log_longrun\": false")), off);
  EXPECT_EQ(load_train_config(changed("cifar10_oscillate", "true", "false")), off);

  // A factor on noise that persistent chains do not start from, and a bank that chains from noise
  // do not have, of whatever size.
  TrainConfig chains = load_train_config(kPublished / "gmm_convergent.json");
  chains.name = "x";
  EXPECT_EQ(load_train_config(changed("gmm_convergent", "\"s_t_0_size\"",
                                      "\"noise_init_factor\": 2.0, \"s_t_0_size\"")),
            chains);
  TrainConfig noise = load_train_config(kPublished / "rings_nonconvergent.json");
  noise.name = "x";
  EXPECT_EQ(
      load_train_config(changed("rings_nonconvergent", "\"s_t_0_size\": 0", "\"s_t_0_size\": 77")),
      noise);
}

TEST_F(PublishedJson, OtherPublishedWordsAreUnderstood) {
  const std::string flowers = R"("mcmc_init": "flowers")";
  for (const std::string kind : {"mnist", "cifar10"}) {
    const SampleConfig config = load_sample_config(
        changed("eval_flowers_convergent", flowers, fmt::format(R"("mcmc_init": "{}")", kind)));
    EXPECT_EQ(config.start, SamplingStart::data);
    EXPECT_EQ(to_string(config.data.kind), kind);
    EXPECT_EQ(config.data.path, "data/" + kind);
  }
  const SampleConfig gaussian =
      load_sample_config(changed("eval_flowers_convergent", flowers, R"("mcmc_init": "gaussian")"));
  EXPECT_EQ(gaussian.start, SamplingStart::gaussian);
  EXPECT_EQ(gaussian.data, DataConfig{});
}

TEST_F(PublishedJson, WrongValuesNameLineAndKeyInBothFormats) {
  expect_refusals(
      "mnist_convergent",
      {{"500,", "0,",
        "19: num_shortrun_steps (langevin.steps): must be an integer between 1 and 2147483647, not "
        "'0'"},
       {"500,", "\"500\",",
        "19: num_shortrun_steps (langevin.steps): must be an integer between 1 and 2147483647, not "
        "\"500\""},
       {"500,", "1e999,",
        "19: num_shortrun_steps (langevin.steps): must be an integer between 1 and 2147483647, not "
        "'1e999'"},
       {"7.5e-3", "[1]",
        "18: epsilon (langevin.epsilon): must be a finite number of at least 0, not a list"},
       {"7.5e-3", "-1",
        "18: epsilon (langevin.epsilon): must be a finite number of at least 0, not '-1'"},
       {"7.5e-3", "1e999",
        "18: epsilon (langevin.epsilon): must be a finite number of at least 0, not '1e999'"},
       {"123", "null", "6: seed: must be an integer between 0 and 18446744073709551615, not null"},
       {"\"sgd\"", "\"adamm\"",
        "13: optimizer_type (optimizer.kind): must be one of sgd, adam, not \"adamm\"; did you "
        "mean 'adam'?"},
       {"\"nonlocal\"", "\"toy\"",
        "12: net_type (network.kind): toy does not fit data.kind: mnist, which needs vanilla, "
        "nonlocal or a list of layers"},
       {"\"mnist\"", "\"minst\"",
        "3: data: must be one of flowers, mnist, cifar10, not \"minst\"; did you mean 'mnist'?"},
       {"32", "28",
        "8: im_sz (data.image_size): the vanilla and nonlocal networks need 32, not 28; networks "
        "for other sizes are written as network.layers"},
       {"\"lr_min\": 1e-2", "\"lr_min\": 1",
        "15: lr_min (optimizer.lr_min): must be at most optimizer.lr = 0.01, not 1"},
       {"true", "\"true\"", "23: log_longrun: must be true or false, not \"true\""},
       {"5000", "-1",
        "24: log_longrun_freq (longrun.every): must be an integer between 0 and 2147483647, not "
        "'-1'"}});
  expect_refusals(
      "eval_flowers_convergent",
      {{"false", "1", "17: use_mh_langevin (sample.mala): must be true or false, not '1'"},
       {"32", "64", "6: im_sz: the published networks need 32, not 64"},
       {"\"im_ch\": 3", "\"im_ch\": 2",
        "7: im_ch (network.channels): must be 1 (grey) or 3 (colour), not 2"},
       {"\"flowers\"", "\"data\"",
        "14: mcmc_init: must be one of flowers, mnist, cifar10, gaussian, uniform, not "
        "\"data\""}});
}

TEST_F(PublishedJson, KeysAreThoseOfTheKind) {
  expect_refusals(
      "gmm_convergent",
      {{"\"toy_sd\"", "\"toy_std\"", "9: toy_std: unknown key; did you mean 'toy_sd'?"},
       {R"("seed": 123)", R"("seed": 123, "seeds": 4)",
        "5: seeds: unknown key; did you mean 'seed'?"},
       {R"("seed": 123)", R"("seed": 123, "im_sz": 4)",
        "5: im_sz: unknown key; valid here: toy_type, num_train_iters, batch_size, seed, net_type, "
        "optimizer_type, lr_init, lr_min, lr_decay, epsilon, toy_groups, toy_sd, toy_radius, "
        "viz_res, kde_bw, num_mcmc_steps, init_type, s_t_0_size, noise_init_factor, log_info_freq, "
        "log_viz_freq, batch_size_kde"},
       {R"("kde_bw": 0.1,)", R"("kde_bw": 0.1, "viz_res": 3,)", "12: duplicate key 'viz_res'"}});
  EXPECT_EQ(refusal(changed("gmm_convergent", "  \"lr_decay\": 1.0,\n", "")),
            "x.json: lr_decay: required key is missing");
  EXPECT_EQ(refusal(changed("mnist_convergent", "  \"longrun_init\"", "  \"_comment\"")),
            "x.json: longrun_init: required key is missing");
  EXPECT_TRUE(refusal(kPublished / "eval_flowers_convergent.json")
                  .ends_with(".json:10: net_weight_path: is a key of sampling; ebm_sample takes "
                             "this file"));
  EXPECT_TRUE(refusal(kPublished / "gmm_convergent.json", true)
                  .ends_with(".json:3: num_train_iters: is a key of training; ebm_train takes "
                             "this file"));
}

TEST_F(PublishedJson, AllErrorsAreToldAtOnce) {
  const fs::path file = changed("mnist_convergent", "\"net_type\": \"nonlocal\"", "\"net\": 1");
  std::string text = read_bytes(file);
  text.replace(text.find("500,"), 4, "0,");
  text.replace(text.find("7.5e-3"), 6, "[1]");
  write_bytes(file, text);
  EXPECT_EQ(refusal(file),
            "the configuration has 4 errors:\n"
            "  x.json:12: net: unknown key; valid here: data, num_train_iters, batch_size, seed, "
            "net_type, optimizer_type, lr_init, lr_min, lr_decay, epsilon, im_sz, im_ch, "
            "data_epsilon, num_shortrun_steps, shortrun_init, log_freq, log_longrun, "
            "log_longrun_freq, num_longrun_steps, longrun_init\n"
            "  x.json:18: epsilon (langevin.epsilon): must be a finite number of at least 0, not a "
            "list\n"
            "  x.json:19: num_shortrun_steps (langevin.steps): must be an integer between 1 and "
            "2147483647, not '0'\n"
            "  x.json: net_type: required key is missing");
}

TEST_F(PublishedJson, WhatIsNotAJsonObjectIsRefused) {
  const std::string text = read_bytes(kPublished / "gmm_convergent.json");
  for (std::size_t size = 0; size + 2 < text.size(); size += 5) {
    write_bytes(folder_ / "x.json", text.substr(0, size));
    const std::string message = refusal(folder_ / "x.json");
    EXPECT_TRUE(mentions(message, {"x.json:", ": not valid JSON: "})) << size;
  }
  const std::vector<std::pair<std::string, std::string>> cases{
      {"{\n\"seed\": 1\n\n", "x.json:4: not valid JSON: syntax error while parsing object - "},
      {"{\n\"seed\" 1}", "x.json:2: not valid JSON: syntax error while parsing object separator"},
      {"{\"seed\": 1,}", "x.json:1: not valid JSON: "},
      {"{'seed': 1}", "x.json:1: not valid JSON: "},
      {"seed: 1", "x.json:1: not valid JSON: "},
      {"{\"seed\": 1} # all", "x.json:1: not valid JSON: "},
      {"{\n\"seed\": .1}", "x.json:2: not valid JSON: "},
      {"[]", "x.json: must be a map of keys, not a list"},
      {"12", "x.json: must be a map of keys, not '12'"},
      {"{}", "x.json: data: required key is missing"},
      {"{\"\": 1}", "x.json: data: required key is missing"},
      {"{\"_comment\": " + std::string(16, '[') + "1" + std::string(16, ']') + "}",
       "x.json:1: nested more than 16 levels deep"},
  };
  for (const auto& [bytes, says] : cases) {
    write_bytes(folder_ / "x.json", bytes);
    const std::string message = refusal(folder_ / "x.json");
    EXPECT_NE(message.find(says), std::string::npos) << message;
  }
  write_bytes(folder_ / "x.json", "{\"" + std::string(1'000'000, 'x') + "\": 1}");
  EXPECT_LT(refusal(folder_ / "x.json").size(), 300U);
  write_bytes(folder_ / "x.json", std::string(1'000'000, '['));
  EXPECT_LT(refusal(folder_ / "x.json").size(), 300U);
}

}  // namespace
}  // namespace ebm
