#include "host/sampling/sampling_state.h"

#include <fmt/format.h>

#include <limits>
#include <vector>

#include "host/files/checked_tensors.h"
#include "host/files/state_values.h"

namespace ebm {

void save_state(const std::filesystem::path& path, const SamplingState& state) {
  const std::vector<TensorView> tensors{vector_of("states", state.chains.states),
                                        vector_of("f", state.chains.f),
                                        vector_of("gradients", state.chains.gradients)};
  write_checked_tensors(path, tensors,
                        {{"steps", fmt::format("{}", state.chains.steps)},
                         {"snapshots", fmt::format("{}", state.snapshots)},
                         {"last_is_of_end", state.last_is_of_end ? "1" : "0"}});
}

SamplingState load_sampling_state(const std::filesystem::path& path, std::int64_t chains,
                                  std::int64_t state_size) {
  const TensorFile file = read_checked_tensors(path, DigestRule::required);
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const auto read = [&file](std::string_view name, std::int64_t count) {
    const auto values = state_values(file, name, static_cast<std::size_t>(count));
    return std::vector<float>(values.begin(), values.end());
  };
  return {.chains = {.steps = state_number<std::int64_t>(file, "steps", 1, kMost),
                     .states = read("states", chains * state_size),
                     .f = read("f", chains),
                     .gradients = read("gradients", chains * state_size)},
          .snapshots = state_number<std::int64_t>(file, "snapshots", 0, kMost),
          .last_is_of_end = state_number<int>(file, "last_is_of_end", 0, 1) == 1};
}

}  // namespace ebm
