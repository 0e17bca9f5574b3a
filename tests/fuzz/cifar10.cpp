#include "host/data/cifar10.h"

#include <fmt/format.h>

#include "tests/fuzz/hostile_input.h"
#include "tests/support/temporary_folder.h"

void ebm::read_hostile(std::span<const std::byte> bytes) {
  const HostileFile file(bytes);
  const TemporaryFolder folder;
  for (int i = 1; i <= 5; ++i) {
    std::filesystem::create_symlink(file.path(), folder / fmt::format("data_batch_{}.bin", i));
  }
  load_cifar10(folder.path(), 32, 1);
}
