#include "core/checks.hpp"
#include "core/kernels.hpp"
#include "core/similarity/row_reader.hpp"
#include "core/thread_pool.hpp"
#include "core/unit_rows.hpp"
#include "revector/similarity.hpp"

namespace revector {
namespace {

constexpr std::size_t rows_a_piece = 1024;

template <class ReaderOfPiece>
void normalize_rows(std::size_t n, std::size_t d, MatrixView<float> out, ReaderOfPiece reader_of_piece) {
  require_shape(out, n, d, "out");
  const kernels::RowKernels& rows = kernels::table().rows;
  parallel_for(n, rows_a_piece, [&](std::size_t begin, std::size_t end) {
    auto read = reader_of_piece();
    for (std::size_t i = begin; i < end; ++i)
      if (!normalize_row(rows, read(i), out.row(i), d)) throw_not_finite("x", i);
  });
}

}  // namespace

void normalize(RowsView x, MatrixView<float> out) {
  normalize_rows(x.rows(), x.cols(), out, [x] { return RowReader(x); });
}

void normalize(MatrixView<const double> x, MatrixView<float> out) {
  normalize_rows(x.rows(), x.cols(), out, [x] { return [x](std::size_t i) { return x.row(i); }; });
}

}  // namespace revector
