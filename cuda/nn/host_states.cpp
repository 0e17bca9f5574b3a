#include "cuda/nn/host_states.h"

#include <algorithm>

#include "cuda/device/array.h"

namespace ebm {
namespace {

/// Calls body(states, count, f, first) with parts of states and f where the energy computes, and
/// brings f back.
template <class Body>
void for_each_part(Energy& energy, std::span<const float> states, std::span<float> f,
                   const Body& body) {
  const Queue& queue = energy.queue();
  const auto size = static_cast<std::size_t>(energy.state_size());
  for (std::size_t first = 0; first < f.size();) {
    const std::size_t count =
        std::min(f.size() - first, static_cast<std::size_t>(energy.capacity()));
    const Mirror<const float> x(queue, states.subspan(first * size, count * size));
    Array<float> f_there(queue, count);
    body(x.data(), static_cast<std::int64_t>(count), f_there.data(), first);
    copy(queue, f_there.data(), count, f.data() + first);
    queue.wait();
    first += count;
  }
}

}  // namespace

void HostStates::set_parameters(std::span<const float> theta) {
  const Mirror<const float> there(energy_.queue(), theta);
  energy_.set_parameters(there.data());
  energy_.queue().wait();
}

void HostStates::energies(std::span<const float> states, std::span<float> f) {
  for_each_part(energy_, states, f,
                [&](const float* x, std::int64_t count, float* f_there, std::size_t /*first*/) {
                  energy_.energies(x, count, f_there);
                });
}

void HostStates::energies_and_gradients(std::span<const float> states, std::span<float> f,
                                        std::span<float> gradients) {
  const auto size = static_cast<std::size_t>(energy_.state_size());
  Array<float> part;  // outlives the copy from it
  for_each_part(energy_, states, f,
                [&](const float* x, std::int64_t count, float* f_there, std::size_t first) {
                  part = Array<float>(energy_.queue(), count * energy_.state_size());
                  energy_.energies_and_gradients(x, count, f_there, part.data());
                  copy(energy_.queue(), part.data(), part.size(), gradients.data() + first * size);
                });
}

}  // namespace ebm
