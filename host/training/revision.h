// The source revision this program was built from; revision.cpp is written by the build.
#pragma once

namespace ebm {

/// `git describe` of the source at build time, "-dirty" with local changes; "unknown" without git.
const char* revision();

}  // namespace ebm
