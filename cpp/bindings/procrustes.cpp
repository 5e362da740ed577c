#include "revector/procrustes.hpp"

#include "bindings/arrays.hpp"
#include "bindings/registers.hpp"

namespace {

using revector::ProcrustesAccumulator;
using revector::ProcrustesDiagnostics;
using revector::ProcrustesMap;

std::vector<float> as_vector(const Array<float>& array) {
  const auto row = array.unchecked<1>();
  std::vector<float> out(static_cast<std::size_t>(row.shape(0)));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = row(static_cast<py::ssize_t>(i));
  return out;
}

Array<float> transform(const ProcrustesMap& map, const Array<float>& x, bool renormalize, bool inverse,
                       const std::string& precision) {
  const revector::Precision products = revector::precision_named(precision);
  const auto rows = view(x, "x");
  auto out = new_matrix<float>(rows.rows(), inverse ? map.d_old() : map.d_new());
  const auto mapped = mutable_view(out, "out");
  const py::gil_scoped_release nogil;
  inverse ? map.inverse_transform(rows, mapped, renormalize, products)
          : map.transform(rows, mapped, renormalize, products);
  return out;
}

void add(ProcrustesAccumulator& pairs, const Array<float>& old_rows, const Array<float>& new_rows) {
  const auto x = view(old_rows, "old"), y = view(new_rows, "new");
  const py::gil_scoped_release nogil;
  pairs.add(x, y);
}

py::dict parameters(const ProcrustesMap& map) {
  using namespace py::literals;
  const auto w = map.rotation();
  auto rotation = new_matrix<float>(w.rows(), w.cols());
  std::copy(w.data(), w.data() + w.rows() * w.cols(), rotation.mutable_data());
  return py::dict("rotation"_a = rotation, "mean_old"_a = Array<float>(map.mean_old().size(), map.mean_old().data()),
                  "mean_new"_a = Array<float>(map.mean_new().size(), map.mean_new().data()), "scale"_a = map.scale());
}

}  // namespace

void register_procrustes(py::module_& m) {
  py::class_<ProcrustesDiagnostics>(m, "ProcrustesDiagnostics")
      .def(py::init(
               [](std::uint64_t n_pairs, double residual, double effective_rank, double condition, std::size_t rank) {
                 return ProcrustesDiagnostics{n_pairs, residual, effective_rank, condition, rank};
               }),
           py::arg("n_pairs"), py::arg("residual"), py::arg("effective_rank"), py::arg("condition"), py::arg("rank"))
      .def_readonly("n_pairs", &ProcrustesDiagnostics::n_pairs)
      .def_readonly("residual", &ProcrustesDiagnostics::residual)
      .def_readonly("effective_rank", &ProcrustesDiagnostics::effective_rank)
      .def_readonly("condition", &ProcrustesDiagnostics::condition)
      .def_readonly("rank", &ProcrustesDiagnostics::rank);
  py::class_<ProcrustesMap>(m, "ProcrustesMap")
      .def(py::init([](const Array<float>& rotation, const Array<float>& mean_old, const Array<float>& mean_new,
                       float scale, const ProcrustesDiagnostics& diagnostics) {
             return ProcrustesMap(view(rotation, "rotation"), as_vector(mean_old), as_vector(mean_new), scale,
                                  diagnostics);
           }),
           py::arg("rotation"), py::arg("mean_old"), py::arg("mean_new"), py::arg("scale"), py::arg("diagnostics"))
      .def("transform", &transform, py::arg("x").noconvert(), py::arg("renormalize"), py::arg("inverse"),
           py::arg("precision"))
      .def("parameters", &parameters)
      .def_property_readonly("diagnostics", &ProcrustesMap::diagnostics, py::return_value_policy::copy);
  py::class_<ProcrustesAccumulator>(m, "ProcrustesAccumulator")
      .def(py::init<std::size_t, std::size_t>(), py::arg("d_old"), py::arg("d_new"))
      .def("add", &add, py::arg("old").noconvert(), py::arg("new").noconvert())
      .def("solve", &ProcrustesAccumulator::solve, py::arg("center"), py::arg("scale"),
           py::call_guard<py::gil_scoped_release>())
      .def_property_readonly("n_pairs", &ProcrustesAccumulator::n_pairs);
}
