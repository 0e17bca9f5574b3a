// Batches of training data, drawn where the chains run.
#pragma once

#include <cstdint>
#include <span>

#include "cuda/device/buffer.h"
#include "cuda/kernels/toy_data.cuh"
#include "cuda/random/philox.cuh"
#ifdef EBM_CUDA
#include "cuda/device/device_buffer.h"
#endif

namespace ebm {

/// What states are drawn for; kept apart in the random streams.
enum class DataUse { batch, initial_states, longrun, landscape, sampling };

/// The stream of which rows of a table are drawn.
Purpose rows_purpose(DataUse use);

/// Draws batches: a pure function of (seed, use, iteration).
class DataBatches {
 public:
  explicit DataBatches(std::uint64_t seed) : seed_(seed) {}
  virtual ~DataBatches() = default;
  DataBatches(const DataBatches&) = delete;
  DataBatches& operator=(const DataBatches&) = delete;

  /// Draws from now on as batches of this seed.
  void reseed(std::uint64_t seed) { seed_ = seed; }
  /// Values in one state.
  virtual std::int64_t state_size() const = 0;
  /// Fills whole states.
  virtual void draw(DataUse use, std::uint32_t iteration, std::span<float> states) = 0;

#ifdef EBM_CUDA
  /// Copies to the current device what it takes to draw at most so many states there.
  virtual void move_to_device(const CudaStream& stream, std::int64_t most) = 0;
  /// Frees these copies, before the stream ends.
  virtual void leave_device() = 0;
  /// draw() of `count` states into the device's memory, enqueued: the same batch.
  virtual void draw(const CudaStream& stream, DataUse use, std::uint32_t iteration,
                    std::int64_t count, float* states) = 0;
#endif

 protected:
  std::uint64_t seed() const { return seed_; }

 private:
  std::uint64_t seed_;
};

/// Fresh draws from a toy density.
class ToyBatches final : public DataBatches {
 public:
  ToyBatches(std::uint64_t seed, const ToyDraw& density) : DataBatches(seed), density_(density) {}

  std::int64_t state_size() const override { return 2; }
  void draw(DataUse use, std::uint32_t iteration, std::span<float> states) override;
#ifdef EBM_CUDA
  void move_to_device(const CudaStream& /*stream*/, std::int64_t /*most*/) override {}
  void leave_device() override {}
  void draw(const CudaStream& cuda, DataUse use, std::uint32_t iteration, std::int64_t count,
            float* states) override;
#endif

 private:
  RandomStream stream(DataUse use, std::uint32_t iteration) const;

  ToyDraw density_;
};

/// Distinct rows of a data set, without replacement, plus noise·N(0, I).
class ImageBatches final : public DataBatches {
 public:
  /// `images` is borrowed: whole states of state_size values each. draw() of a batch larger
  /// than the data set throws std::invalid_argument.
  ImageBatches(std::uint64_t seed, std::span<const float> images, std::int64_t state_size,
               float noise);

  std::int64_t state_size() const override { return state_size_; }
  void draw(DataUse use, std::uint32_t iteration, std::span<float> states) override;
#ifdef EBM_CUDA
  void move_to_device(const CudaStream& stream, std::int64_t most) override;
  void leave_device() override;
  void draw(const CudaStream& stream, DataUse use, std::uint32_t iteration, std::int64_t count,
            float* states) override;
#endif

 private:
  std::uint32_t table_rows() const {
    return static_cast<std::uint32_t>(std::ssize(images_) / state_size_);
  }

  std::span<const float> images_;
  std::int64_t state_size_;
  float noise_;
  Buffer<std::uint32_t> rows_;  // grows to the largest batch drawn
#ifdef EBM_CUDA
  DeviceBuffer<float> device_images_;
  DeviceBuffer<std::uint32_t> device_rows_;
#endif
};

}  // namespace ebm
