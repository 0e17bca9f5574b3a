#include <span>
#include <stdexcept>
#include <vector>

#include "host/files/checked_tensors.h"
#include "host/training/training_state.h"
#include "tests/fuzz/hostile_input.h"
#include "tests/fuzz/small_state.h"
#include "tests/support/temporary_folder.h"

namespace ebm {
namespace {

/// Writes what a file holds, under a digest that is right, whatever the file's was: it keeps damage
/// from going any further.
void write_with_digest(const std::filesystem::path& path, const TensorFile& content) {
  TensorMetadata metadata = content.metadata;
  metadata.erase("xxh3_128");
  std::vector<TensorView> tensors;
  for (const Tensor& tensor : content.tensors) {
    tensors.push_back({tensor.name, tensor.shape, tensor.values});
  }
  write_checked_tensors(path, tensors, metadata);
}

/// Throws unless the state is the same when it is written and read.
void require_round_trip(const TemporaryFolder& folder, const TrainingState& state) {
  save_state(folder / "first", state);
  TrainingState again = small_state();
  load_state(folder / "first", again);
  save_state(folder / "second", again);
  if (read_bytes(folder / "first") != read_bytes(folder / "second")) {
    throw std::logic_error("a state is another one when it is written and read");
  }
}

}  // namespace

void read_hostile(std::span<const std::byte> bytes) {
  const HostileFile file(bytes);
  const TensorFile content = read_safetensors(file.path());
  const TemporaryFolder folder;
  write_with_digest(folder / "mended", content);
  TrainingState state = small_state();
  if (content.find("theta") == nullptr) {
    LongRun run = small_long_run();
    load_long_run(folder / "mended", state, run);
  } else {
    load_state(folder / "mended", state);
    require_round_trip(folder, state);
  }
}

}  // namespace ebm
