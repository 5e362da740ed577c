#include "revector/hnsw_snapshot.hpp"

#include "bindings/labels.hpp"
#include "bindings/registers.hpp"
#include "bindings/results.hpp"
#include "revector/device.hpp"

namespace {

using revector::HnswSnapshot;

py::tuple search(const HnswSnapshot& snapshot, const Array<float>& queries, std::size_t k, std::size_t ef,
                 const Allowed& allowed, std::size_t threads) {
  const revector::ThreadLimit limit(threads);
  const auto rows = view(queries, "queries");
  const auto among = view_allowed(allowed);
  return topk(rows.rows(), k, [&](auto scores, auto labels) { snapshot.search(rows, k, ef, scores, labels, among); });
}

py::tuple search_exact(const HnswSnapshot& snapshot, const Array<float>& queries, std::size_t k, const Allowed& allowed,
                       std::size_t threads) {
  const revector::ThreadLimit limit(threads);
  const auto rows = view(queries, "queries");
  const auto among = view_allowed(allowed);
  return topk(rows.rows(), k, [&](auto scores, auto labels) { snapshot.search_exact(rows, k, scores, labels, among); });
}

Array<float> get_vectors(const HnswSnapshot& snapshot, const Labels& labels) {
  const auto wanted = view_labels(labels);
  auto out = new_matrix<float>(wanted.size(), snapshot.dim());
  const auto rows = mutable_view(out, "out");
  const py::gil_scoped_release nogil;
  snapshot.get_vectors(wanted, rows);
  return out;
}

Labels live_labels(const HnswSnapshot& snapshot) {
  std::vector<std::int64_t> labels;
  {
    const py::gil_scoped_release nogil;
    labels = snapshot.labels();
  }
  return vector_of(labels);
}

}  // namespace

void register_hnsw_snapshot(py::module_& m) {
  const auto nogil = py::call_guard<py::gil_scoped_release>();
  py::class_<HnswSnapshot>(m, "HnswSnapshot", py::release_gil_before_calling_cpp_dtor())
      .def(py::init<const std::string&>(), py::arg("path"), nogil)
      .def("verify", &HnswSnapshot::verify, nogil)
      .def("search", &search, py::arg("queries").noconvert(), py::arg("k"), py::arg("ef"), py::arg("allowed"),
           py::arg("threads"))
      .def("search_exact", &search_exact, py::arg("queries").noconvert(), py::arg("k"), py::arg("allowed"),
           py::arg("threads"))
      .def("get_vectors", &get_vectors, py::arg("labels").noconvert())
      .def("labels", &live_labels)
      .def("contains", &HnswSnapshot::contains, py::arg("label"), nogil)
      .def("size", &HnswSnapshot::size, nogil)
      .def_property_readonly("dim", &HnswSnapshot::dim)
      .def_property_readonly("metric", &HnswSnapshot::metric)
      .def_property_readonly("m", [](const HnswSnapshot& snapshot) { return snapshot.options().m; })
      .def_property_readonly("type", [](const HnswSnapshot& snapshot) { return snapshot.storage().type; })
      .def_property_readonly("rescore", [](const HnswSnapshot& snapshot) { return snapshot.storage().rescore; });
}
