#include "tests/fuzz/corpus.h"

const char* const ebm::kCorpus = EBM_CORPUS;
