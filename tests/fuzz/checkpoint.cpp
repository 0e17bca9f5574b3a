#include "host/training/checkpoint.h"

#include "tests/fuzz/hostile_input.h"

void ebm::read_hostile(std::span<const std::byte> bytes) {
  load_checkpoint(HostileFile(bytes).path(), {});
}
