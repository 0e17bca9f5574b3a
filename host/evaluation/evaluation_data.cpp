#include "host/evaluation/evaluation_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cuda/base/errors.h"
#include "cuda/device/array.h"
#include "host/data/make_batches.h"
#include "host/training/logged_images.h"

namespace ebm {
namespace {

std::vector<float> draw(DataBatches& batches, const Queue& queue, DataUse use,
                        std::uint32_t iteration, std::int64_t count) {
  Array<float> there(queue, count * batches.state_size());
  batches.draw(use, iteration, count, there.data());
  std::vector<float> here(there.size());
  copy(queue, there.data(), here.size(), here.data());
  queue.wait();
  return here;
}

/// Images of the test set, where the data have one.
std::vector<float> draw_held_out(const EvaluateConfig& config, const Queue& queue, RunLog& log) {
  if (!config.data.has_test_set() || config.data.split == DataSplit::test) {
    return {};
  }
  DataConfig test = config.data;
  test.split = DataSplit::test;
  try {
    const ImageDataset images = load_images_logged(test, log);
    const std::int64_t count = std::min<std::int64_t>(config.evaluate.samples, images.count);
    return draw(*make_batches(queue, config.seed, test, images), queue, DataUse::batch, 0, count);
  } catch (const InputFileError& error) {
    log.warn(fmt::format("nothing is said of held-out data: {}", error.what()));
    return {};
  }
}

}  // namespace

EvaluationData load_evaluation_data(const EvaluateConfig& config, const Queue& queue, RunLog& log) {
  const EvaluateSection& evaluate = config.evaluate;
  EvaluationData data;
  std::int64_t count = evaluate.samples;
  if (!config.data.is_toy()) {
    data.images = load_images_logged(config.data, log);
    count = std::min<std::int64_t>(count, data.images.count);
    if (evaluate.chains > data.images.count) {
      throw ConfigurationError(
          fmt::format("evaluate.chains: {} is more than the {} images of {}; chains start from "
                      "distinct images",
                      evaluate.chains, data.images.count, config.data.path));
    }
  }
  data.batches = make_batches(queue, config.seed, config.data, data.images);
  data.train = draw(*data.batches, queue, DataUse::batch, 0, count);
  data.held_out = config.data.is_toy() ? draw(*data.batches, queue, DataUse::batch, 1, count)
                                       : draw_held_out(config, queue, log);
  return data;
}

Support choose_support(const EvaluateConfig& config, std::span<const float> data) {
  constexpr float kMargin = 1.5;
  const auto [low, high] = std::ranges::minmax(data);
  if (config.evaluate.box) {
    const std::pair<float, float> box = *config.evaluate.box;
    if (low < box.first || high > box.second) {
      throw ConfigurationError(
          fmt::format("evaluate.box: [{:g}, {:g}] does not hold the data, which reach from {:.4g} "
                      "to {:.4g}",
                      box.first, box.second, low, high));
    }
    return {box, "it was given"};
  }
  if (config.langevin.clamp) {
    const std::pair<float, float> clamp = *config.langevin.clamp;
    return {{std::min(clamp.first, low), std::max(clamp.second, high)},
            "training's chains were clamped to it"};
  }
  // Two digits, so that it can be said.
  const float reach = std::ceil(10 * kMargin * std::max(-low, high)) / 10;
  return {{-reach, reach}, fmt::format("{:g} times as far as the data reach", kMargin)};
}

}  // namespace ebm
