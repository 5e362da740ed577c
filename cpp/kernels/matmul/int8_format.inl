// Integer products; after panels.inl and lanes of the instruction set, which give
//   most_row, most_column        the largest integers of A and of B; 255 and 127 for int8
//   Element, group, k_unit, Lanes, Sum, zero, broadcast, load, multiply_add (exact: no product or sum may saturate)
//   to_float(Sum)                the sums as floats
//   subtract(Sum, int, load)     Sum - factor * a vector of 32-bit integers
//
// A row of A becomes x = s (q - z) with q in 0..most_row: a scale s and a zero point z for each row, so that a row
// whose values lie mostly on one side (behind GELU) keeps all its bits. A column of B becomes w = t v with |v| <=
// most_column. Then sum x w = s t (sum q v - z sum v), and sum v is known when B is packed. The integers are exact, so
// every instruction set gives the same sums of int8; |sum| <= 255 * 127 * k fits 32 bits up to k = 66,311 (PackedMatrix
// refuses longer ones). Error of an element: |x| gains at most s / 2, |w| at most t / 2.
#include "kernels/vec/extremes.inl"

namespace {

struct RowTail {
  float scale;
  std::int32_t zero;
};

template <class IntegerLanes>
struct Integers : IntegerLanes {
  using Element = typename IntegerLanes::Element;
  using Sum = typename IntegerLanes::Sum;
  static constexpr bool has_columns = true;
  static constexpr std::size_t row_tail_bytes = 64;  // so that rows keep their alignment

  struct Columns {
    float scale[panel_width] = {};
    std::int32_t sum[panel_width] = {};

    template <class At>
    void measure(std::size_t column, std::size_t k, At at) {
      float largest = 0;
      for (std::size_t l = 0; l < k; ++l) {
        const float size = __builtin_fabsf(at(l));
        if (size > largest || size != size) largest = size;  // nothing is greater than a NaN, so it stays
      }
      scale[column] = column_step(-largest, largest);
    }
    Element encode(std::size_t column, float x) {
      const float factor = scale[column] > 0 ? 1 / scale[column] : 0;
      const float value = __builtin_rintf(x * factor);
      const int whole = value >= -most_column && value <= most_column ? static_cast<int>(value) : 0;
      sum[column] += whole;
      return static_cast<Element>(whole);
    }
    static Vec finish(Sum sums, const void* row_tail, const void* columns, std::size_t first) {
      const auto* row = static_cast<const RowTail*>(row_tail);
      const auto* known = static_cast<const Columns*>(columns);
      const Vec exact = IntegerLanes::to_float(IntegerLanes::subtract(sums, row->zero, known->sum + first));
      return exact * (Vec::set(row->scale) * Vec::load(known->scale + first));
    }
  };

  static float row_step(float lowest, float highest) { return (highest - lowest) / most_row; }
  static float column_step(float lowest, float highest) {
    return (highest > -lowest ? highest : -lowest) / most_column;
  }

  static void convert(const float* x, std::size_t k, void* row) {
    const Extremes found = extremes_of(x, k);
    const float scale = row_step(found.lowest, found.highest);
    const float factor = scale > 0 ? 1 / scale : 0;
    const float zero = __builtin_rintf(-found.lowest * factor);
    auto* out = static_cast<Element*>(row);
    const std::size_t padded = rounded_up(k, IntegerLanes::k_unit);
    store_bytes(x, k, factor, zero, out);
    for (std::size_t i = k; i < padded; ++i) out[i] = 0;
    const bool sound = zero >= 0 && zero <= most_row;  // else the scale is NaN, and so will the product be
    *reinterpret_cast<RowTail*>(out + padded) = {scale, sound ? static_cast<std::int32_t>(zero) : 0};
  }

 private:
  static constexpr int most_row = IntegerLanes::most_row, most_column = IntegerLanes::most_column;

  /// out = round(x * factor) + zero, within 0..most_row
  static void store_bytes(const float* x, std::size_t k, float factor, float zero, Element* out) {
    alignas(64) float buffer[Vec::width];
    const Vec scale = Vec::set(factor), offset = Vec::set(zero), most = Vec::set(most_row);
    std::size_t i = 0;
    for (; i + Vec::width <= k; i += Vec::width)
      IntegerLanes::store_whole(min(max(round(Vec::load(x + i) * scale) + offset, Vec::zero()), most), out + i);
    if (i == k) return;
    min(max(round(Vec::load_first(x + i, k - i) * scale) + offset, Vec::zero()), most).store(buffer);
    for (std::size_t j = 0; i + j < k; ++j) out[i + j] = static_cast<Element>(buffer[j]);
  }
};

using Int8 = Integers<IntegerLanes>;

}  // namespace
