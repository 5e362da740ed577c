#include "revector/hnsw.hpp"

#include <pybind11/native_enum.h>
#include <pybind11/stl.h>

#include <algorithm>

#include "bindings/labels.hpp"
#include "bindings/registers.hpp"
#include "bindings/results.hpp"
#include "revector/device.hpp"
#include "revector/hnsw_snapshot.hpp"

namespace {

using revector::BuildWatch;
using revector::ElementType;
using revector::HnswIndex;
using revector::Metric;

void add(HnswIndex& index, const Array<float>& vectors, const Labels& labels, std::size_t threads) {
  const revector::ThreadLimit limit(threads);
  const auto rows = view(vectors, "vectors");
  const auto row_labels = view_labels(labels);
  const py::gil_scoped_release nogil;
  index.add(rows, row_labels);
}

HnswIndex build(const Array<float>& vectors, const Labels& labels, Metric metric, std::size_t links, std::size_t ef,
                std::uint64_t seed, BuildWatch* watch, std::size_t threads) {
  const revector::ThreadLimit limit(threads);
  const auto rows = view(vectors, "vectors");
  const auto row_labels = view_labels(labels);
  const py::gil_scoped_release nogil;
  return HnswIndex::build(rows, row_labels, metric, {links, ef, seed}, watch);
}

void mark(HnswIndex& index, const Labels& labels, bool deleted) {
  const auto marked = view_labels(labels);
  const py::gil_scoped_release nogil;
  deleted ? index.mark_deleted(marked) : index.unmark_deleted(marked);
}

py::tuple search(const HnswIndex& index, const Array<float>& queries, std::size_t k, std::size_t ef,
                 const Allowed& allowed, std::size_t threads) {
  const revector::ThreadLimit limit(threads);
  const auto rows = view(queries, "queries");
  const auto among = view_allowed(allowed);
  return topk(rows.rows(), k, [&](auto scores, auto labels) { index.search(rows, k, ef, scores, labels, among); });
}

py::tuple search_exact(const HnswIndex& index, const Array<float>& queries, std::size_t k, const Allowed& allowed,
                       std::size_t threads) {
  const revector::ThreadLimit limit(threads);
  const auto rows = view(queries, "queries");
  const auto among = view_allowed(allowed);
  return topk(rows.rows(), k, [&](auto scores, auto labels) { index.search_exact(rows, k, scores, labels, among); });
}

py::tuple range(const HnswIndex& index, const Array<float>& queries, float least_score, std::size_t ef,
                const Allowed& allowed, std::size_t threads) {
  const revector::ThreadLimit limit(threads);
  const auto rows = view(queries, "queries");
  const auto among = view_allowed(allowed);
  return range_of([&] { return index.range(rows, least_score, ef, among); });
}

HnswIndex rebuilt(const HnswIndex& index, BuildWatch* watch, std::size_t threads) {
  const revector::ThreadLimit limit(threads);
  const py::gil_scoped_release nogil;
  return index.rebuilt(watch);
}

HnswIndex serve_stale(const HnswIndex& index, const Array<float>& vectors, const Labels& labels) {
  const auto rows = view(vectors, "vectors");
  const auto row_labels = view_labels(labels);
  const py::gil_scoped_release nogil;
  return index.serve_stale(rows, row_labels);
}

Array<float> get_vectors(const HnswIndex& index, const Labels& labels) {
  const auto wanted = view_labels(labels);
  auto out = new_matrix<float>(wanted.size(), index.dim());
  const auto rows = mutable_view(out, "out");
  const py::gil_scoped_release nogil;
  index.get_vectors(wanted, rows);
  return out;
}

void rotate(HnswIndex& index, const Array<float>& rotation) {
  const auto w = view(rotation, "rotation");
  const py::gil_scoped_release nogil;
  index.rotate(w);
}

py::bytes to_bytes(const HnswIndex& index) {
  std::string bytes;
  {
    const py::gil_scoped_release nogil;
    bytes = index.to_bytes();
  }
  return py::bytes(bytes);
}

HnswIndex from_bytes(const py::bytes& bytes, std::size_t dim, Metric metric, std::uint64_t seed) {
  const std::string_view view(bytes);
  const py::gil_scoped_release nogil;
  return HnswIndex::from_bytes(view, dim, metric, seed);
}

Labels live_labels(const HnswIndex& index) {
  std::vector<std::int64_t> labels;
  {
    const py::gil_scoped_release nogil;
    labels = index.labels();
  }
  return vector_of(labels);
}

}  // namespace

