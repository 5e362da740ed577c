#include "core/packed_matrix.hpp"

#include "kernels/dispatch.hpp"

namespace revector {

PackedMatrix::PackedMatrix(std::size_t rows, std::size_t cols) : rows_(rows), cols_(cols) {
  const std::size_t width = kernels::table().matmul.panel_width;
  panels_.resize((cols + width - 1) / width * width * rows);
}

PackedMatrix PackedMatrix::from_rows(MatrixView<const float> b) {
  PackedMatrix packed(b.rows(), b.cols());
  kernels::table().matmul.pack(b.data(), b.stride(), b.rows(), b.cols(), packed.panels_.data());
  return packed;
}

PackedMatrix PackedMatrix::from_transposed(MatrixView<const float> b) {
  PackedMatrix packed(b.cols(), b.rows());
  kernels::table().matmul.pack_transposed(b.data(), b.stride(), b.rows(), b.cols(), packed.panels_.data());
  return packed;
}

void PackedMatrix::multiply(MatrixView<const float> a, const float* bias, MatrixView<float> c) const {
  kernels::table().matmul.multiply(a.data(), a.stride(), a.rows(), panels_.data(), rows_, cols_, bias, c.data(),
                                   c.stride());
}

}  // namespace revector
