// Matrix product over packed panels, written once over a number format; included by one file for each instruction set,
// which sets tile_rows and tile_vectors so that the accumulators and one panel row fill the register file.
//
// A tile of C (tile_rows x tile_vectors * width) stays in registers over all of k: each step loads one panel row and
// broadcasts one lane of each row of A, so loads : multiplications = (tile_vectors + tile_rows) : (tile_vectors *
// tile_rows). A lane is 32 bits: one float, two bfloat16 or four int8, along k.
//
// A format is a struct with
//   Element, group           what a panel is made of, and how many elements of k share a lane
//   k_unit                   rows and panels are padded with zeros to a multiple of this many elements of k
//   Lanes, Sum               a vector of lanes and a vector of sums
//   broadcast, load          one lane of A for all columns; a vector of lanes of a panel
//   multiply_add             Sum += Lanes * Lanes, group by group
//   rows_a_tile              rows of a tile: tile_rows, or fewer where a Sum takes more than one register
//   settled_k, settle        0; or after how many elements of k narrow sums are widened, before they may overflow
//   Columns                  what is known of a panel's columns (their scale): measure, encode, and finish, which turns
//                            a Sum into floats
//   row_tail_bytes, convert  what follows the elements of a row of A, and how a row is written
//   row_step, column_step    as in MatmulKernels
#include <cstddef>
#include <cstdint>

#include "kernels/table.hpp"

namespace {

constexpr std::size_t panel_width = tile_vectors * Vec::width;

inline std::size_t rounded_up(std::size_t n, std::size_t unit) { return (n + unit - 1) / unit * unit; }

using revector::kernels::Addend;

/// What is added to one tile; n is the distance of the rows of `right`.
struct TileAddend {
  TileAddend(const Addend& of, std::size_t i, std::size_t j, std::size_t n)
      : bias(of.bias ? of.bias + j : nullptr),
        left(of.left + (of.terms > 0 ? i * of.terms : 0)),
        right(of.right + (of.terms > 0 ? j : 0)),
        terms(of.terms),
        n(n) {}
  const float *bias, *left, *right;
  std::size_t terms, n;
};

template <class Format>
struct Panels {
  using Element = typename Format::Element;
  using Columns = typename Format::Columns;

  static std::size_t row_bytes(std::size_t k) {
    return rounded_up(k, Format::k_unit) * sizeof(Element) + Format::row_tail_bytes;
  }
  static std::size_t panel_bytes(std::size_t k) {
    return rounded_up(k, Format::k_unit) * panel_width * sizeof(Element) + sizeof(Columns) * Format::has_columns;
  }
  static std::size_t packed_bytes(std::size_t k, std::size_t n) {
    return rounded_up(n, panel_width) / panel_width * panel_bytes(k);
  }

  /// at(l, column) is the element of B in row l of the panel's column.
  template <class At>
  static void pack_panel(std::size_t k, std::size_t columns, At at, void* memory) {
    constexpr std::size_t block = 16;  // of k a pass: one cache line of each of the panel's rows of a transposed B
    auto* panel = static_cast<Element*>(memory);
    const std::size_t padded = rounded_up(k, Format::k_unit);
    Columns found;
    for (std::size_t column = 0; column < columns; ++column)
      found.measure(column, k, [&](std::size_t l) { return at(l, column); });
    for (std::size_t i = 0; i < padded; i += block)
      for (std::size_t column = 0; column < panel_width; ++column)
        for (std::size_t l = i; l < padded && l < i + block; ++l) {
          const std::size_t place = (l / Format::group * panel_width + column) * Format::group + l % Format::group;
          panel[place] = l < k && column < columns ? found.encode(column, at(l, column)) : Element{};
        }
    if constexpr (Format::has_columns) *reinterpret_cast<Columns*>(panel + padded * panel_width) = found;
  }

  static void pack_transposed(const float* b, std::size_t stride, std::size_t n, std::size_t k, void* packed) {
    for (std::size_t j = 0; j < n; j += panel_width, packed = static_cast<char*>(packed) + panel_bytes(k))
      pack_panel(
          k, n - j < panel_width ? n - j : panel_width,
          [&](std::size_t l, std::size_t column) { return b[(j + column) * stride + l]; }, packed);
  }

  static void pack(const float* b, std::size_t stride, std::size_t k, std::size_t n, void* packed) {
    for (std::size_t j = 0; j < n; j += panel_width, packed = static_cast<char*>(packed) + panel_bytes(k))
      pack_panel(
          k, n - j < panel_width ? n - j : panel_width,
          [&](std::size_t l, std::size_t column) { return b[l * stride + j + column]; }, packed);
  }

