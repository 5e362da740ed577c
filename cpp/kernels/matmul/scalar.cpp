#include "kernels/vec/scalar.hpp"

namespace {
// Two vectors of four: what a compiler keeps in sixteen xmm registers.
constexpr std::size_t tile_rows = 4;
constexpr std::size_t tile_vectors = 2;
}  // namespace
// after the vector type and the tile's shape
#include "kernels/matmul/panels.inl"
// after the panels
#include "kernels/matmul/float_formats.inl"
#include "kernels/table.hpp"

namespace {

struct IntegerLanes {
  using Element = std::int32_t;
  struct Lanes {
    std::int32_t lane[Vec::width];
  };
  using Sum = Lanes;
  static constexpr std::size_t group = 1, k_unit = 1, rows_a_tile = tile_rows, settled_k = 0;
  static constexpr int most_row = 255, most_column = 127;

  static Sum zero() { return {}; }
  static Lanes broadcast(const Element* a) { return {{*a, *a, *a, *a}}; }
  static Lanes load(const Element* panel) { return {{panel[0], panel[1], panel[2], panel[3]}}; }
  static Sum multiply_add(Lanes a, Lanes b, Sum sum) {
    for (std::size_t i = 0; i < Vec::width; ++i) sum.lane[i] += a.lane[i] * b.lane[i];
    return sum;
  }
  static Sum subtract(Sum sum, std::int32_t factor, const std::int32_t* x) {
    for (std::size_t i = 0; i < Vec::width; ++i) sum.lane[i] -= factor * x[i];
    return sum;
  }
  static Vec to_float(Sum sum) {
    return lanewise([&](std::size_t i) { return static_cast<float>(sum.lane[i]); });
  }
  static void store_whole(Vec v, Element* out) {
    for (std::size_t i = 0; i < Vec::width; ++i) out[i] = static_cast<Element>(v.lane[i]);
  }
};

}  // namespace
// after the integer lanes
#include "kernels/matmul/int8_format.inl"

namespace revector::kernels {
extern const MatmulKernels float32_scalar = REVECTOR_MATMUL(Float32, Panels);
extern const MatmulKernels bfloat16_scalar = REVECTOR_MATMUL(RoundedBfloat16, Panels);
extern const MatmulKernels int8_scalar = REVECTOR_MATMUL(Int8, Panels);
}  // namespace revector::kernels
