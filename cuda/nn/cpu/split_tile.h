// Tiles of images that need not be full: a few chains are computed one at a time.
#pragma once

#include <memory>

#include "cuda/nn/cpu/tile_energy.h"

namespace ebm {

/// One thread's executor of the same network twice: `whole` for full tiles, `single`, of capacity
/// 1, for each chain of the others, which would cost `whole` as much as a full tile. Weight
/// gradients are always the whole tile's.
std::unique_ptr<TileEnergy> make_split_tile(std::unique_ptr<TileEnergy> whole,
                                            std::unique_ptr<TileEnergy> single);

}  // namespace ebm