  /// C[rows x panel_width] = A B + addend for one panel; `columns` of the panel are written.
  template <std::size_t rows>
  static inline void tile(const char* a, std::size_t a_stride, const Element* panel, std::size_t padded,
                          const TileAddend& addend, float* c, std::size_t c_stride, std::size_t columns) {
    typename Format::Sum sums[rows][tile_vectors];
#pragma GCC unroll 16
    for (std::size_t r = 0; r < rows; ++r)
#pragma GCC unroll 4
      for (std::size_t v = 0; v < tile_vectors; ++v) sums[r][v] = Format::zero();
    const auto step = [&](std::size_t i) __attribute__((always_inline)) {
      const Element* b = panel + i * panel_width;
      typename Format::Lanes right[tile_vectors];
#pragma GCC unroll 4
      for (std::size_t v = 0; v < tile_vectors; ++v) right[v] = Format::load(b + v * Vec::width * Format::group);
#pragma GCC unroll 16
      for (std::size_t r = 0; r < rows; ++r) {
        const typename Format::Lanes left = Format::broadcast(reinterpret_cast<const Element*>(a + r * a_stride) + i);
#pragma GCC unroll 4
        for (std::size_t v = 0; v < tile_vectors; ++v) sums[r][v] = Format::multiply_add(left, right[v], sums[r][v]);
      }
    };
    if constexpr (Format::settled_k == 0) {
      for (std::size_t i = 0; i < padded; i += Format::group) step(i);
    } else {
      static_assert(Format::k_unit % Format::settled_k == 0);
      for (std::size_t i = 0; i < padded; i += Format::settled_k) {
#pragma GCC unroll 8
        for (std::size_t j = 0; j < Format::settled_k; j += Format::group) step(i + j);
#pragma GCC unroll 16
        for (std::size_t r = 0; r < rows; ++r)
#pragma GCC unroll 4
          for (std::size_t v = 0; v < tile_vectors; ++v) sums[r][v] = Format::settle(sums[r][v]);
      }
    }
    const char* row_tails = a + padded * sizeof(Element);
#pragma GCC unroll 4
    for (std::size_t v = 0; v < tile_vectors; ++v) {
      const std::size_t first = v * Vec::width;
      if (first >= columns) break;
      const std::size_t count = columns - first < Vec::width ? columns - first : Vec::width;
      const Vec bias = addend.bias ? Vec::load_first(addend.bias + first, count) : Vec::zero();
      Vec values[rows];
#pragma GCC unroll 16
      for (std::size_t r = 0; r < rows; ++r)
        values[r] = Columns::finish(sums[r][v], row_tails + r * a_stride, panel + padded * panel_width, first) + bias;
      for (std::size_t t = 0; t < addend.terms; ++t) {
        const Vec right = Vec::load_first(addend.right + t * addend.n + first, count);
#pragma GCC unroll 16
        for (std::size_t r = 0; r < rows; ++r)
          values[r] = fma(Vec::set(addend.left[r * addend.terms + t]), right, values[r]);
      }
#pragma GCC unroll 16
      for (std::size_t r = 0; r < rows; ++r) values[r].store_first(c + r * c_stride + first, count);
    }
  }

  /// The last rows of A, fewer than rows_a_tile.
  template <std::size_t rows>
  static inline void remaining_rows(std::size_t m, const char* a, std::size_t a_stride, const Element* panel,
                                    std::size_t padded, const TileAddend& addend, float* c, std::size_t c_stride,
                                    std::size_t columns) {
    if constexpr (rows > 0) {
      if (m == rows) return tile<rows>(a, a_stride, panel, padded, addend, c, c_stride, columns);
      remaining_rows<rows - 1>(m, a, a_stride, panel, padded, addend, c, c_stride, columns);
    }
  }

  static void multiply(const void* a, std::size_t a_stride, std::size_t m, const void* packed, std::size_t k,
                       std::size_t n, const Addend& addend, float* c, std::size_t c_stride) {
    const auto* rows = static_cast<const char*>(a);
    const auto* panel = static_cast<const char*>(packed);
    const std::size_t padded = rounded_up(k, Format::k_unit);
    for (std::size_t j = 0; j < n; j += panel_width, panel += panel_bytes(k)) {
      const std::size_t columns = n - j < panel_width ? n - j : panel_width;
      const auto* elements = reinterpret_cast<const Element*>(panel);
      std::size_t i = 0;
      for (; i + Format::rows_a_tile <= m; i += Format::rows_a_tile)
        tile<Format::rows_a_tile>(rows + i * a_stride, a_stride, elements, padded, {addend, i, j, n},
                                  c + i * c_stride + j, c_stride, columns);
      remaining_rows<Format::rows_a_tile - 1>(m - i, rows + i * a_stride, a_stride, elements, padded, {addend, i, j, n},
                                              c + i * c_stride + j, c_stride, columns);
    }
  }
};

/// The kernels of a format, for a table; packed as Packing does.
#define REVECTOR_MATMUL(Format, Packing)                \
  {.panel_width = panel_width,                          \
   .row_block = 1,                                      \
   .row_bytes = Panels<Format>::row_bytes,              \
   .packed_bytes = Panels<Format>::packed_bytes,        \
   .convert = Format::convert,                          \
   .row_step = Format::row_step,                        \
   .column_step = Format::column_step,                  \
   .pack_transposed = Packing<Format>::pack_transposed, \
   .pack = Packing<Format>::pack,                       \
   .multiply = Panels<Format>::multiply}

}  // namespace
