#include "revector/cross_encoder.hpp"

#include <pybind11/stl.h>

#include "bindings/arrays.hpp"
#include "bindings/registers.hpp"

namespace {

using revector::CrossEncoder;
using revector::CrossEncoderInfo;

Array<float> score(const CrossEncoder& encoder, const Array<std::int32_t>& ids, const Array<std::int64_t>& offsets,
                   const Array<std::int32_t>& types, std::size_t threads) {
  const auto tokens = elements(ids, "ids"), kinds = elements(types, "types");
  const auto bounds = elements(offsets, "offsets");
  auto out = new_matrix<float>(bounds.empty() ? 0 : bounds.size() - 1, encoder.info().labels);
  const auto rows = mutable_view(out, "out");
  const py::gil_scoped_release nogil;
  encoder.score(tokens, bounds, kinds, rows, threads);
  return out;
}

CrossEncoder load(const std::string& folder, const std::string& precision) {
  return CrossEncoder::load(folder, revector::precision_named(precision));
}

template <class T>
auto field(T CrossEncoderInfo::* member) {
  return [member](const CrossEncoder& encoder) { return encoder.info().*member; };
}

}  // namespace

void register_cross_encoder(py::module_& m) {
  py::class_<CrossEncoder>(m, "CrossEncoder")
      .def(py::init(&load), py::arg("folder"), py::kw_only(), py::arg("precision") = "float32",
           py::call_guard<py::gil_scoped_release>())
      .def("score", &score, py::arg("ids").noconvert(), py::arg("offsets").noconvert(), py::arg("types").noconvert(),
           py::kw_only(), py::arg("threads") = 0)
      .def_property_readonly("family", field(&CrossEncoderInfo::family))
      .def_property_readonly("transformer", field(&CrossEncoderInfo::transformer))
      .def_property_readonly("files", field(&CrossEncoderInfo::files))
      .def_property_readonly("labels", field(&CrossEncoderInfo::labels))
      .def_property_readonly("vocabulary", field(&CrossEncoderInfo::vocabulary))
      .def_property_readonly("types", field(&CrossEncoderInfo::types))
      .def_property_readonly("max_length", field(&CrossEncoderInfo::max_length));
}
