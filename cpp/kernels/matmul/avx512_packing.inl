// Packing by whole registers, for formats of floats; after panels.inl and vec/avx512.hpp. Attention packs the keys and
// values of every text, so here packing is part of the product's time. A format adds
//   along_k(row, count)              16 lanes of consecutive elements of one row, zero beyond count
//   across_k(rows, stride, n, count) the first lanes of 16 columns: `group` rows of them, zero beyond n rows
#include <cstddef>

namespace {

/// rows[i] lane j <-> rows[j] lane i
inline void transpose_lanes(__m512i (&rows)[16]) {
  __m512i pairs[16], quads[16];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    pairs[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
    pairs[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i)
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      quads[4 * i + 2 * half] = _mm512_unpacklo_epi64(pairs[4 * i + half], pairs[4 * i + 2 + half]);
      quads[4 * i + 2 * half + 1] = _mm512_unpackhi_epi64(pairs[4 * i + half], pairs[4 * i + 2 + half]);
    }
  // quads[4 i + c] holds lane 4 q + c of rows 4 i .. 4 i + 3 in its quarter q: what is left is a 4 x 4 transpose of
  // quarters.
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const __m512i even_low = _mm512_shuffle_i32x4(quads[c], quads[4 + c], 0x88);
    const __m512i odd_low = _mm512_shuffle_i32x4(quads[c], quads[4 + c], 0xDD);
    const __m512i even_high = _mm512_shuffle_i32x4(quads[8 + c], quads[12 + c], 0x88);
    const __m512i odd_high = _mm512_shuffle_i32x4(quads[8 + c], quads[12 + c], 0xDD);
    rows[c] = _mm512_shuffle_i32x4(even_low, even_high, 0x88);
    rows[4 + c] = _mm512_shuffle_i32x4(odd_low, odd_high, 0x88);
    rows[8 + c] = _mm512_shuffle_i32x4(even_low, even_high, 0xDD);
    rows[12 + c] = _mm512_shuffle_i32x4(odd_low, odd_high, 0xDD);
  }
}

template <class Format>
struct LanePacking {
  static constexpr std::size_t lanes = Vec::width;

  static std::size_t at_most(std::size_t n, std::size_t limit) { return n < limit ? n : limit; }

  /// One register's width of a panel: `columns` rows of a transposed B.
  static void pack_columns(const float* b, std::size_t stride, std::size_t columns, std::size_t k, char* panel) {
    const std::size_t depth = rounded_up(k, Format::k_unit) / Format::group;  // lanes along k
    for (std::size_t l = 0; l < depth; l += lanes) {
      const std::size_t first = l * Format::group;
      const std::size_t count = first < k ? at_most(k - first, lanes * Format::group) : 0;
      __m512i rows[lanes];
      for (std::size_t c = 0; c < lanes; ++c)
        rows[c] = c < columns ? Format::along_k(b + c * stride + first, count) : _mm512_setzero_si512();
      transpose_lanes(rows);
      for (std::size_t i = 0; i < at_most(depth - l, lanes); ++i)
        _mm512_storeu_si512(panel + (l + i) * panel_width * 4, rows[i]);
    }
  }

  static void pack_transposed(const float* b, std::size_t stride, std::size_t n, std::size_t k, void* packed) {
    auto* panel = static_cast<char*>(packed);
    for (std::size_t j = 0; j < n; j += panel_width, panel += Panels<Format>::panel_bytes(k))
      for (std::size_t v = 0; v < panel_width; v += lanes)
        pack_columns(b + (j + v) * stride, stride, j + v < n ? at_most(n - j - v, lanes) : 0, k, panel + v * 4);
  }

  static void pack(const float* b, std::size_t stride, std::size_t k, std::size_t n, void* packed) {
    auto* panel = static_cast<char*>(packed);
    const std::size_t depth = rounded_up(k, Format::k_unit) / Format::group;
    for (std::size_t j = 0; j < n; j += panel_width)
      for (std::size_t l = 0; l < depth; ++l, panel += panel_width * 4) {
        const std::size_t first = l * Format::group, rows = first < k ? k - first : 0;
        for (std::size_t v = 0; v < panel_width; v += lanes) {
          const std::size_t columns = j + v < n ? at_most(n - j - v, lanes) : 0;
          _mm512_storeu_si512(panel + v * 4, Format::across_k(b + first * stride + j + v, stride, rows, columns));
        }
      }
  }
};

}  // namespace
