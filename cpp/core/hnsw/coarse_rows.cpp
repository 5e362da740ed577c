#include "core/hnsw/coarse_rows.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include "core/hnsw/rounding.hpp"
#include "core/kernels.hpp"

namespace revector::hnsw {
namespace {

constexpr float most_int16 = 4095;  // 4,096 products with most_int8 add up to less than 2^31

/// By how much, relatively, a float32 kernel may be off on n elements; see kernels/table.hpp.
double slack(std::size_t n) { return (static_cast<double>(n) / 16 + 10) * std::numeric_limits<float>::epsilon(); }

/// At least the root of what a kernel summed up from n squares, some of which may have vanished.
double length_from(float squares, std::size_t n) {
  return std::sqrt(squares + static_cast<double>(n) * std::numeric_limits<float>::denorm_min()) * (1 + slack(n));
}

/// From above: the length of a row, and that of what rounding takes from it together with what sums of it in float32
/// may be off, for a factor of length 1.
struct Lengths {
  double whole, lost;
};
Lengths lengths_of(const float* row, std::size_t n, float lost_squares) {
  const double whole = length_from(kernels::table().rows.dot(row, row, n), n);
  return {whole, length_from(lost_squares, n) + slack(n) * whole};
}

float rounded_up(double x) { return std::nextafter(static_cast<float>(x), std::numeric_limits<float>::infinity()); }

}  // namespace

CoarseRows::CoarseRows(std::size_t dim) : dim_(dim), rows_(sizeof(Header) + dim, alignof(Header)) {}

void CoarseRows::set(std::size_t i, const float* vector) {
  const float step = rounding_step(vector, dim_, most_int8);
  std::byte* row = rows_.row(i);
  auto* codes = reinterpret_cast<std::int8_t*>(row + sizeof(Header));
  const Lengths lengths = lengths_of(vector, dim_, kernels::table().rows.round_to_int8(vector, dim_, step, codes));
  const Header header{step, rounded_up(lengths.lost), rounded_up(lengths.whole)};
  std::memcpy(row, &header, sizeof(header));
}

CoarseQuery::CoarseQuery(Metric metric, const float* query, std::size_t dim)
    : codes_(dim), dot_(kernels::table().rows.dot_int16_int8), is_l2_(metric == Metric::l2) {
  const float step = rounding_step(query, dim, most_int16);
  const Lengths lengths = lengths_of(query, dim, kernels::table().rows.round_to_int16(query, dim, step, codes_.data()));
  step_ = step;
  lost_ = lengths.lost;
  length_ = lengths.whole;
}

double CoarseQuery::least_distance(const std::byte* row) const {
  CoarseRows::Header header;
  std::memcpy(&header, row, sizeof(header));
  const std::int32_t steps =
      dot_(codes_.data(), reinterpret_cast<const std::int8_t*>(row + sizeof(header)), codes_.size());
  // q v = q' v' + q' (v - v') + (q - q') v, with q' and v' rounded, and Cauchy-Schwarz for the last two.
  const double product = step_ * header.step * steps;
  const double most = product + (length_ + lost_) * header.lost + lost_ * header.length;
  if (!is_l2_) return -most;
  // Lengths are from above, and float32 may lose some of what is at most twice the squares.
  const double length = header.length, squares = length_ * length_ + length * length;
  return squares * (1 - 8 * slack(codes_.size())) - 2 * most;
}

}  // namespace revector::hnsw
