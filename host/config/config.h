// The configurations of training, sampling and evaluation: what the YAML file says, checked, with
// every default filled in. Fields have the keys' names. The files under configs/ show them in use.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cuda/mcmc/initial_states.h"
#include "cuda/nn/network.h"
#include "cuda/nn/precision.h"
#include "host/config/clamp.h"
#include "host/config/picture_choices.h"

namespace ebm {

struct YamlValue;

enum class DataKind { mnist, cifar10, flowers102, folder, gmm, rings };
enum class NetworkKind { toy, vanilla, nonlocal, custom };
enum class OptimizerKind { sgd, adam };
enum class SamplingStart { uniform, gaussian, data, states };
enum class DivergenceAction { stop, rollback };

/// An enumeration's names in configurations, in the order of its values.
std::span<const std::string_view> names(DataKind);
std::span<const std::string_view> names(NetworkKind);
std::span<const std::string_view> names(OptimizerKind);
std::span<const std::string_view> names(InitialStates);
std::span<const std::string_view> names(SamplingStart);
std::span<const std::string_view> names(Precision);
std::span<const std::string_view> names(DivergenceAction);
std::span<const std::string_view> names(DataSplit);
std::span<const std::string_view> names(ExifUse);
std::span<const std::string_view> names(Unreadable);

template <class Enum>
std::string_view to_string(Enum value) {
  return names(value)[static_cast<std::size_t>(value)];
}

/// The value of that name, if there is one.
template <class Enum>
std::optional<Enum> from_string(std::string_view name) {
  const std::span<const std::string_view> all = names(Enum{});
  const auto found = std::ranges::find(all, name);
  return found == all.end() ? std::nullopt : std::optional(static_cast<Enum>(found - all.begin()));
}

struct DataConfig {
  DataKind kind{};
  // Images.
  std::string path{};
  DataSplit split = DataSplit::train;
  int image_size = 32;
  int channels = 1;  ///< 3 for all images but mnist
  double noise = 0;  ///< standard deviation of the noise added to every data batch
  ExifUse exif = ExifUse::ignore;
  Unreadable unreadable = Unreadable::error;
  // Toy densities.
  int groups = 8;  ///< 4 for rings
  double sd = 0.15;
  double radius = 1.0;

