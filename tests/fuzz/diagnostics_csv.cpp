#include "host/output/diagnostics_csv.h"

#include "tests/fuzz/hostile_input.h"

void ebm::read_hostile(std::span<const std::byte> bytes) {
  read_diagnostics(HostileFile(bytes).path());
}