void register_hnsw(py::module_& m) {
  const auto nogil = py::call_guard<py::gil_scoped_release>();
  py::native_enum<Metric>(m, "Metric", "enum.Enum")
      .value("cosine", Metric::cosine)
      .value("inner_product", Metric::inner_product)
      .value("l2", Metric::l2)
      .finalize();
  py::native_enum<ElementType>(m, "ElementType", "enum.Enum")
      .value("float32", ElementType::float32)
      .value("float16", ElementType::float16)
      .value("bfloat16", ElementType::bfloat16)
      .value("int8", ElementType::int8)
      .finalize();
  py::class_<BuildWatch>(m, "BuildWatch")
      .def(py::init<>())
      .def("cancel", [](BuildWatch& watch) { watch.cancelled = true; })
      .def_property_readonly("share", [](const BuildWatch& watch) { return std::min(watch.share.load(), 1.0); });
  py::class_<HnswIndex>(m, "HnswIndex", py::release_gil_before_calling_cpp_dtor())
      .def(py::init([](std::size_t dim, Metric metric, std::size_t links, std::size_t ef, std::uint64_t seed) {
             return HnswIndex(dim, metric, {links, ef, seed});
           }),
           py::arg("dim"), py::arg("metric"), py::arg("m"), py::arg("ef_construction"), py::arg("seed"))
      .def_static("build", &build, py::arg("vectors").noconvert(), py::arg("labels").noconvert(), py::arg("metric"),
                  py::arg("m"), py::arg("ef_construction"), py::arg("seed"), py::arg("watch"), py::arg("threads"))
      .def("add", &add, py::arg("vectors").noconvert(), py::arg("labels").noconvert(), py::arg("threads"))
      .def("mark", &mark, py::arg("labels").noconvert(), py::arg("deleted"))
      .def("rebuilt", &rebuilt, py::arg("watch"), py::arg("threads"))
      .def("serve_stale", &serve_stale, py::arg("vectors").noconvert(), py::arg("labels").noconvert())
      .def("search", &search, py::arg("queries").noconvert(), py::arg("k"), py::arg("ef"), py::arg("allowed"),
           py::arg("threads"))
      .def("search_exact", &search_exact, py::arg("queries").noconvert(), py::arg("k"), py::arg("allowed"),
           py::arg("threads"))
      .def("range", &range, py::arg("queries").noconvert(), py::arg("least_score"), py::arg("ef"), py::arg("allowed"),
           py::arg("threads"))
      .def("health", [](const HnswIndex& index) { return health_of(index); })
      .def("rotate", &rotate, py::arg("rotation").noconvert())
      .def("get_vectors", &get_vectors, py::arg("labels").noconvert())
      .def("labels", &live_labels)
      .def("contains", &HnswIndex::contains, py::arg("label"), nogil)
      .def("size", &HnswIndex::size, nogil)
      .def("save", &HnswIndex::save, py::arg("path"), py::arg("capacity"), nogil)
      .def("to_bytes", &to_bytes)
      .def(
          "save_snapshot",
          [](const HnswIndex& index, const std::string& path, ElementType type, bool rescore) {
            index.save_snapshot(path, {type, rescore});
          },
          py::arg("path"), py::arg("dtype"), py::arg("rescore"), nogil)
      .def_static("load", &HnswIndex::load, py::arg("path"), py::arg("dim"), py::arg("metric"), py::arg("seed"), nogil)
      .def_static("from_bytes", &from_bytes, py::arg("bytes"), py::arg("dim"), py::arg("metric"), py::arg("seed"))
      .def_static("load_faiss", &HnswIndex::load_faiss, py::arg("path"), py::arg("metric"), py::arg("seed"), nogil)
      .def_property_readonly("dim", &HnswIndex::dim)
      .def_property_readonly("metric", &HnswIndex::metric)
      .def_property_readonly("m", [](const HnswIndex& index) { return index.options().m; })
      .def_property_readonly("ef_construction", [](const HnswIndex& index) { return index.options().ef_construction; })
      .def_property_readonly("seed", [](const HnswIndex& index) { return index.options().seed; });
}
