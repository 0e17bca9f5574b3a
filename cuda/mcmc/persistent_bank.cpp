#include "cuda/mcmc/persistent_bank.h"

#include "cuda/kernels/random_states.cuh"
#include "cuda/kernels/rows.cuh"

namespace ebm {

Buffer<float> initial_bank(std::uint64_t seed, std::int64_t rows, std::int64_t state_size) {
  Buffer<float> states(static_cast<std::size_t>(rows) * static_cast<std::size_t>(state_size));
  fill_uniform(Queue(), {seed, Purpose::bank, 0}, 1.0F, rows, state_size, states.data());
  return states;
}

PersistentBank::PersistentBank(const Queue& queue, std::uint64_t seed, std::span<float> states,
                               std::int64_t state_size)
    : queue_(queue), seed_(seed), state_size_(state_size), states_(queue, states) {}

void PersistentBank::copy_rows(Purpose purpose, std::uint32_t iteration, const Shard& shard,
                               Array<std::uint32_t>& rows, float* states) {
  if (std::ssize(rows) != shard.total) {
    rows = Array<std::uint32_t>(queue_, shard.total);
  }
  draw_rows(queue_, {seed_, purpose, iteration}, static_cast<std::uint32_t>(this->rows()),
            shard.total, rows.data());
  gather_rows(queue_, states_.data(), rows.data() + shard.first, shard.count, state_size_, states);
}

void PersistentBank::draw(std::uint32_t iteration, const Shard& shard, float* states) {
  copy_rows(Purpose::bank_rows, iteration, shard, drawn_, states);
}

void PersistentBank::put(const float* states, const std::uint32_t* stopped) {
  scatter_rows(queue_, states, drawn_.data(), std::ssize(drawn_), state_size_, states_.data(),
               stopped);
}

void PersistentBank::peek(Purpose purpose, std::uint32_t iteration, const Shard& shard,
                          float* states) {
  Array<std::uint32_t> rows;
  copy_rows(purpose, iteration, shard, rows, states);
}

}  // namespace ebm
