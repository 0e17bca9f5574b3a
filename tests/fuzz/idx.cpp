#include "host/data/idx.h"

#include "tests/fuzz/hostile_input.h"

void ebm::read_hostile(std::span<const std::byte> bytes) {
  read_idx_images(HostileFile(bytes).path());
}
