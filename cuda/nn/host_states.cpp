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
    Mirror<float> f_there(queue, f.subspan(first, count));
    body(x.data(), static_cast<std::int64_t>(count), f_there.data(), first);
    f_there.read_back(queue);
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
  for_each_part(energy_, states, f,
                [&](const float* x, std::int64_t count, float* f_there, std::size_t first) {
                  Mirror<float> gradients_there(
                      energy_.queue(),
                      gradients.subspan(first * size, static_cast<std::size_t>(count) * size));
                  energy_.energies_and_gradients(x, count, f_there, gradients_there.data());
                  gradients_there.read_back(energy_.queue());
                  energy_.queue().wait();
                });
}

}  // namespace ebm
