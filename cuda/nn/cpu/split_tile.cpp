#include "cuda/nn/cpu/split_tile.h"

#include <algorithm>
#include <utility>

namespace ebm {
namespace {

/// Batches up to this size are taken one chain at a time, so that they keep several threads busy.
constexpr std::int64_t kSmallBatch = 8;

class SplitTile final : public TileEnergy {
 public:
  SplitTile(std::unique_ptr<TileEnergy> whole, std::unique_ptr<TileEnergy> single)
      : whole_(std::move(whole)), single_(std::move(single)) {}

  int capacity() const override { return whole_->capacity(); }
  /// A small batch is all single chains. A larger one ends with as many as a tile, so that threads
  /// end together, and what does not fill one. Not by the threads: a library's sums for one image
  /// and for several need not be the same bits.
  Partition best_partition(std::int64_t batch, int /*threads*/) const override {
    const std::int64_t together = capacity();
    const std::int64_t tiles =
        batch <= kSmallBatch ? 0 : std::max<std::int64_t>(0, batch / together - 1);
    return {.tile = together, .singles = batch - tiles * together};
  }
  std::int64_t state_size() const override { return whole_->state_size(); }

  void energies(const float* states, int chains, float* f) override {
    if (chains == capacity()) {
      return whole_->energies(states, chains, f);
    }
    for (int c = 0; c < chains; ++c) {
      single_->energies(states + c * state_size(), 1, f + c);
    }
  }
  void energies_and_gradients(const float* states, int chains, float* f,
                              float* gradients) override {
    if (chains == capacity()) {
      return whole_->energies_and_gradients(states, chains, f, gradients);
    }
    for (int c = 0; c < chains; ++c) {
      const std::int64_t at = c * state_size();
      single_->energies_and_gradients(states + at, 1, f + c, gradients + at);
    }
  }
  void weight_gradient(const float* states, int chains, float scale, float* f,
                       float* gradient) override {
    whole_->weight_gradient(states, chains, scale, f, gradient);
  }
  std::int64_t gradient_values() const override { return whole_->gradient_values(); }
  void add_in_order_of_parameters(float* gradient, float* theta_gradient) override {
    whole_->add_in_order_of_parameters(gradient, theta_gradient);
  }

 private:
  std::unique_ptr<TileEnergy> whole_;
  std::unique_ptr<TileEnergy> single_;
};

}  // namespace

std::unique_ptr<TileEnergy> make_split_tile(std::unique_ptr<TileEnergy> whole,
                                            std::unique_ptr<TileEnergy> single) {
  return std::make_unique<SplitTile>(std::move(whole), std::move(single));
}

}  // namespace ebm
