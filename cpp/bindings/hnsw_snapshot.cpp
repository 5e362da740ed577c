#include "revector/hnsw_snapshot.hpp"

#include "bindings/labels.hpp"
#include "bindings/registers.hpp"
#include "bindings/results.hpp"
#include "revector/device.hpp"

namespace {

using revector::HnswSnapshot;
using revector::SnapshotBuilder;

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

HnswSnapshot without(const HnswSnapshot& snapshot, const Labels& labels) {
  const auto hidden = view_labels(labels);
  const py::gil_scoped_release nogil;
  return snapshot.without(hidden);
}

py::tuple find_vectors(const HnswSnapshot& snapshot, const Labels& labels) {
  const auto wanted = view_labels(labels);
  Array<bool> found(static_cast<py::ssize_t>(wanted.size()));
  auto out = new_matrix<float>(wanted.size(), snapshot.dim());
  const auto rows = mutable_view(out, "out");
  const std::span<bool> marks(found.mutable_data(), wanted.size());
  std::size_t n = 0;
  {
    const py::gil_scoped_release nogil;
    n = snapshot.find_vectors(wanted, marks, rows);
  }
  return py::make_tuple(found, out[py::slice(0, static_cast<py::ssize_t>(n), 1)]);
}

void add_batch(SnapshotBuilder& builder, const Array<float>& vectors, const Labels& labels, std::size_t threads) {
  const revector::ThreadLimit limit(threads);
  const auto rows = view(vectors, "vectors");
  const auto row_labels = view_labels(labels);
  const py::gil_scoped_release nogil;
  builder.add(rows, row_labels);
}

void write_snapshot(SnapshotBuilder& builder, const std::string& path, revector::ElementType type, bool rescore,
                    revector::BuildWatch* watch, std::size_t threads) {
  const revector::ThreadLimit limit(threads);
  const py::gil_scoped_release nogil;
  builder.write(path, {type, rescore}, watch);
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
      .def("without", &without, py::arg("labels").noconvert())
      .def("search", &search, py::arg("queries").noconvert(), py::arg("k"), py::arg("ef"), py::arg("allowed"),
           py::arg("threads"))
      .def("search_exact", &search_exact, py::arg("queries").noconvert(), py::arg("k"), py::arg("allowed"),
           py::arg("threads"))
      .def("get_vectors", &get_vectors, py::arg("labels").noconvert())
      .def("find_vectors", &find_vectors, py::arg("labels").noconvert())
      .def("health", [](const HnswSnapshot& snapshot) { return health_of(snapshot); })
      .def("labels", &live_labels)
      .def("contains", &HnswSnapshot::contains, py::arg("label"), nogil)
      .def("size", &HnswSnapshot::size, nogil)
      .def_property_readonly("dim", &HnswSnapshot::dim)
      .def_property_readonly("metric", &HnswSnapshot::metric)
      .def_property_readonly("m", [](const HnswSnapshot& snapshot) { return snapshot.options().m; })
      .def_property_readonly("type", [](const HnswSnapshot& snapshot) { return snapshot.storage().type; })
      .def_property_readonly("rescore", [](const HnswSnapshot& snapshot) { return snapshot.storage().rescore; });
  py::class_<SnapshotBuilder>(m, "SnapshotBuilder", py::release_gil_before_calling_cpp_dtor())
      .def(py::init([](std::size_t dim, revector::Metric metric, std::size_t links, std::size_t ef, std::uint64_t seed,
                       std::size_t expected) { return SnapshotBuilder(dim, metric, {links, ef, seed}, expected); }),
           py::arg("dim"), py::arg("metric"), py::arg("m"), py::arg("ef_construction"), py::arg("seed"),
           py::arg("expected"))
      .def("add", &add_batch, py::arg("vectors").noconvert(), py::arg("labels").noconvert(), py::arg("threads"))
      .def("write", &write_snapshot, py::arg("path"), py::arg("dtype"), py::arg("rescore"), py::arg("watch"),
           py::arg("threads"));
}
