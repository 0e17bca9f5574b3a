#include "host/evaluation/evaluation_bank.h"

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "host/files/npy.h"
#include "host/training/checkpoint_folder.h"
#include "host/training/training_state.h"

namespace ebm {

void save_bank_rows(const EvaluateConfig& config, const Shape& shape,
                    const std::filesystem::path& folder, RunLog& log) {
  if (config.langevin.init != InitialStates::persistent) {
    return;
  }
  const std::optional<std::filesystem::path> state = state_beside(config.evaluate.checkpoint);
  if (!state) {
    log.info(
        fmt::format("no chains from the bank: the state that was saved with {} is not beside "
                    "it",
                    config.evaluate.checkpoint));
    return;
  }
  const SavedBank bank = load_bank(*state);
  const std::int64_t chains = config.evaluate.chains;
  const std::int64_t rows = std::ssize(bank.values) / shape.size();
  if (rows < chains) {
    log.info(fmt::format("no chains from the bank: it has {} rows, fewer than evaluate.chains = {}",
                         rows, chains));
    return;
  }
  const auto size = static_cast<std::size_t>(shape.size());
  std::vector<float> some;
  for (std::int64_t chain = 0; chain < chains; ++chain) {
    const std::span<const float> row =
        std::span(bank.values)
            .subspan(static_cast<std::size_t>(chain * rows / chains) * size, size);
    some.insert(some.end(), row.begin(), row.end());
  }
  write_npy(folder / "bank.npy",
            std::array<std::int64_t, 4>{chains, shape.channels, shape.height, shape.width}, some);
}

}  // namespace ebm
