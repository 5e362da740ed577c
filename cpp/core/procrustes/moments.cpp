#include "core/procrustes/moments.hpp"

#include <algorithm>
#include <functional>

#include "core/kernels.hpp"
#include "core/packed_matrix.hpp"
#include "core/thread_pool.hpp"

namespace revector {
namespace {

constexpr std::size_t block_rows = 512;    // summed in float32
constexpr std::size_t blocks_at_once = 8;  // shifted and packed side by side, so that every thread has some

std::vector<float> mean_of(MatrixView<const float> x) {
  std::vector<double> sum(x.cols());
  for (std::size_t i = 0; i < x.rows(); ++i)
    for (std::size_t j = 0; j < x.cols(); ++j) sum[j] += x.row(i)[j];
  std::vector<float> mean(x.cols());
  for (std::size_t j = 0; j < x.cols(); ++j) mean[j] = static_cast<float>(sum[j] / static_cast<double>(x.rows()));
  return mean;
}

/// By tiles that stay in the first cache on both sides.
std::vector<float> transposed(MatrixView<const float> x) {
  constexpr std::size_t tile = 16;
  const std::size_t rows = x.rows(), cols = x.cols();
  std::vector<float> out(rows * cols);
  for (std::size_t i = 0; i < rows; i += tile)
    for (std::size_t j = 0; j < cols; j += tile)
      for (std::size_t l = j; l < std::min(j + tile, cols); ++l)
        for (std::size_t k = i; k < std::min(i + tile, rows); ++k) out[l * rows + k] = x.row(k)[l];
  return out;
}

/// How a block stands in products: as the left side, the right side, or both.
struct Roles {
  bool left, right;
};

/// A block of rows minus a shift, ready for products, and its sums.
struct ShiftedBlock {
  ShiftedBlock() = default;
  ShiftedBlock(MatrixView<const float> x, const std::vector<float>& shift, Roles roles)
      : n_rows(x.rows()), sum(x.cols()) {
    const kernels::RowKernels& kernels = kernels::table().rows;
    const std::size_t d = x.cols();
    std::vector<float> values(n_rows * d);
    for (std::size_t i = 0; i < n_rows; ++i) {
      float* row = values.data() + i * d;
      std::copy_n(x.row(i), d, row);
      kernels.add_scaled(shift.data(), -1, row, d);
      kernels.add_scaled(row, 1, sum.data(), d);
      squares += kernels.dot(row, row, d);
    }
    const MatrixView<const float> shifted(values.data(), n_rows, d);
    if (roles.left) columns_of_rows = transposed(shifted);
    if (roles.right) packed = PackedMatrix::from_rows(shifted);
  }

  MatrixView<const float> columns() const { return {columns_of_rows.data(), sum.size(), n_rows}; }

  std::size_t n_rows = 0;
  std::vector<float> sum;
  double squares = 0;
  std::vector<float> columns_of_rows;
  PackedMatrix packed;
};

using Blocks = std::vector<ShiftedBlock>;

/// total += left right over all blocks, in their order.
void add_products(const Blocks& left, const Blocks& right, std::vector<double>& total) {
  const std::size_t cols = right.front().packed.cols();
  parallel_for(left.front().sum.size(), 64, [&](std::size_t begin, std::size_t end) {
    std::vector<float> product((end - begin) * cols);
    double* target = total.data() + begin * cols;
    for (std::size_t b = 0; b < left.size(); ++b) {
      right[b].packed.multiply(left[b].columns().slice(begin, end), nullptr, {product.data(), end - begin, cols});
      for (std::size_t i = 0; i < product.size(); ++i) target[i] += product[i];
    }
  });
}

void add_sums(const Blocks& blocks, std::vector<double>& sum, double& squares) {
  for (const ShiftedBlock& block : blocks) {
    std::transform(sum.begin(), sum.end(), block.sum.begin(), sum.begin(), std::plus<>());
    squares += block.squares;
  }
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
  if (n_ == 0 && x.rows() > 0) {
    const std::size_t first = std::min(block_rows, x.rows());
    shift_x_ = mean_of(x.slice(0, first));
    shift_y_ = mean_of(y.slice(0, first));
  }
  constexpr std::size_t step = blocks_at_once * block_rows;
  for (std::size_t begin = 0; begin < x.rows(); begin += step) {
    const std::size_t end = std::min(begin + step, x.rows());
    add_some(x.slice(begin, end), y.slice(begin, end));
  }
}

void PairMoments::add_some(MatrixView<const float> x, MatrixView<const float> y) {
  const std::size_t count = (x.rows() + block_rows - 1) / block_rows;
  Blocks left(count), right(count);
  parallel_for(2 * count, 1, [&](std::size_t i, std::size_t) {
    const std::size_t begin = i / 2 * block_rows, end = std::min(begin + block_rows, x.rows());
    if (i % 2 == 0)
      left[i / 2] = ShiftedBlock(x.slice(begin, end), shift_x_, Roles{true, !gram_.empty()});
    else
      right[i / 2] = ShiftedBlock(y.slice(begin, end), shift_y_, Roles{false, true});
  });
  add_sums(left, sum_x_, squares_x_);
  add_sums(right, sum_y_, squares_y_);
  add_products(left, right, cross_);
  if (!gram_.empty()) add_products(left, left, gram_);
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
