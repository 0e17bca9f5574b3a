#include "cuda/mcmc/persistent_bank.h"

#include <algorithm>
#include <cassert>

#include "cuda/kernels/random_states.cuh"
#include "cuda/kernels/rows.cuh"

namespace ebm {

PersistentBank::PersistentBank(std::uint64_t seed, std::int64_t rows, std::int64_t state_size)
    : seed_(seed),
      state_size_(state_size),
      states_(static_cast<std::size_t>(rows) * static_cast<std::size_t>(state_size)) {
  fill_uniform({seed, Purpose::bank, 0}, 1.0F, rows, state_size, states_.data());
}

void PersistentBank::restore(std::span<const float> states) {
  assert(states.size() == states_.size());
  std::ranges::copy(states, states_.data());
}

void PersistentBank::copy_rows(Purpose purpose, std::uint32_t iteration,
                               std::span<std::uint32_t> rows, std::span<float> states) const {
  draw_rows({seed_, purpose, iteration}, static_cast<std::uint32_t>(this->rows()), std::ssize(rows),
            rows.data());
  gather_rows(states_.data(), rows.data(), std::ssize(rows), state_size_, states.data());
}

void PersistentBank::draw(std::uint32_t iteration, std::span<float> states) {
  const auto count = states.size() / static_cast<std::size_t>(state_size_);
  if (drawn_.size() != count) {
    drawn_ = Buffer<std::uint32_t>(count);
  }
  copy_rows(Purpose::bank_rows, iteration, drawn_.span(), states);
}

void PersistentBank::put(std::span<const float> states) {
  assert(states.size() == drawn_.size() * static_cast<std::size_t>(state_size_));
  scatter_rows(states.data(), drawn_.data(), std::ssize(drawn_.span()), state_size_,
               states_.data());
}

void PersistentBank::peek(Purpose purpose, std::uint32_t iteration, std::span<float> states) const {
  Buffer<std::uint32_t> rows(states.size() / static_cast<std::size_t>(state_size_));
  copy_rows(purpose, iteration, rows.span(), states);
}

}  // namespace ebm
