// What ebm_evaluate leaves, as a report reads it.
#include "host/files/json_file.h"
#include "host/output/report_evaluation.h"
#include "tests/fuzz/hostile_input.h"

void ebm::read_hostile(std::span<const std::byte> bytes) {
  const nlohmann::ordered_json evaluation = read_json_object(HostileFile(bytes).path());
  ReportPictures no_pictures(1, 0);
  verdict_section(evaluation);
  evaluation_section(evaluation, "", no_pictures);
}