  /// True for data sets that are published with a test set of its own files.
  bool has_test_set() const { return kind == DataKind::mnist || kind == DataKind::cifar10; }
  /// `path`, with " (test)" behind it where the test set is taken, for people.
  std::string source() const { return split == DataSplit::test ? path + " (test)" : path; }
  /// True for pictures in files of their own.
  bool is_pictures() const { return kind == DataKind::folder || kind == DataKind::flowers102; }
  /// True for a density on the plane, false for images.
  bool is_toy() const { return kind == DataKind::gmm || kind == DataKind::rings; }
  bool operator==(const DataConfig&) const = default;
};

/// A network by its kind and sizes, or by its layers. In training its states are the data's, and
/// their sizes no keys.
struct NetworkConfig {
  NetworkKind kind{};  ///< custom where there are layers
  int features = 32;   ///< width n of vanilla and nonlocal
  int channels = 3;    ///< of its states; toy's have 2
  int image_size =
      32;  ///< height and width of a custom network's states; 1 for points in the plane
  std::vector<Layer> layers{};
  bool operator==(const NetworkConfig&) const = default;
};

struct OptimizerConfig {
  OptimizerKind kind{};
  double lr = 0;
  double lr_min = 0;  ///< `lr` unless given
  double lr_decay = 1.0;
  bool operator==(const OptimizerConfig&) const = default;
};

struct LangevinConfig {
  double epsilon = 0;
  int steps = 0;
  InitialStates init{};
  Clamp clamp{};
  int bank_size = 10'000;          ///< toy data with persistent chains
  double noise_init_factor = 1.0;  ///< toy data with uniform or gaussian starts
  bool operator==(const LangevinConfig&) const = default;
};

struct TrainSection {
  std::int64_t iterations = 0;
  int batch_size = 100;
  bool operator==(const TrainSection&) const = default;
};

struct LogConfig {
  int every = 100;
  bool operator==(const LogConfig&) const = default;
};

struct CheckpointConfig {
  int every = 100;
  int keep = 3;        ///< the newest so many, networks and states
  int keep_every = 0;  ///< and networks of multiples of so many iterations; 0: no others
  double grace = 20;   ///< seconds that an iteration may go on for once a signal asks to stop
  bool operator==(const CheckpointConfig&) const = default;
};

/// What to do when learning comes apart. The limits are orders of magnitude beyond what a run shows
/// that is still of use, non-convergent ones included.
struct DivergenceConfig {
  DivergenceAction action = DivergenceAction::stop;
  double factor = 0.5;             ///< rollback: on the learning rate, each time
  int times = 3;                   ///< rollback: at most so many
  double energy_difference = 1e9;  ///< |d_s|
  double gradient_strength = 1e6;  ///< r_s
  double energy = 1e12;            ///< |U| of any state of a batch
  double weight = 1e4;             ///< of any, in size
  bool operator==(const DivergenceConfig&) const = default;
};

/// Long-run chains of image experiments. `every` 0 turns them off.
struct LongrunConfig {
  int every = 0;
  int steps = 100'000;
  InitialStates init = InitialStates::data;
  bool operator==(const LongrunConfig&) const = default;
};

struct KdeConfig {
  int chains = 10'000;
  double bandwidth = 0.1;  ///< a factor on the sample's own spread; 0.075 for rings
  bool operator==(const KdeConfig&) const = default;
};

/// Landscape plots of toy experiments; means nothing for images. `every` 0 turns them off.
struct LandscapeConfig {
  int every = 1000;
  int resolution = 200;  ///< grid points a side
  KdeConfig kde{};
  bool operator==(const LandscapeConfig&) const = default;
};

struct TrainConfig {
  std::string name;  ///< can be a file's name
  std::uint64_t seed = 123;
  std::string device = "auto";  ///< auto, cpu, cuda, or cuda:N
  Precision precision = Precision::tf32;
  DataConfig data;
  NetworkConfig network;
  OptimizerConfig optimizer;
  LangevinConfig langevin;
  TrainSection train;
  LogConfig log;
  CheckpointConfig checkpoint;
  DivergenceConfig divergence;
  LongrunConfig longrun;
  LandscapeConfig landscape;
  bool operator==(const TrainConfig&) const = default;
};

struct SampleSection {
  std::string checkpoint{};
  double train_epsilon = 0;
  double temperature_factor = 1;
  double epsilon = 0;
  int steps = 0;
  int chains = 100;
  bool mala = false;
  ClampChoice clamp{};

  /// T of U = f/T.
  double temperature() const {
    const double half_square = train_epsilon * train_epsilon / 2;
    return temperature_factor * (train_epsilon > 0 ? half_square : 1);
  }
  bool operator==(const SampleSection&) const = default;
};

/// Long chains from a saved network.
struct SampleConfig {
  std::string name;  ///< can be a file's name
  std::uint64_t seed = 123;
  std::string device = "auto";  ///< as in TrainConfig
  Precision precision = Precision::tf32;
  NetworkConfig network;  ///< of the checkpoint, which may not say itself what it is
  SamplingStart start{};
  DataConfig data;                    ///< start: data
  std::string states = "states.npy";  ///< start: states
  SampleSection sample;
  LogConfig log;
  bool operator==(const SampleConfig&) const = default;
};

struct EvaluateSection {
  std::string checkpoint{};
  Clamp box{};         ///< of the support; null: chosen
  int chains = 1000;   ///< of each start; 100 for images
  int steps = 10'000;  ///< 2000 for images
  int every = 10;      ///< steps between records
  int projections = 4;
  bool mala = true;
  double epsilon = 0;            ///< 0: chosen for MALA, that of the training without
  int annealing_chains = 1000;   ///< 100 for images
  int annealing_steps = 10'000;  ///< 2000 for images
  int samples = 2000;            ///< states of the data that others are compared with
  // A network in whose features they are compared: its weights, and its list of layers.
  std::string features = "none";
  std::string feature_layers = "none";

