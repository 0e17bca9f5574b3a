#include "host/training/origin.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "cuda/base/content_digest.h"
#include "cuda/base/errors.h"
#include "host/training/checkpoint.h"
#include "host/training/checkpoint_folder.h"
#include "host/training/saved_run.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

SavedBank load_bank_of(const TrainConfig& config, const fs::path& network) {
  if (config.langevin.init != InitialStates::persistent) {
    throw ConfigurationError(
        fmt::format("--with-bank: langevin.init is {}, and only persistent chains have a bank",
                    to_string(config.langevin.init)));
  }
  const std::optional<fs::path> state = state_beside(network);
  if (!state) {
    throw ConfigurationError(
        fmt::format("--with-bank: {}: the bank is in the state of the same iteration, which a run "
                    "keeps beside its newest networks (state_*.safetensors), and is not there",
                    network.string()));
  }
  return load_bank(*state);
}

}  // namespace

Origin load_origin(const TrainConfig& config, const fs::path& from, bool with_bank) {
  SavedRun saved = find_saved_run(from);
  Checkpoint checkpoint = load_checkpoint(saved.network, choice_of(config.network));
  Origin origin{.network = std::move(saved.network),
                .run = std::move(saved.folder),
                .iteration = checkpoint.info.iteration,
                .theta = std::move(checkpoint.parameters)};
  if (with_bank) {
    origin.bank = load_bank_of(config, origin.network);
  }
  return origin;
}

std::string describe(const Origin& origin) {
  return fmt::format("{} (iteration {}){}", origin.network.string(), origin.iteration,
                     origin.bank ? ", with its bank" : "");
}

std::string to_json(const Origin& origin) {
  const auto text = [](const fs::path& path) {
    return path.empty() ? nlohmann::ordered_json()
                        : nlohmann::ordered_json(fs::absolute(path).lexically_normal().string());
  };
  const nlohmann::ordered_json json = {
      {"network", text(origin.network)},
      {"run", text(origin.run)},
      {"iteration", origin.iteration},
      {"weights_xxh3_128", to_text(digest_of(std::as_bytes(origin.theta.span())))},
      {"with_bank", origin.bank.has_value()}};
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace ebm
