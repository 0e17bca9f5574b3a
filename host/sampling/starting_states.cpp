#include "host/sampling/starting_states.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "cuda/base/errors.h"
#include "cuda/device/array.h"
#include "cuda/kernels/random_states.cuh"
#include "host/data/make_batches.h"
#include "host/data/state_array.h"
#include "host/training/logged_images.h"

namespace ebm {
namespace {

void draw_data(const SampleConfig& config, const Queue& queue, RunLog& log, float* states) {
  const DataConfig& data = config.data;
  ImageDataset images;
  if (!data.is_toy()) {
    images = load_images_logged(data, log);
    if (config.sample.chains > images.count) {
      throw ConfigurationError(fmt::format(
          "sample.chains: {} is more than the {} images of {}; chains start from distinct images",
          config.sample.chains, images.count, data.source()));
    }
  }
  make_batches(queue, config.seed, data, images)
      ->draw(DataUse::sampling, 0, config.sample.chains, states);
  queue.wait();  // the images end here
}

void read_given_states(const SampleConfig& config, const Shape& shape, const Queue& queue,
                       RunLog& log, float* states) {
  const std::int64_t chains = config.sample.chains;
  const StateArray given = read_state_array(config.states, shape);
  if (chains > given.count()) {
    throw ConfigurationError(fmt::format("sample.chains: {} is more than the {} states of {}",
                                         chains, given.count(), config.states));
  }
  const std::span<const float> values =
      std::span(given.states).first(static_cast<std::size_t>(chains * shape.size()));
  const auto found =
      std::ranges::find_if(values, [](float x) { return !std::isfinite(x); }) - values.begin();
  if (found != std::ssize(values)) {
    throw InputFileError(
        fmt::format("{}: state {} has a component {}; chains start from finite ones", config.states,
                    found / shape.size(), values[static_cast<std::size_t>(found)]));
  }
  log.info(fmt::format("starting from the first {} of the {} states of {}", chains, given.count(),
                       config.states));
  copy(queue, values.data(), values.size(), states);
  queue.wait();  // they end here
}

}  // namespace

void draw_starting_states(const SampleConfig& config, const Shape& shape, const Queue& queue,
                          RunLog& log, float* states) {
  const RandomStream stream{config.seed, Purpose::sampling_states, 0};
  switch (config.start) {
    case SamplingStart::uniform:
      return fill_uniform(queue, stream, 1.0F, config.sample.chains, shape.size(), states);
    case SamplingStart::gaussian:
      return fill_normal(queue, stream, 1.0F, config.sample.chains, shape.size(), states);
    case SamplingStart::data:
      return draw_data(config, queue, log, states);
    case SamplingStart::states:
      return read_given_states(config, shape, queue, log, states);
  }
}

}  // namespace ebm
