#include "core/procrustes/moments.hpp"

#include <algorithm>

#include "core/packed_matrix.hpp"
#include "core/thread_pool.hpp"
#include "kernels/dispatch.hpp"

namespace revector {
namespace {

constexpr std::size_t block_rows = 512;

std::vector<float> mean_of(MatrixView<const float> x) {
  std::vector<double> sum(x.cols());
  for (std::size_t i = 0; i < x.rows(); ++i)
    for (std::size_t j = 0; j < x.cols(); ++j) sum[j] += x.row(i)[j];
  std::vector<float> mean(x.cols());
  for (std::size_t j = 0; j < x.cols(); ++j) mean[j] = static_cast<float>(sum[j] / static_cast<double>(x.rows()));
  return mean;
}

/// A block of rows minus a shift; its sums are added to those given.
class ShiftedBlock {
 public:
  ShiftedBlock(MatrixView<const float> x, const std::vector<float>& shift, std::vector<double>& sum, double& squares)
      : values_(x.rows() * x.cols()), rows_(x.rows()), cols_(x.cols()) {
    const kernels::RowKernels& kernels = kernels::table().rows;
    std::vector<float> block_sum(cols_);
    for (std::size_t i = 0; i < rows_; ++i) {
      float* row = values_.data() + i * cols_;
      std::copy_n(x.row(i), cols_, row);
      kernels.add_scaled(shift.data(), -1, row, cols_);
      kernels.add_scaled(row, 1, block_sum.data(), cols_);
      squares += kernels.dot(row, row, cols_);
    }
    for (std::size_t j = 0; j < cols_; ++j) sum[j] += block_sum[j];
  }

  MatrixView<const float> view() const { return {values_.data(), rows_, cols_}; }

  /// By tiles that stay in the first cache on both sides.
  std::vector<float> transposed() const {
    constexpr std::size_t tile = 16;
    std::vector<float> out(values_.size());
    for (std::size_t i = 0; i < rows_; i += tile)
      for (std::size_t j = 0; j < cols_; j += tile)
        for (std::size_t l = j; l < std::min(j + tile, cols_); ++l)
          for (std::size_t k = i; k < std::min(i + tile, rows_); ++k) out[l * rows_ + k] = values_[k * cols_ + l];
    return out;
  }

 private:
  std::vector<float> values_;
  std::size_t rows_, cols_;
};

/// total += left right, [left.rows x right.cols]
void add_product(MatrixView<const float> left, MatrixView<const float> right, std::vector<double>& total) {
  const PackedMatrix packed = PackedMatrix::from_rows(right);
  parallel_for(left.rows(), 64, [&](std::size_t begin, std::size_t end) {
    std::vector<float> product((end - begin) * right.cols());
    packed.multiply(left.slice(begin, end), nullptr, {product.data(), end - begin, right.cols()});
    double* target = total.data() + begin * right.cols();
    for (std::size_t i = 0; i < product.size(); ++i) target[i] += product[i];
  });
}

/// Sums over shifted rows of one side, with the shift.
struct Side {
  const std::vector<double>& sum;
  const std::vector<float>& shift;
};

/// Products of shifted rows -> products of centred rows (S - sum_a sum_b^T / n), or of the rows themselves.
std::vector<double> unshifted(std::vector<double> products, Side a, Side b, double n, bool centered) {
  for (std::size_t i = 0; i < a.sum.size(); ++i)
    for (std::size_t j = 0; j < b.sum.size(); ++j)
      products[i * b.sum.size() + j] +=
          centered ? -a.sum[i] / n * b.sum[j]
                   : a.sum[i] * b.shift[j] + a.shift[i] * b.sum[j] + n * a.shift[i] * b.shift[j];
  return products;
}

double unshifted_squares(double squares, Side a, double n, bool centered) {
  for (std::size_t i = 0; i < a.sum.size(); ++i)
    squares += centered ? -a.sum[i] / n * a.sum[i] : 2 * a.sum[i] * a.shift[i] + n * a.shift[i] * a.shift[i];
  return std::max(squares, 0.0);
}

std::vector<float> unshifted_mean(Side a, double n) {
  std::vector<float> mean(a.sum.size());
  for (std::size_t i = 0; i < mean.size(); ++i) mean[i] = static_cast<float>(a.shift[i] + a.sum[i] / n);
  return mean;
}

}  // namespace

PairMoments::PairMoments(std::size_t d_x, std::size_t d_y)
    : shift_x_(d_x), shift_y_(d_y), sum_x_(d_x), sum_y_(d_y), cross_(d_x * d_y), gram_(d_x > d_y ? d_x * d_x : 0) {}

void PairMoments::add(MatrixView<const float> x, MatrixView<const float> y) {
  for (std::size_t begin = 0; begin < x.rows(); begin += block_rows) {
    const std::size_t end = std::min(begin + block_rows, x.rows());
    add_block(x.slice(begin, end), y.slice(begin, end));
  }
}

void PairMoments::add_block(MatrixView<const float> x, MatrixView<const float> y) {
  if (n_ == 0) {
    shift_x_ = mean_of(x);
    shift_y_ = mean_of(y);
  }
  const ShiftedBlock left(x, shift_x_, sum_x_, squares_x_), right(y, shift_y_, sum_y_, squares_y_);
  const std::vector<float> left_transposed = left.transposed();
  const MatrixView<const float> left_columns(left_transposed.data(), x.cols(), x.rows());
  add_product(left_columns, right.view(), cross_);
  if (!gram_.empty()) add_product(left_columns, left.view(), gram_);
  n_ += x.rows();
}

std::vector<float> PairMoments::mean_x() const { return unshifted_mean({sum_x_, shift_x_}, static_cast<double>(n_)); }
std::vector<float> PairMoments::mean_y() const { return unshifted_mean({sum_y_, shift_y_}, static_cast<double>(n_)); }

std::vector<double> PairMoments::cross(bool centered) const {
  return unshifted(cross_, {sum_x_, shift_x_}, {sum_y_, shift_y_}, static_cast<double>(n_), centered);
}

std::vector<double> PairMoments::gram(bool centered) const {
  return unshifted(gram_, {sum_x_, shift_x_}, {sum_x_, shift_x_}, static_cast<double>(n_), centered);
}

double PairMoments::squares_x(bool centered) const {
  return unshifted_squares(squares_x_, {sum_x_, shift_x_}, static_cast<double>(n_), centered);
}

double PairMoments::squares_y(bool centered) const {
  return unshifted_squares(squares_y_, {sum_y_, shift_y_}, static_cast<double>(n_), centered);
}

}  // namespace revector
