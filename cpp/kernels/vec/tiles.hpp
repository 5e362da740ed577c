/// @file
/// The tile registers of AMX. The test of the tile kernels puts an emulation in the place of this header, so that they
/// run on every machine with AVX-512; hence the include guard, which it defines.
#ifndef REVECTOR_KERNELS_VEC_TILES_HPP
#define REVECTOR_KERNELS_VEC_TILES_HPP

#include <immintrin.h>

#include <cstdint>

namespace {

/// What ldtilecfg reads: every one of the eight tiles has 16 rows of 64 bytes.
struct alignas(64) TileShapes {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// gcc 12 declares neither the shapes nor the operands as read: without a barrier it may drop the stores before.
inline void tiles_reach_memory() { __asm__ volatile("" ::: "memory"); }

/// The tiles of this thread, from now to the end of the scope. Releasing them keeps context switches cheap.
struct TileScope {
  TileScope() {
    static constexpr TileShapes shapes;
    tiles_reach_memory();
    _tile_loadconfig(&shapes);
  }
  ~TileScope() { _tile_release(); }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;
};

}  // namespace

#endif
