#include "revector/encoder.hpp"

#include <pybind11/stl.h>

#include <atomic>
#include <optional>

#include "bindings/arrays.hpp"
#include "bindings/registers.hpp"

namespace {

using revector::Encoder;
using revector::EncoderInfo;

/// Set by one Python thread to stop the core's work for another.
struct CancelFlag {
  std::atomic<bool> raised{false};
};

Array<float> encode(const Encoder& encoder, const Array<std::int32_t>& ids, const Array<std::int64_t>& offsets,
                    std::optional<Array<float>> given, bool normalize, std::size_t threads, const CancelFlag* cancel,
                    std::size_t unpooled) {
  const auto tokens = elements(ids, "ids");
  const auto bounds = elements(offsets, "offsets");
  auto out = given ? *given : new_matrix<float>(bounds.empty() ? 0 : bounds.size() - 1, encoder.info().dimension);
  const auto rows = mutable_view(out, "out");
  const py::gil_scoped_release nogil;
  encoder.encode(tokens, bounds, rows,
                 {.normalize = normalize,
                  .threads = threads,
                  .cancelled = cancel == nullptr ? nullptr : &cancel->raised,
                  .unpooled = unpooled});
  return out;
}

Encoder load(const std::string& folder, const std::string& precision) {
  return Encoder::load(folder, revector::precision_named(precision));
}

template <class T>
auto field(T EncoderInfo::* member) {
  return [member](const Encoder& encoder) { return encoder.info().*member; };
}

}  // namespace

void register_encoder(py::module_& m) {
  py::class_<CancelFlag>(m, "CancelFlag").def(py::init<>()).def("set", [](CancelFlag& flag) { flag.raised = true; });
  py::class_<Encoder>(m, "Encoder")
      .def(py::init(&load), py::arg("folder"), py::kw_only(), py::arg("precision") = "auto",
           py::call_guard<py::gil_scoped_release>())
      .def("encode", &encode, py::arg("ids").noconvert(), py::arg("offsets").noconvert(), py::kw_only(),
           py::arg("out").noconvert() = py::none(), py::arg("normalize") = true, py::arg("threads") = 0,
           py::arg("cancel") = py::none(), py::arg("unpooled") = 0)
      .def_property_readonly("family", field(&EncoderInfo::family))
      .def_property_readonly("transformer", field(&EncoderInfo::transformer))
      .def_property_readonly("weights", field(&EncoderInfo::weights))
      .def_property_readonly("files", field(&EncoderInfo::files))
      .def_property_readonly("dimension", field(&EncoderInfo::dimension))
      .def_property_readonly("vocabulary", field(&EncoderInfo::vocabulary))
      .def_property_readonly("max_length", field(&EncoderInfo::max_length))
      .def_property_readonly("pooling",
                             [](const Encoder& encoder) { return revector::pooling_name(encoder.info().pooling); })
      .def_property_readonly("precision",
                             [](const Encoder& encoder) { return revector::precision_name(encoder.info().precision); })
      .def_property_readonly("normalized", field(&EncoderInfo::normalized));
}
