#include "cuda/nn/cpu/tiled_energy.h"

#include <omp.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "cuda/base/ceil_div.h"
#include "cuda/device/launch.cuh"

namespace ebm {
namespace {

/// A round of weight gradients takes a few tiles a thread where the network is small: 16 MiB.
constexpr std::int64_t kRoundValues = std::int64_t{1} << 22;

}  // namespace

std::int64_t weight_gradient_values(std::int64_t tiles, std::int64_t threads, std::int64_t values) {
  return std::min(tiles * values, std::max(threads * values, kRoundValues)) + values;
}

TiledEnergy::TiledEnergy(const std::function<std::unique_ptr<TileEnergy>()>& make_tile,
                         std::function<void(const float*)> load, std::int64_t parameters)
    : load_(std::move(load)), parameters_(parameters) {
  const int threads = omp_get_max_threads();
  for (int thread = 0; thread < threads; ++thread) {
    tiles_.push_back(make_tile());
  }
}

/// Runs body(thread's tile executor, first chain, chains) for every tile, each on one thread. What
/// a body throws is thrown on, once.
template <class Body>
void TiledEnergy::for_each_tile(std::int64_t chains, const TileEnergy::Partition& cut,
                                const Body& body) {
  const std::int64_t not_alone = chains - cut.singles;
  const std::int64_t shared = ceil_div(not_alone, cut.tile);
  const std::int64_t tiles = shared + cut.singles;
  std::exception_ptr failure;
#pragma omp parallel num_threads(static_cast <int>(tiles_.size()))
  {
    omp_set_num_threads(1);  // what a tile calls runs on this thread alone
    TileEnergy& mine = *tiles_[static_cast<std::size_t>(omp_get_thread_num())];
#pragma omp for schedule(dynamic)
    for (std::int64_t tile = 0; tile < tiles; ++tile) {
      const bool is_alone = tile >= shared;
      const std::int64_t first = is_alone ? not_alone + tile - shared : tile * cut.tile;
      const std::int64_t count = is_alone ? 1 : std::min(cut.tile, not_alone - first);
      try {
        body(mine, first, static_cast<int>(count));
      } catch (...) {
#pragma omp critical
        failure = std::current_exception();
      }
    }
  }
  if (failure) {
    std::rethrow_exception(failure);
  }
}

template <class Body>
void TiledEnergy::for_each_tile(std::int64_t chains, const Body& body) {
  for_each_tile(chains, tiles_.front()->best_partition(chains, static_cast<int>(tiles_.size())),
                body);
}

void TiledEnergy::energies(const float* states, std::int64_t count, float* f) {
  for_each_tile(count, [&](TileEnergy& tile, std::int64_t first, int chains) {
    tile.energies(states + first * state_size(), chains, f + first);
  });
}

void TiledEnergy::energies_and_gradients(const float* states, std::int64_t count, float* f,
                                         float* gradients) {
  for_each_tile(count, [&](TileEnergy& tile, std::int64_t first, int chains) {
    const std::int64_t at = first * state_size();
    tile.energies_and_gradients(states + at, chains, f + first, gradients + at);
  });
}

void TiledEnergy::weight_gradient(const float* states, std::int64_t count, float scale, float* f,
                                  float* theta_gradient) {
  const std::int64_t size = state_size();
  const auto threads = static_cast<std::int64_t>(tiles_.size());
  // Rounds of some tiles, each tile's partial sum in memory of its own; after a round they are
  // added in tile order.
  const std::int64_t capacity = tiles_.front()->capacity();
  const std::int64_t all_tiles = ceil_div(count, capacity);
  const std::int64_t values = tiles_.front()->gradient_values();
  const std::int64_t round_tiles =
      std::min(all_tiles, std::max(threads, kRoundValues / std::max<std::int64_t>(values, 1)));
  while (std::ssize(weight_gradients_) < round_tiles) {
    weight_gradients_.emplace_back(static_cast<std::size_t>(values));
  }
  if (weight_gradient_sum_.size() == 0) {
    weight_gradient_sum_ = Buffer<float>(static_cast<std::size_t>(values));
  }
  float* sum = weight_gradient_sum_.data();
  std::fill_n(sum, values, 0.0F);
  const std::int64_t round = round_tiles * capacity;
  for (std::int64_t begin = 0; begin < count; begin += round) {
    const std::int64_t chains = std::min(round, count - begin);
    const std::int64_t tiles = ceil_div(chains, capacity);
    for_each_tile(chains, {.tile = capacity}, [&](TileEnergy& tile, std::int64_t first, int some) {
      tile.weight_gradient(states + (begin + first) * size, some, scale, f + begin + first,
                           weight_gradients_[static_cast<std::size_t>(first / capacity)].data());
    });
#pragma omp parallel for schedule(static) if (tiles * values >= kValuesWorthThreads)
    for (std::int64_t i = 0; i < values; ++i) {
      for (std::int64_t tile = 0; tile < tiles; ++tile) {
        sum[i] += weight_gradients_[static_cast<std::size_t>(tile)][static_cast<std::size_t>(i)];
      }
    }
  }
  std::fill_n(theta_gradient, parameters_, 0.0F);
  tiles_.front()->add_in_order_of_parameters(sum, theta_gradient);
}

void TiledEnergy::run(const ChainRun& run, const Chains& chains) {
  require_recorded_mala(run, chains);
  for_each_tile(chains.count, [&](TileEnergy& tile, std::int64_t first, int some) {
    const Chains mine = chains.part(first, some, state_size());
    if (chains.recorded()) {
      run_recorded(tile, run, mine);
    } else {
      tile.langevin(run, mine);
    }
  });
}

}  // namespace ebm
