#include "core/packed_matrix.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "core/kernels.hpp"
#include "revector/errors.hpp"

namespace revector {
namespace {

std::size_t rounded_up(std::size_t n, std::size_t unit) { return (n + unit - 1) / unit * unit; }

// Sums of the int8 kernels hold products of up to 255 * 127 in 32 bits.
constexpr std::size_t longest_int8_sum = std::numeric_limits<std::int32_t>::max() / (255 * 127);

void require_sums_that_fit(std::size_t rows, ProductFormat format) {
  if (format.sums_integers() && rows > longest_int8_sum)
    throw InvalidArgument("int8 product: sums over " + std::to_string(rows) + " elements, expected at most " +
                          std::to_string(longest_int8_sum) + "; use bfloat16 or float32");
}

}  // namespace

Operand::Operand(ProductFormat format, std::size_t max_rows, std::size_t max_width) : format_(format) {
  if (format.reads_floats()) return;
  const kernels::MatmulKernels& kernel = format.kernels();
  memory_.resize(rounded_up(max_rows, kernel.row_block) * kernel.row_bytes(max_width));
}

void Operand::reserve_rows(MatrixView<const float> x, Channels apart) {
  rows_ = x.rows();
  channels_ = apart;
  apart_.resize(rows_ * apart.size());
  rest_.resize(apart.empty() ? 0 : x.cols());
  const bool in_place = format_.reads_floats();
  data_ = in_place ? static_cast<const void*>(x.data()) : memory_.data();
  stride_ = in_place ? x.stride() * sizeof(float) : format_.kernels().row_bytes(x.cols());
}

/// Keep the channels that are set apart; the rest of the row.
const float* Operand::set_apart(const float* row, std::size_t n, std::size_t i) {
  std::copy(row, row + n, rest_.data());
  float* kept = apart_.data() + i * channels_.size();
  for (std::uint32_t channel : channels_) *kept++ = std::exchange(rest_[channel], 0.0F);
  return rest_.data();
}

void Operand::convert_row(MatrixView<const float> x, std::size_t i) {
  if (format_.reads_floats()) return;
  const float* row = channels_.empty() ? x.row(i) : set_apart(x.row(i), x.cols(), i);
  format_.kernels().convert(row, x.cols(), memory_.data() + i * stride_);
}

void Operand::assign(MatrixView<const float> x, Channels apart) {
  reserve_rows(x, apart);
  for (std::size_t i = 0; i < rows_; ++i) convert_row(x, i);
}

void Operand::assign(MatrixView<float> x, void (*function)(float* row, std::size_t n), Channels apart) {
  reserve_rows(x, apart);
  for (std::size_t i = 0; i < rows_; ++i) {
    function(x.row(i), x.cols());
    convert_row(x, i);
  }
}

void Operand::gather(const Operand& from, std::span<const std::uint32_t> rows) {
  const std::size_t bytes = from.stride_;
  rows_ = rows.size();
  stride_ = bytes;
  memory_.resize(std::max(memory_.size(), rounded_up(rows_, format_.kernels().row_block) * bytes));
  data_ = memory_.data();
  for (std::size_t i = 0; i < rows_; ++i)
    std::memcpy(memory_.data() + i * bytes, static_cast<const unsigned char*>(from.data_) + rows[i] * bytes, bytes);
}

PackedMatrix::PackedMatrix(std::size_t rows, std::size_t cols, ProductFormat format)
    : rows_(rows), cols_(cols), format_(format) {
  require_sums_that_fit(rows, format);
  panels_.resize(format.kernels().packed_bytes(rows, cols));
}

PackedMatrix PackedMatrix::from_rows(MatrixView<const float> b, ProductFormat format) {
  PackedMatrix packed(b.rows(), b.cols(), format);
  format.kernels().pack(b.data(), b.stride(), b.rows(), b.cols(), packed.panels_.data());
  return packed;
}

PackedMatrix PackedMatrix::from_transposed(MatrixView<const float> b, ProductFormat format) {
  PackedMatrix packed(b.cols(), b.rows(), format);
  format.kernels().pack_transposed(b.data(), b.stride(), b.rows(), b.cols(), packed.panels_.data());
  return packed;
}

void PackedMatrix::multiply(const Operand& a, const float* bias, MatrixView<float> c, const float* apart) const {
  const MatrixView<const float> left = a.apart();
  format_.kernels().multiply(a.data(), a.stride(), a.rows(), panels_.data(), rows_, c.cols(),
                             {bias, left.data(), apart, left.cols()}, c.data(), c.stride());
}

void PackedMatrix::multiply(MatrixView<const float> a, const float* bias, MatrixView<float> c) const {
  format_.kernels().multiply(a.data(), a.stride() * sizeof(float), a.rows(), panels_.data(), rows_, cols_,
                             {bias, nullptr, nullptr, 0}, c.data(), c.stride());
}

}  // namespace revector
