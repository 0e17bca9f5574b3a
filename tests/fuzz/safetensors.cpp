#include "host/files/safetensors.h"

#include "tests/fuzz/hostile_input.h"

void ebm::read_hostile(std::span<const std::byte> bytes) {
  read_safetensors(HostileFile(bytes).path());
}
