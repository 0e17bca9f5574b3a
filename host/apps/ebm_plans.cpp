// Compiles cuDNN's plans for GPUs that need not be there. In builds with cuDNN only.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cuda/base/errors.h"
#include "cuda/device/cudnn_handle.h"
#include "cuda/device/driver_stand_in.h"
#include "cuda/nn/gpu/cudnn/plan_compilation.h"
#include "host/apps/exit_status.h"
#include "host/config/config.h"
#include "host/files/cache_folder.h"
#include "host/training/environment.h"

namespace {

using namespace ebm;

struct Options {
  std::vector<std::filesystem::path> configs;
  std::vector<std::string> gpus;
  std::vector<int> batches;             ///< instead of the configurations'
  std::vector<std::string> precisions;  ///< likewise
  std::vector<std::string> overrides;
  std::filesystem::path out;
  unsigned threads = std::max(1U, std::thread::hardware_concurrency());
};

std::vector<std::string> known_gpus() {
  std::vector<std::string> known;
  for (const DescribedGpu& gpu : described_gpus()) {
    known.emplace_back(gpu.name);
  }
  return known;
}

std::vector<Precision> precisions_of(const Options& options, Precision configured) {
  std::vector<Precision> precisions;
  for (const std::string& name : options.precisions) {
    precisions.push_back(*from_string<Precision>(name));
  }
  return precisions.empty() ? std::vector{configured} : precisions;
}

/// The convolutions of all configurations, each once.
std::vector<ConvolutionPattern> patterns_of(const Options& options) {
  std::vector<ConvolutionPattern> patterns;
  for (const std::filesystem::path& file : options.configs) {
    const TrainConfig config = load_train_config(file, options.overrides);
    const Network network = make_network(config.network);
    const std::vector<int> batches =
        options.batches.empty() ? std::vector{config.train.batch_size} : options.batches;
    for (const Precision precision : precisions_of(options, config.precision)) {
      for (const int batch : batches) {
        for (const ConvolutionPattern& pattern : library_convolutions(network, batch, precision)) {
          if (std::ranges::find(patterns, pattern) == patterns.end()) {
            patterns.push_back(pattern);
          }
        }
      }
    }
  }
  return patterns;
}

std::filesystem::path folder_of(const Options& options) {
  const std::optional<std::filesystem::path> cache = cache_folder();
  if (options.out.empty() && !cache) {
    throw ConfigurationError(
        "neither HOME nor XDG_CACHE_HOME says where plans are kept; name a folder with --out");
  }
  return options.out.empty() ? *cache / "cudnn" : options.out;
}

/// For one kind of GPU.
void compile_for(const DescribedGpu& gpu, const std::vector<ConvolutionPattern>& patterns,
                 const Options& options, const std::filesystem::path& folder) {
  const PlanCache cache(folder, {});
  std::size_t bytes = 0;
  const CompiledPlans made =
      compile_plans(PlanTarget::described(gpu), patterns, cache, options.threads,
                    [&](const std::string& key, const std::vector<std::uint8_t>& plan) {
                      if (!cache.keep(key, plan)) {
                        throw OutputError(fmt::format(
                            "{}: a plan could not be written; is the disk full, or the folder not "
                            "yours?",
                            folder.string()));
                      }
                      bytes += plan.size();
                    });
  fmt::print(
      "{} ({}): {} plans compiled, {:.1f} MB; {} were there; {} are not for the precision, or do "
      "not "
      "compile\n",
      gpu.name, gpu.model, made.compiled, static_cast<double>(bytes) / 1e6, made.known,
      made.failed);
  if (made.compiled + made.known == 0 && made.failed > 0) {
    throw std::runtime_error(
        "none of cuDNN's proposals could be compiled; is CUDA's libnvrtc where the loader finds it "
        "(LD_LIBRARY_PATH)?");
  }
}

int make_plans(const Options& options) {
  const std::vector<ConvolutionPattern> patterns = patterns_of(options);
  if (patterns.empty()) {
    fmt::print("these networks need no plans: they have no layer that cuDNN computes\n");
    return 0;
  }
  const std::filesystem::path folder = folder_of(options);
  for (const std::string& reason : {open_driver_stand_in(), why_no_cudnn()}) {
    if (!reason.empty()) {
      throw std::runtime_error(reason);
    }
  }
  for (const std::string& name : options.gpus) {
    compile_for(*std::ranges::find(described_gpus(), name, &DescribedGpu::name), patterns, options,
                folder);
  }
  fmt::print("plans are in {}\n", folder.string());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("ebm_plans", argv, [argc, argv] {
    Options options;
    CLI::App app(
        "Compiles cuDNN's plans for the networks of configurations, so that a first start on a GPU "
        "need not. No GPU has to be here.\n\n"
        "  ebm_plans configs/mnist_convergent.yaml --gpu h100\n"
        "  ebm_plans configs/*.yaml --gpu a100,h100 --precision tf32,bf16 --out "
        "/shared/ebm_plans\n",
        "ebm_plans");
    app.set_version_flag("--version", version());
    app.add_option("config", options.configs, "Training configurations")
        ->option_text("CONFIG.yaml...")
        ->required();
    app.add_option("--gpu", options.gpus,
                   "The GPUs: " + fmt::format("{}", fmt::join(known_gpus(), ", ")))
        ->option_text("NAME,...")
        ->delimiter(',')
        ->check(CLI::IsMember(known_gpus()))
        ->required();
    app.add_option("--batch", options.batches, "Batch sizes, instead of train.batch_size")
        ->option_text("N,...")
        ->delimiter(',')
        ->check(CLI::Range(1, 1 << 20));
    app.add_option("--precision", options.precisions, "Precisions, instead of precision")
        ->option_text("fp32|tf32|bf16,...")
        ->delimiter(',')
        ->check(CLI::IsMember({"fp32", "tf32", "bf16"}));
    app.add_option("--out", options.out,
                   "Folder for the plans, for EBM_CUDNN_PLANS [your own cache, which needs none]")
        ->option_text("DIR");
    app.add_option("--set", options.overrides, "Override a key of the configurations; repeatable")
        ->option_text("SECTION.KEY=VALUE")
        ->allow_extra_args(false);
    app.add_option("--threads", options.threads, "Threads that compile [all]")
        ->option_text("N")
        ->check(CLI::Range(1, 4096));
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app.exit(error) == 0 ? 0 : 2;
    }
    return make_plans(options);
  });
}
