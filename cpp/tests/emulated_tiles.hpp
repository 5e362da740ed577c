/// @file
/// The tile registers of AMX in plain C++, as the Software Developer's Manual defines the instructions: put before
/// kernels/matmul/amx.cpp (by -include) in the place of kernels/vec/tiles.hpp, so that the tile kernels' packing, tails
/// and scaling are tested on machines without AMX. Internal linkage: the object is linked beside the true kernels.
#ifndef REVECTOR_KERNELS_VEC_TILES_HPP
#define REVECTOR_KERNELS_VEC_TILES_HPP

#include <immintrin.h>

#include <cmath>
#include <cstdint>
#include <cstring>

namespace {

struct EmulatedTile {
  unsigned char row[16][64];
};

thread_local EmulatedTile emulated_tiles[8];
thread_local bool tiles_configured = false;

inline void tiles_reach_memory() {}

struct TileScope {
  TileScope() { tiles_configured = true; }
  ~TileScope() { tiles_configured = false; }
};

inline EmulatedTile& tile_register(int i) {
  if (!tiles_configured) __builtin_trap();  // as the instruction would fault
  return emulated_tiles[i];
}

inline void emulated_load(int to, const void* from, std::size_t stride) {
  for (std::size_t r = 0; r < 16; ++r)
    std::memcpy(tile_register(to).row[r], static_cast<const char*>(from) + r * stride, 64);
}

inline void emulated_store(int from, void* to, std::size_t stride) {
  for (std::size_t r = 0; r < 16; ++r) std::memcpy(static_cast<char*>(to) + r * stride, tile_register(from).row[r], 64);
}

template <class T>
inline T lane_of(const EmulatedTile& tile, std::size_t row, std::size_t i) {
  T value;
  std::memcpy(&value, tile.row[row] + i * sizeof(T), sizeof(T));
  return value;
}

template <class Sum, class A, class B, class Multiply>
inline void emulated_dot(int sum, int a, int b, Multiply multiply) {
  EmulatedTile &c = tile_register(sum), &left = tile_register(a), &right = tile_register(b);
  constexpr std::size_t group = 4 / sizeof(A);
  for (std::size_t m = 0; m < 16; ++m)
    for (std::size_t n = 0; n < 16; ++n) {
      Sum total = lane_of<Sum>(c, m, n);
      for (std::size_t k = 0; k < 16; ++k)
        for (std::size_t g = 0; g < group; ++g)
          total += multiply(lane_of<A>(left, m, k * group + g), lane_of<B>(right, k, n * group + g));
      std::memcpy(c.row[m] + n * sizeof(Sum), &total, sizeof(Sum));
    }
}

inline float widened(std::uint16_t bits) {
  const std::uint32_t wide = static_cast<std::uint32_t>(bits) << 16U;
  float value;
  std::memcpy(&value, &wide, sizeof(value));
  return value;
}

}  // namespace

#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbf16ps
#undef _tile_dpbusd
#define _tile_zero(i) \
  tile_register(i) = EmulatedTile {}
#define _tile_loadd(to, from, stride) emulated_load(to, from, stride)
#define _tile_stored(from, to, stride) emulated_store(from, to, stride)
#define _tile_dpbf16ps(sum, a, b)                    \
  emulated_dot<float, std::uint16_t, std::uint16_t>( \
      sum, a, b, [](std::uint16_t x, std::uint16_t y) { return widened(x) * widened(y); })
#define _tile_dpbusd(sum, a, b)                          \
  emulated_dot<std::int32_t, std::uint8_t, std::int8_t>( \
      sum, a, b, [](std::uint8_t x, std::int8_t y) { return std::int32_t{x} * y; })

#endif
