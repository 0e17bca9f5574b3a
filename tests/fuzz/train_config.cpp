#include <stdexcept>
#include <string>

#include "host/config/config.h"
#include "tests/fuzz/hostile_input.h"

void ebm::read_hostile(std::span<const std::byte> bytes) {
  const TrainConfig config = load_train_config(HostileFile(bytes).path());
  const std::string written = to_yaml(config);
  const HostileFile again(std::as_bytes(std::span(written)));
  if (load_train_config(again.path()) != config) {
    throw std::logic_error("a configuration is another one when it is written and read:\n" +
                           written);
  }
}
