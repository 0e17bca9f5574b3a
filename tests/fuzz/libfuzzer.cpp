// Runs a target under libFuzzer: https://llvm.org/docs/LibFuzzer.html
#include <cstdint>

#include "cuda/base/errors.h"
#include "tests/fuzz/hostile_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    ebm::read_hostile(std::as_bytes(std::span(data, size)));
  } catch (const ebm::ConfigurationError&) {
  } catch (const ebm::InputFileError&) {
  }
  return 0;
}
