#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>
#include <string>

#include "cuda/base/errors.h"
#include "host/config/config.h"
#include "tests/fuzz/hostile_input.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

/// A name for a file, by which it is taken for a published one.
class JsonName {
 public:
  explicit JsonName(const fs::path& file)
      : path_(fs::temp_directory_path() / fmt::format("ebm_hostile_{}.json", ::getpid())) {
    fs::create_symlink(file, path_);
  }
  JsonName(const JsonName&) = delete;
  JsonName& operator=(const JsonName&) = delete;
  ~JsonName() { ::unlink(path_.c_str()); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

template <class Config, class Load>
void require_same_again(const Config& config, Load load) {
  const std::string written = to_yaml(config);
  const HostileFile again(std::as_bytes(std::span(written)));
  if (load(again.path()) != config) {
    throw std::logic_error("a published configuration is another one in YAML:\n" + written);
  }
}

}  // namespace

/// Whatever is not a configuration of training may be one of sampling.
void read_hostile(std::span<const std::byte> bytes) {
  const HostileFile file(bytes);
  const JsonName name(file.path());
  TrainConfig training;
  try {
    training = load_train_config(name.path());
  } catch (const ConfigurationError&) {
    require_same_again(load_sample_config(name.path()),
                       [](const fs::path& path) { return load_sample_config(path); });
    return;
  }
  require_same_again(training, [](const fs::path& path) { return load_train_config(path); });
}

}  // namespace ebm
