// The one thing that differs between the tests of hostile input but for the reader.
#pragma once

namespace ebm {

extern const char* const kCorpus;  ///< the folder of the target's seeds

}  // namespace ebm
