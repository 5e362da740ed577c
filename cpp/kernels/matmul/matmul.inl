// Float32 matrix product over packed panels, written once over Vec; included by one file for each instruction set,
// which sets tile_rows and tile_vectors so that the accumulators and one panel row fill the register file.
//
// A tile of C (tile_rows x tile_vectors * width) stays in registers over all of k: each step loads one panel row and
// broadcasts one element of each row of A, so loads : FMA = (tile_vectors + tile_rows) : (tile_vectors * tile_rows).
// Error of an element: k * eps * sum |a b|, as for a plain loop.

namespace {

constexpr std::size_t panel_width = tile_vectors * Vec::width;

/// C[rows x panel_width] = A B + bias for one panel; `columns` of the panel are written.
template <std::size_t rows>
inline void tile(const float* a, std::size_t a_stride, const float* panel, std::size_t k, const float* bias, float* c,
                 std::size_t c_stride, std::size_t columns) {
  Vec sums[rows][tile_vectors];
#pragma GCC unroll 16
  for (std::size_t r = 0; r < rows; ++r)
#pragma GCC unroll 4
    for (std::size_t v = 0; v < tile_vectors; ++v) sums[r][v] = Vec::zero();
  for (std::size_t i = 0; i < k; ++i, panel += panel_width) {
    Vec b[tile_vectors];
#pragma GCC unroll 4
    for (std::size_t v = 0; v < tile_vectors; ++v) b[v] = Vec::load(panel + v * Vec::width);
#pragma GCC unroll 16
    for (std::size_t r = 0; r < rows; ++r) {
      const Vec x = Vec::set(a[r * a_stride + i]);
#pragma GCC unroll 4
      for (std::size_t v = 0; v < tile_vectors; ++v) sums[r][v] = fma(x, b[v], sums[r][v]);
    }
  }
#pragma GCC unroll 16
  for (std::size_t r = 0; r < rows; ++r)
#pragma GCC unroll 4
    for (std::size_t v = 0; v < tile_vectors; ++v) {
      const std::size_t first = v * Vec::width;
      if (first >= columns) break;
      const std::size_t count = columns - first < Vec::width ? columns - first : Vec::width;
      const Vec offset = bias ? Vec::load_first(bias + first, count) : Vec::zero();
      (sums[r][v] + offset).store_first(c + r * c_stride + first, count);
    }
}

/// The last rows of A, fewer than tile_rows.
template <std::size_t rows>
inline void remaining_rows(std::size_t m, const float* a, std::size_t a_stride, const float* panel, std::size_t k,
                           const float* bias, float* c, std::size_t c_stride, std::size_t columns) {
  if constexpr (rows > 0) {
    if (m == rows) return tile<rows>(a, a_stride, panel, k, bias, c, c_stride, columns);
    remaining_rows<rows - 1>(m, a, a_stride, panel, k, bias, c, c_stride, columns);
  }
}

void multiply(const float* a, std::size_t a_stride, std::size_t m, const float* packed, std::size_t k, std::size_t n,
              const float* bias, float* c, std::size_t c_stride) {
  for (std::size_t j = 0; j < n; j += panel_width, packed += k * panel_width) {
    const std::size_t columns = n - j < panel_width ? n - j : panel_width;
    const float* panel_bias = bias ? bias + j : nullptr;
    std::size_t i = 0;
    for (; i + tile_rows <= m; i += tile_rows)
      tile<tile_rows>(a + i * a_stride, a_stride, packed, k, panel_bias, c + i * c_stride + j, c_stride, columns);
    remaining_rows<tile_rows - 1>(m - i, a + i * a_stride, a_stride, packed, k, panel_bias, c + i * c_stride + j,
                                  c_stride, columns);
  }
}

void pack_transposed(const float* b, std::size_t stride, std::size_t n, std::size_t k, float* packed) {
  constexpr std::size_t block = 16;  // columns of k a pass: one cache line of each of the panel's rows of B
  for (std::size_t j = 0; j < n; j += panel_width, packed += k * panel_width) {
    const std::size_t columns = n - j < panel_width ? n - j : panel_width;
    for (std::size_t i = 0; i < k; i += block) {
      const std::size_t last = i + block < k ? i + block : k;
      for (std::size_t column = 0; column < panel_width; ++column)
        for (std::size_t l = i; l < last; ++l)
          packed[l * panel_width + column] = column < columns ? b[(j + column) * stride + l] : 0.0F;
    }
  }
}

void pack(const float* b, std::size_t stride, std::size_t k, std::size_t n, float* packed) {
  for (std::size_t j = 0; j < n; j += panel_width) {
    const std::size_t columns = n - j < panel_width ? n - j : panel_width;
    for (std::size_t l = 0; l < k; ++l, packed += panel_width)
      for (std::size_t column = 0; column < panel_width; ++column)
        packed[column] = column < columns ? b[l * stride + j + column] : 0.0F;
  }
}

}  // namespace
