#include "host/data/image_archive.h"

#include "tests/fuzz/hostile_input.h"

void ebm::read_hostile(std::span<const std::byte> bytes) {
  read_image_archive(bytes, "hostile.tgz");
}
