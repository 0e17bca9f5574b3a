// Batches of training data, drawn where the chains run.
#pragma once

#include <cstdint>
#include <span>

#include "cuda/device/array.h"
#include "cuda/kernels/toy_data.cuh"
#include "cuda/random/philox.cuh"
#include "cuda/random/shard.h"

namespace ebm {

/// What states are drawn for; kept apart in the random streams.
enum class DataUse { batch, initial_states, longrun, landscape, sampling };

/// The stream of which rows of a table are drawn.
Purpose rows_purpose(DataUse use);

/// Draws batches where a queue computes: a pure function of (seed, use, iteration).
class DataBatches {
 public:
  DataBatches(const Queue& queue, std::uint64_t seed) : queue_(queue), seed_(seed) {}
  virtual ~DataBatches() = default;
  DataBatches(const DataBatches&) = delete;
  DataBatches& operator=(const DataBatches&) = delete;

  /// Draws from now on as batches of this seed.
  void reseed(std::uint64_t seed) { seed_ = seed; }
  /// Values in one state.
  virtual std::int64_t state_size() const = 0;
  /// Gives the queue a shard's states of a batch to draw.
  virtual void draw(DataUse use, std::uint32_t iteration, const Shard& shard, float* states) = 0;

 protected:
  const Queue& queue() const { return queue_; }
  std::uint64_t seed() const { return seed_; }

 private:
  Queue queue_;
  std::uint64_t seed_;
};

/// Fresh draws from a toy density.
class ToyBatches final : public DataBatches {
 public:
  ToyBatches(const Queue& queue, std::uint64_t seed, const ToyDraw& density)
      : DataBatches(queue, seed), density_(density) {}

  std::int64_t state_size() const override { return 2; }
  void draw(DataUse use, std::uint32_t iteration, const Shard& shard, float* states) override;

 private:
  ToyDraw density_;
};

/// Distinct rows of a data set, without replacement, plus noise·N(0, I).
class ImageBatches final : public DataBatches {
 public:
  /// `images` is borrowed: whole states of state_size values each; a device gets a copy. draw() of
  /// a batch larger than the data set throws std::invalid_argument.
  ImageBatches(const Queue& queue, std::uint64_t seed, std::span<const float> images,
               std::int64_t state_size, float noise);

  std::int64_t state_size() const override { return state_size_; }
  void draw(DataUse use, std::uint32_t iteration, const Shard& shard, float* states) override;

 private:
  Mirror<const float> images_;
  std::int64_t state_size_;
  float noise_;
  Array<std::uint32_t> rows_;  // grows to the largest batch drawn
};

}  // namespace ebm
