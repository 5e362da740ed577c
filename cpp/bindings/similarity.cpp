#include "revector/similarity.hpp"

#include "bindings/arrays.hpp"
#include "bindings/registers.hpp"

namespace {

template <class T>
void normalize(const Array<T>& x, Array<float>& out) {
  const auto rows = view(x, "x");
  const auto unit = mutable_view(out, "out");
  const py::gil_scoped_release nogil;
  revector::normalize(rows, unit);
}

py::tuple cosine_topk(const Array<float>& queries, const Array<float>& documents, std::size_t k,
                      const std::string& device) {
  const auto q = view(queries, "queries"), n = view(documents, "documents");
  auto scores = new_matrix<float>(q.rows(), k);
  auto indices = new_matrix<std::int64_t>(q.rows(), k);
  const auto best_scores = mutable_view(scores, "scores");
  const auto best_indices = mutable_view(indices, "indices");
  {
    const py::gil_scoped_release nogil;
    revector::cosine_topk(q, n, k, best_scores, best_indices,
                          device == "cuda" ? revector::Device::cuda : revector::Device::cpu);
  }
  return py::make_tuple(scores, indices);
}

}  // namespace

void register_similarity(py::module_& m) {
  m.def("normalize", &normalize<float>, py::arg("x").noconvert(), py::arg("out").noconvert());
  m.def("normalize", &normalize<double>, py::arg("x").noconvert(), py::arg("out").noconvert());
  m.def("cosine_topk", &cosine_topk, py::arg("queries").noconvert(), py::arg("documents").noconvert(), py::arg("k"),
        py::arg("device"));
}
