#include "host/evaluation/long_chains.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <system_error>
#include <utility>

#include "cuda/base/ceil_div.h"
#include "cuda/base/errors.h"
#include "cuda/diagnostics/ranks.h"
#include "cuda/kernels/projections.cuh"
#include "cuda/kernels/random_states.cuh"
#include "host/sampling/sampling_state.h"
#include "host/training/progress.h"

namespace ebm {
namespace {

RecordedSampler::Settings with_stream(RecordedSampler::Settings settings, std::uint32_t stream) {
  settings.stream = stream;
  return settings;
}

RecordedChains chains_in(const std::filesystem::path& file, std::int64_t chains,
                         std::int64_t state_size) {
  std::error_code none;
  return std::filesystem::exists(file, none) ? load_sampling_state(file, chains, state_size).chains
                                             : RecordedChains{};
}

}  // namespace

LongChains::LongChains(const std::filesystem::path& folder, const std::string& name,
                       std::string what, const LongChainSettings& settings, std::uint32_t stream,
                       Energy& energy, const Start& start, RunLog& log)
    : state_(folder / fmt::format("chains_{}.safetensors", name)),
      what_(std::move(what)),
      settings_(settings),
      energy_(energy),
      log_(log),
      sampler_(energy, with_stream(settings.sampler, stream), settings.chains),
      resumed_(chains_in(state_, settings.chains, energy.state_size())),
      energies_(folder / fmt::format("energy_{}.npy", name), {settings.chains},
                ceil_div(resumed_.steps, settings.every)),
      gradient_norms_(folder / fmt::format("gradient_{}.npy", name), {settings.chains},
                      energies_.rows()),
      directions_there_(energy.queue(), settings_.directions) {
  const std::int64_t count = std::ssize(settings.directions) / energy.state_size();
  if (count > 0) {
    projections_.emplace(folder / fmt::format("projections_{}.npy", name),
                         std::vector<std::int64_t>{settings.chains, count}, energies_.rows());
    projections_there_ = Array<float>(energy.queue(), settings.chains * count);
  }
  if (resumed_.steps == 0) {
    start(sampler_.states());
  } else {
    sampler_.go_on_with(resumed_);
    resumed_ = {};
  }
}

bool LongChains::run(const StopRequest& stop) {
  Pace pace(settings_.steps, 1, sampler_.steps());
  const auto begin = std::chrono::steady_clock::now();
  const auto line = [&](double elapsed, bool mark) {
    return fmt::format(
        "{}: step {}/{}{}  {}", what_, grouped(sampler_.steps()), grouped(settings_.steps),
        settings_.sampler.mala ? fmt::format("  acceptance {:.3f}", acceptance()) : "",
        pace.text(elapsed, mark));
  };
  while (sampler_.steps() < settings_.steps) {
    if (stop()) {
      save();
      return false;
    }
    take_steps();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
    pace.add(sampler_.steps(), elapsed.count());
    if (sampler_.steps() == settings_.steps || sampler_.steps() % settings_.log_every == 0) {
      log_.info(line(elapsed.count(), true));
      save();
    } else if (log_.is_live() && pace.due()) {
      log_.live(line(elapsed.count(), false));
    }
  }
  return true;
}

/// Up to the next record, line of the log, or graph's worth of steps.
void LongChains::take_steps() {
  const std::int64_t done = sampler_.steps();
  const auto left_of = [done](std::int64_t every) { return every - done % every; };
  const std::int64_t steps =
      std::min({std::int64_t{RecordedSampler::kStepsAtOnce}, left_of(settings_.every),
                left_of(settings_.log_every), settings_.steps - done});
  const bool is_recorded = done % settings_.every == 0;
  if (is_recorded && projections_) {
    const std::int64_t count = std::ssize(settings_.directions) / energy_.state_size();
    project_states(energy_.queue(), sampler_.states(), settings_.chains, energy_.state_size(),
                   directions_there_.data(), count, projections_there_.data());
  }
  sampler_.run(static_cast<int>(steps));
  const auto finite = [](float value) { return std::isfinite(value); };
  if (!std::ranges::all_of(sampler_.energies(), finite) ||
      !std::ranges::all_of(sampler_.gradient_norms(), finite)) {
    throw Divergence(
        fmt::format("{}: an energy or gradient is not finite before step {}; a smaller "
                    "evaluate.epsilon or evaluate.mala: true usually helps",
                    what_, grouped(sampler_.steps())));
  }
  accepted_ += std::accumulate(sampler_.accepted().begin(), sampler_.accepted().end(), 0.0);
  decided_ += std::ssize(sampler_.accepted());
  if (is_recorded) {
    record();
  }
}

/// The first of the sampler's last steps.
void LongChains::record() {
  const auto chains = static_cast<std::size_t>(settings_.chains);
  energies_.append(sampler_.energies().first(chains));
  const float epsilon = settings_.sampler.epsilon;
  const float scale = epsilon > 0 ? 2 / (epsilon * epsilon) : 1;
  std::vector<float> norms(chains);
  std::ranges::transform(sampler_.gradient_norms().first(chains), norms.begin(),
                         [scale](float norm) { return scale * norm; });
  gradient_norms_.append(norms);
  if (projections_) {
    std::vector<float> here(projections_there_.size());
    copy(energy_.queue(), projections_there_.data(), here.size(), here.data());
    energy_.queue().wait();
    projections_->append(here);
  }
}

void LongChains::save() {
  if (sampler_.steps() == 0) {
    return;  // they start over
  }
  energies_.sync();
  gradient_norms_.sync();
  if (projections_) {
    projections_->sync();
  }
  save_state(state_, {.chains = sampler_.read_chains()});
}

std::vector<float> LongChains::second_half(const NpyRows& records, std::size_t width) const {
  constexpr std::int64_t kMostDraws = 1000;
  const std::int64_t first = records.rows() / 2;
  const std::int64_t stride = ceil_div(records.rows() - first, kMostDraws);
  const std::size_t row = static_cast<std::size_t>(settings_.chains) * width;
  std::vector<float> values;
  for (std::int64_t i = first; i < records.rows(); i += stride) {
    values.resize(values.size() + row);
    records.read(i, std::span(values).last(row));
  }
  return values;
}

std::vector<float> LongChains::projections(std::size_t direction) const {
  const std::size_t count =
      settings_.directions.size() / static_cast<std::size_t>(energy_.state_size());
  const std::vector<float> all = second_half(*projections_, count);
  std::vector<float> one;
  for (std::size_t i = direction; i < all.size(); i += count) {
    one.push_back(all[i]);
  }
  return one;
}

LongChains::EnergyLine LongChains::energy_line() const {
  EnergyLine line;
  std::vector<float> row(static_cast<std::size_t>(settings_.chains));
  for (std::int64_t i = 0; i < energies_.rows(); ++i) {
    energies_.read(i, row);
    const std::vector<double> ascending = sorted(std::vector<double>(row.begin(), row.end()));
    line.step.push_back(i * settings_.every);
    line.mean.push_back(std::accumulate(row.begin(), row.end(), 0.0) /
                        static_cast<double>(row.size()));
    line.low.push_back(quantile(ascending, 0.1));
    line.high.push_back(quantile(ascending, 0.9));
  }
  return line;
}

std::vector<float> random_directions(std::uint64_t seed, std::int64_t size, int count) {
  std::vector<float> directions(static_cast<std::size_t>(size * count));
  fill_normal({}, {seed, Purpose::projections, 0}, 1.0F, count, size, directions.data());
  for (int i = 0; i < count; ++i) {
    const auto one =
        std::span(directions)
            .subspan(static_cast<std::size_t>(size * i), static_cast<std::size_t>(size));
    double squares = 0;
    for (const float x : one) {
      squares += static_cast<double>(x) * static_cast<double>(x);
    }
    for (float& x : one) {
      x = static_cast<float>(static_cast<double>(x) / std::sqrt(squares));
    }
  }
  return directions;
}

}  // namespace ebm