  bool has_features() const { return features != "none"; }
  bool operator==(const EvaluateSection&) const = default;
};

/// Whether a saved network's energy is a density.
struct EvaluateConfig {
  std::string name;  ///< can be a file's name
  std::uint64_t seed = 123;
  std::string device = "auto";  ///< as in TrainConfig
  Precision precision = Precision::tf32;
  NetworkConfig network;    ///< of the checkpoint, which may not say itself what it is
  DataConfig data;          ///< that it was trained on
  LangevinConfig langevin;  ///< that it was trained with
  EvaluateSection evaluate;
  LogConfig log{.every = 1000};

  /// T of U = f/T, as in training.
  double temperature() const {
    return langevin.epsilon > 0 ? langevin.epsilon * langevin.epsilon / 2 : 1;
  }
  bool operator==(const EvaluateConfig&) const = default;
};

/// The network itself. Throws std::invalid_argument naming layer and shapes when there is no such
/// network.
Network make_network(const NetworkConfig& network);

/// Reads a configuration file with overrides "section.key=value" put on top of it, the last one
/// winning. A field whose key does not apply to the configuration keeps its default. Throws
/// ConfigurationError, naming file and line or the override, the key, the value and what is valid,
/// of all errors in order, if the file cannot be read or the result is not a valid configuration.
TrainConfig load_train_config(const std::filesystem::path& file,
                              std::span<const std::string> overrides = {});

/// The configuration of a run that is to go on, from the file in its folder. Overrides may change
/// what makes no difference to what is learned, and how far: train.iterations, device, data.path,
/// log, checkpoint, divergence, longrun and landscape. Throws ConfigurationError for others too.
TrainConfig load_resumed_config(const std::filesystem::path& file,
                                std::span<const std::string> overrides = {});

/// Adds to a configuration, after its overrides, what need not be said in it.
using CompleteTree = std::function<void(YamlValue& tree)>;

/// The same for sampling; of a file, or of a tree in place of one.
SampleConfig load_sample_config(const std::filesystem::path& file,
                                std::span<const std::string> overrides = {},
                                const CompleteTree& complete = {});
SampleConfig sample_config_of(const YamlValue& tree, std::span<const std::string> overrides,
                              const CompleteTree& complete);

/// The same for evaluation.
EvaluateConfig load_evaluate_config(const std::filesystem::path& file,
                                    std::span<const std::string> overrides = {},
                                    const CompleteTree& complete = {});
EvaluateConfig evaluate_config_of(const YamlValue& tree, std::span<const std::string> overrides,
                                  const CompleteTree& complete);

/// The keys of a section `data`, `langevin`, or of sampling's `network`, that say this. `place` is
/// for errors.
YamlValue tree_of(const DataConfig& data, const std::string& place);
YamlValue tree_of(const LangevinConfig& langevin, bool toy, const std::string& place);
YamlValue tree_of(const NetworkConfig& network, const std::string& place);

/// Of a sampling run that is to go on, likewise: sample.steps, device, data.path and log may
/// change.
SampleConfig load_resumed_sample_config(const std::filesystem::path& file,
                                        std::span<const std::string> overrides = {});

/// Of an evaluation, likewise: device, data.path and log may change.
EvaluateConfig load_resumed_evaluate_config(const std::filesystem::path& file,
                                            std::span<const std::string> overrides = {});

/// The `data` section of a configuration of any kind; the rest of it is not looked at.
DataConfig load_data_section(const std::filesystem::path& file);

/// A list of layers alone in a file, with the keys of the section `network` of sampling.
NetworkConfig load_network(const std::filesystem::path& file);
/// The same of layers that end in features, not in the one number f(x).
NetworkConfig load_feature_layers(const std::filesystem::path& file);

/// The configuration as YAML with every key that applies. It loads back to an equal configuration.
std::string to_yaml(const TrainConfig& config);
std::string to_yaml(const SampleConfig& config);
std::string to_yaml(const EvaluateConfig& config);

}  // namespace ebm
