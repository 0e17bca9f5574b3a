#include "host/files/npy.h"

#include "tests/fuzz/hostile_input.h"

void ebm::read_hostile(std::span<const std::byte> bytes) {
  read_npy_or_levels(HostileFile(bytes).path());
}
