// What a new run takes from another: its network, and its bank.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "cuda/base/buffer.h"
#include "host/config/config.h"
#include "host/training/training_state.h"

namespace ebm {

/// Weights that a run begins with, and where they come from. Owns everything.
struct Origin {
  std::filesystem::path network;  ///< the file
  std::filesystem::path run{};    ///< the folder that it is of; empty where it is not known
  std::int64_t iteration = 0;     ///< after which it was saved; 0 where the file does not say
  Buffer<float> theta{};
  std::optional<SavedBank> bank{};  ///< where it was asked for
};

/// Reads the network that `from` says, see find_saved_run(), for a run of this configuration, and
/// `with_bank` the bank that its run had with it. Throws InputFileError for the files,
/// ConfigurationError when the network is not the configuration's or it has no bank.
Origin load_origin(const TrainConfig& config, const std::filesystem::path& from, bool with_bank);

/// "runs/a/checkpoints/net_000300.safetensors (iteration 300), with its bank".
std::string describe(const Origin& origin);

/// The same for a run's folder, as JSON.
std::string to_json(const Origin& origin);

}  // namespace ebm
