/// @file
/// Results of searches as numpy arrays.
#pragma once

#include <pybind11/stl.h>

#include <cstdint>
#include <vector>

#include "bindings/arrays.hpp"
#include "revector/hnsw.hpp"
#include "revector/similarity.hpp"

/// search(scores, indices) into new matrices of q x k, without the GIL.
template <class Search>
py::tuple topk(std::size_t q, std::size_t k, Search search) {
  auto scores = new_matrix<float>(q, k);
  auto indices = new_matrix<std::int64_t>(q, k);
  const auto best_scores = mutable_view(scores, "scores");
  const auto best_indices = mutable_view(indices, "indices");
  {
    const py::gil_scoped_release nogil;
    search(best_scores, best_indices);
  }
  return py::make_tuple(scores, indices);
}

template <class T>
Array<T> vector_of(const std::vector<T>& values) {
  return Array<T>(static_cast<py::ssize_t>(values.size()), values.data());
}

/// range() without the GIL, as (scores, indices, offsets).
template <class Range>
py::tuple range_of(Range range) {
  revector::RangeResults found;
  {
    const py::gil_scoped_release nogil;
    found = range();
  }
  const std::vector<std::int64_t> offsets(found.offsets.begin(), found.offsets.end());
  return py::make_tuple(vector_of(found.scores), vector_of(found.indices), vector_of(offsets));
}

/// health() without the GIL.
template <class Index>
py::dict health_of(const Index& index) {
  revector::HnswHealth found;
  {
    const py::gil_scoped_release nogil;
    found = index.health();
  }
  py::dict out;
  out["live"] = found.live;
  out["deleted"] = found.deleted;
  out["levels"] = found.levels;
  out["unreachable"] = found.unreachable;
  out["degrees"] = py::cast(found.degrees);
  return out;
}
