// Products on AMX tiles: 16 rows of 64 bytes, so 16 x 16 sums over 32 bfloat16 or 64 int8 of k at a time.
//
// Panels are those of AVX-512 (a row of a panel is 32 columns of one lane each): a tile takes 16 panel rows of one half
// of the columns. A step loads two tiles of A and two of B and multiplies each with each, which is what eight tile
// registers allow (4 sums + 2 + 2); loads : multiplications = 4 : 4.
#include "kernels/vec/avx512.hpp"
#include "kernels/vec/tiles.hpp"

namespace {
constexpr std::size_t tile_rows = 12;  // of panels.inl, whose packing is used and whose multiplication is not
constexpr std::size_t tile_vectors = 2;
constexpr std::size_t integer_k_unit = 64;
constexpr std::size_t pair_k_unit = 32;
}  // namespace
// after the vector type and the tile's shape
#include "kernels/matmul/panels.inl"
// after the panels
#include "kernels/matmul/avx512_integers.inl"
#include "kernels/matmul/avx512_packing.inl"
#include "kernels/matmul/float_formats.inl"
// after the formats and lanes above
#include "kernels/matmul/bfloat16_pairs.inl"
#include "kernels/matmul/int8_format.inl"
#include "kernels/table.hpp"

namespace {

constexpr std::size_t rows_of_tile = 16;
constexpr std::size_t panel_row_bytes = panel_width * 4;
constexpr std::size_t step_bytes = rows_of_tile * panel_row_bytes;  // of a panel

struct Bfloat16Tiles : Bfloat16Pairs {
  static constexpr bool integers = false;
  static Sum load_sums(const void* p) { return {_mm512_load_ps(p)}; }
};
struct Int8Tiles : Int8 {
  static constexpr bool integers = true;
  static Sum load_sums(const void* p) { return _mm512_load_si512(p); }
};

#define REVECTOR_TILE_DOT(sum, a, b) \
  if constexpr (Format::integers) {  \
    _tile_dpbusd(sum, a, b);         \
  } else {                           \
    _tile_dpbf16ps(sum, a, b);       \
  }

/// sums[32][32] = rows of A times a panel; the lower half only where both is set.
template <class Format, bool both>
inline void multiply_tiles(const char* a, std::size_t a_stride, const char* panel, std::size_t steps, void* sums) {
  tiles_reach_memory();
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (std::size_t step = 0; step < steps; ++step, a += 64, panel += step_bytes) {
    _tile_loadd(4, a, a_stride);
    _tile_loadd(6, panel, panel_row_bytes);
    REVECTOR_TILE_DOT(0, 4, 6)
    _tile_loadd(7, panel + 64, panel_row_bytes);
    REVECTOR_TILE_DOT(1, 4, 7)
    if constexpr (both) {
      _tile_loadd(5, a + rows_of_tile * a_stride, a_stride);
      REVECTOR_TILE_DOT(2, 5, 6)
      REVECTOR_TILE_DOT(3, 5, 7)
    }
  }
  auto* out = static_cast<char*>(sums);
  _tile_stored(0, out, panel_row_bytes);
  _tile_stored(1, out + 64, panel_row_bytes);
  if constexpr (both) {
    _tile_stored(2, out + rows_of_tile * panel_row_bytes, panel_row_bytes);
    _tile_stored(3, out + rows_of_tile * panel_row_bytes + 64, panel_row_bytes);
  }
  tiles_reach_memory();
}

/// c = the sums as floats, scaled as the format asks, plus the addend.
template <class Format>
inline void finish_tiles(const char* sums, const char* a, std::size_t a_stride, std::size_t row_elements_bytes,
                         const void* columns_known, const TileAddend& addend, float* c, std::size_t c_stride,
                         std::size_t rows, std::size_t columns) {
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t first = 0; first < columns; first += Vec::width) {
      const std::size_t count = columns - first < Vec::width ? columns - first : Vec::width;
      const auto sum = Format::load_sums(sums + r * panel_row_bytes + first * 4);
      Vec value = Format::Columns::finish(sum, a + r * a_stride + row_elements_bytes, columns_known, first);
      if (addend.bias) value = value + Vec::load_first(addend.bias + first, count);
      for (std::size_t t = 0; t < addend.terms; ++t)
        value = fma(Vec::set(addend.left[r * addend.terms + t]),
                    Vec::load_first(addend.right + t * addend.n + first, count), value);
      value.store_first(c + r * c_stride + first, count);
    }
}

template <class Format>
void multiply(const void* a, std::size_t a_stride, std::size_t m, const void* packed, std::size_t k, std::size_t n,
              const Addend& addend, float* c, std::size_t c_stride) {
  const TileScope tiles;
  alignas(64) char sums[2 * rows_of_tile * panel_row_bytes];
  const auto* panel = static_cast<const char*>(packed);
  const std::size_t elements_bytes = rounded_up(k, Format::k_unit) * sizeof(typename Format::Element);
  for (std::size_t j = 0; j < n; j += panel_width, panel += Panels<Format>::panel_bytes(k))
    for (std::size_t i = 0; i < m; i += 2 * rows_of_tile) {
      const char* rows = static_cast<const char*>(a) + i * a_stride;
      const std::size_t n_rows = m - i < 2 * rows_of_tile ? m - i : 2 * rows_of_tile;
      if (n_rows > rows_of_tile)
        multiply_tiles<Format, true>(rows, a_stride, panel, elements_bytes / 64, sums);
      else
        multiply_tiles<Format, false>(rows, a_stride, panel, elements_bytes / 64, sums);
      finish_tiles<Format>(sums, rows, a_stride, elements_bytes, panel + elements_bytes * panel_width,
                           {addend, i, j, n}, c + i * c_stride + j, c_stride, n_rows,
                           n - j < panel_width ? n - j : panel_width);
    }
}

template <class Format, class Packing>
constexpr revector::kernels::MatmulKernels kernels_of = {
    .panel_width = panel_width,
    .row_block = rows_of_tile,
    .row_bytes = Panels<Format>::row_bytes,
    .packed_bytes = Panels<Format>::packed_bytes,
    .convert = Format::convert,
    .row_step = Format::row_step,
    .column_step = Format::column_step,
    .pack_transposed = Packing::pack_transposed,
    .pack = Packing::pack,
    .multiply = multiply<Format>,
};

}  // namespace

namespace revector::kernels {
extern const MatmulKernels bfloat16_amx = kernels_of<Bfloat16Tiles, LanePacking<Bfloat16Tiles>>;
extern const MatmulKernels int8_amx = kernels_of<Int8Tiles, Panels<Int8Tiles>>;
}  // namespace revector::kernels
