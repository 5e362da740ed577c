// The formats that multiply floats; after panels.inl.
//   Float32          floats. Error of an element: k * eps * sum |a b|, as for a plain loop.
//   RoundedBfloat16  floats rounded to bfloat16 when they are packed: what an instruction set without bfloat16 products
//                    computes at the speed of float32. Products of two bfloat16 are exact in float32, so the error of
//                    an element is that of the rounding, 2^-8 * sum |a b|, and of float32.
#include <cstddef>
#include <cstdint>

namespace {

/// Columns of floats have no scale.
struct PlainColumns {
  template <class At>
  void measure(std::size_t, std::size_t, At) {}
  static Vec finish(Vec sum, const void*, const void*, std::size_t) { return sum; }
};

struct WithoutSteps {
  static float row_step(float, float) { return 0; }
  static float column_step(float, float) { return 0; }
};

struct FloatLanes : WithoutSteps {
  using Element = float;
  using Lanes = Vec;
  using Sum = Vec;
  static constexpr std::size_t group = 1, k_unit = 1, row_tail_bytes = 0, rows_a_tile = tile_rows, settled_k = 0;
  static constexpr bool has_columns = false;
  static Vec zero() { return Vec::zero(); }
  static Vec broadcast(const float* a) { return Vec::set(*a); }
  static Vec load(const float* panel) { return Vec::load(panel); }
  static Vec multiply_add(Vec a, Vec b, Vec sum) { return fma(a, b, sum); }
};

struct Float32 : FloatLanes {
  struct Columns : PlainColumns {
    static float encode(std::size_t, float x) { return x; }
  };
  static void convert(const float* x, std::size_t k, void* row) { __builtin_memcpy(row, x, k * sizeof(float)); }
};

/// The nearest bfloat16, ties to even; a NaN stays one.
inline std::uint32_t bfloat16_bits(float x) {
  const auto bits = __builtin_bit_cast(std::uint32_t, x);
  const std::uint32_t rounded = (bits + 0x7FFFU + (bits >> 16U & 1U)) >> 16U;
  return x != x ? bits >> 16U | 0x40U : rounded;
}

struct RoundedBfloat16 : FloatLanes {
  static float rounded(float x) { return __builtin_bit_cast(float, bfloat16_bits(x) << 16U); }
  struct Columns : PlainColumns {
    static float encode(std::size_t, float x) { return rounded(x); }
  };
  static void convert(const float* x, std::size_t k, void* row) {
    auto* out = static_cast<float*>(row);
    for (std::size_t i = 0; i < k; ++i) out[i] = rounded(x[i]);
  }
};

}  // namespace
