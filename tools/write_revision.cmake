# Writes OUTPUT, the definition of revision() (host/training/revision.h), when it would change.
# usage: cmake -DSOURCE=... -DOUTPUT=... -P write_revision.cmake
execute_process(COMMAND git describe --always --dirty --abbrev=12
  WORKING_DIRECTORY ${SOURCE} OUTPUT_VARIABLE revision RESULT_VARIABLE status
  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT status EQUAL 0)
  set(revision unknown)
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT [[
#include "host/training/revision.h"

const char* ebm::revision() { return "@revision@"; }
]] @ONLY)
