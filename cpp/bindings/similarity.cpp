#include "revector/similarity.hpp"

#include <pybind11/stl.h>

#include "bindings/arrays.hpp"
#include "bindings/registers.hpp"
#include "bindings/results.hpp"
#include "revector/device.hpp"
#include "revector/exact_index.hpp"

namespace {

using revector::ExactIndex;

using Allowed = std::optional<Array<std::uint8_t>>;

std::span<const std::uint8_t> flags(const Allowed& allowed) {
  return allowed ? elements(*allowed, "allowed") : std::span<const std::uint8_t>();
}

void normalize_doubles(const Array<double>& x, Array<float>& out) {
  const auto rows = view(x, "x");
  const auto unit = mutable_view(out, "out");
  const py::gil_scoped_release nogil;
  revector::normalize(rows, unit);
}

void normalize(const py::array& x, Array<float>& out) {
  const auto rows = rows_view(x, "x");
  const auto unit = mutable_view(out, "out");
  const py::gil_scoped_release nogil;
  revector::normalize(rows, unit);
}

py::tuple cosine_topk(const Array<float>& queries, const py::array& documents, std::size_t k,
                      const std::string& precision, const Allowed& allowed, const std::string& device,
                      std::size_t threads) {
  const revector::ThreadLimit limit(threads);
  const auto q = view(queries, "queries");
  const auto n = rows_view(documents, "documents");
  const revector::TopKOptions options{revector::precision_named(precision), flags(allowed),
                                      device == "cuda" ? revector::Device::cuda : revector::Device::cpu};
  return topk(q.rows(), k,
              [&](auto scores, auto indices) { revector::cosine_topk(q, n, k, scores, indices, options); });
}

py::tuple cosine_range(const Array<float>& queries, const py::array& documents, float threshold, const Allowed& allowed,
                       std::size_t threads) {
  const revector::ThreadLimit limit(threads);
  const auto q = view(queries, "queries");
  const auto n = rows_view(documents, "documents");
  const auto mask = flags(allowed);
  return range_of([&] { return revector::cosine_range(q, n, threshold, mask); });
}

/// An index and the array it reads.
struct PyExactIndex {
  PyExactIndex(const py::array& documents, const std::string& precision)
      : documents(documents), index(made(documents, precision)) {}

  static ExactIndex made(const py::array& documents, const std::string& precision) {
    const auto rows = rows_view(documents, "documents");
    const revector::Precision format = revector::precision_named(precision);
    const py::gil_scoped_release nogil;
    return ExactIndex(rows, format);
  }

  py::array documents;
  ExactIndex index;
};

py::tuple search(const PyExactIndex& self, const Array<float>& queries, std::size_t k, const Allowed& allowed,
                 std::size_t threads) {
  const revector::ThreadLimit limit(threads);
  const auto q = view(queries, "queries");
  const auto mask = flags(allowed);
  return topk(q.rows(), k, [&](auto scores, auto indices) { self.index.search(q, k, scores, indices, mask); });
}

py::tuple range(const PyExactIndex& self, const Array<float>& queries, float threshold, const Allowed& allowed,
                std::size_t threads) {
  const revector::ThreadLimit limit(threads);
  const auto q = view(queries, "queries");
  const auto mask = flags(allowed);
  return range_of([&] { return self.index.range(q, threshold, mask); });
}

}  // namespace

void register_similarity(py::module_& m) {
  m.def("normalize", &normalize_doubles, py::arg("x").noconvert(), py::arg("out").noconvert());
  m.def("normalize", &normalize, py::arg("x").noconvert(), py::arg("out").noconvert());
  m.def("cosine_topk", &cosine_topk, py::arg("queries").noconvert(), py::arg("documents").noconvert(), py::arg("k"),
        py::arg("precision"), py::arg("allowed"), py::arg("device"), py::arg("threads") = 0);
  m.def("cosine_range", &cosine_range, py::arg("queries").noconvert(), py::arg("documents").noconvert(),
        py::arg("threshold"), py::arg("allowed"), py::arg("threads") = 0);
  py::class_<PyExactIndex>(m, "ExactIndex")
      .def(py::init<const py::array&, const std::string&>(), py::arg("documents").noconvert(), py::arg("precision"))
      .def("search", &search, py::arg("queries").noconvert(), py::arg("k"), py::arg("allowed"), py::arg("threads") = 0)
      .def("range", &range, py::arg("queries").noconvert(), py::arg("threshold"), py::arg("allowed"),
           py::arg("threads") = 0)
      .def_property_readonly("size", [](const PyExactIndex& self) { return self.index.size(); })
      .def_property_readonly("dimension", [](const PyExactIndex& self) { return self.index.dimension(); });
}
