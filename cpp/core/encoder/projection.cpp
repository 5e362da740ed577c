#include "core/encoder/projection.hpp"

#include "core/kernels.hpp"
#include "core/thread_pool.hpp"
#include "core/unit_rows.hpp"

namespace revector {
namespace {

constexpr std::size_t rows_per_block = 64;

void normalize(MatrixView<float> rows) {
  const kernels::RowKernels& kernel = kernels::table().rows;
  for (std::size_t i = 0; i < rows.rows(); ++i) normalize_row(kernel, rows.row(i), rows.row(i), rows.cols());
}

}  // namespace

Projection::Projection(const std::vector<Step>& steps, std::size_t width) {
  bool unit_rows = false;
  for (const Step& step : steps) {
    if (step.kind == Step::Kind::dense) {
      layers_.push_back({unit_rows, Dense(step.folder, width)});
      width = layers_.back().dense.out();
    }
    unit_rows = step.kind == Step::Kind::normalize;
  }
}

std::vector<std::string> Projection::files() const {
  std::vector<std::string> found;
  for (const Layer& layer : layers_) found.insert(found.end(), layer.dense.files().begin(), layer.dense.files().end());
  return found;
}

void Projection::apply(MatrixView<float> pooled, MatrixView<float> out) const {
  parallel_for(pooled.rows(), rows_per_block, [&](std::size_t begin, std::size_t end) {
    apply_block(pooled.slice(begin, end), out.slice(begin, end));
  });
}

void Projection::apply_block(MatrixView<float> pooled, MatrixView<float> out) const {
  std::vector<float> held, made;
  MatrixView<float> rows = pooled;
  for (const Layer& layer : layers_) {
    if (layer.of_unit_rows) normalize(rows);
    const bool last = &layer == &layers_.back();
    made.resize(last ? 0 : rows.rows() * layer.dense.out());
    const MatrixView<float> next = last ? out : MatrixView<float>(made.data(), rows.rows(), layer.dense.out());
    layer.dense.apply(rows, next);
    held.swap(made);  // `next` now lies in held, and stays while `made` is written anew
    rows = next;
  }
}

}  // namespace revector
