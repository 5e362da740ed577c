#include "revector/encoder.hpp"

#include <pybind11/stl.h>

#include <atomic>
#include <optional>

#include "bindings/arrays.hpp"
#include "bindings/registers.hpp"

namespace {

using revector::Encoder;
using revector::EncoderInfo;
using revector::Precision;

/// Set by one Python thread to stop the core's work for another.
struct CancelFlag {
  std::atomic<bool> raised{false};
};

template <class T>
std::span<const T> row(const Array<T>& array, const char* name) {
  if (array.ndim() != 1 || (array.shape(0) > 1 && array.strides(0) != static_cast<py::ssize_t>(sizeof(T))))
    throw revector::ShapeError(std::string(name) + " is not a contiguous array of one dimension");
  return {array.data(), static_cast<std::size_t>(array.shape(0))};
}

Array<float> encode(const Encoder& encoder, const Array<std::int32_t>& ids, const Array<std::int64_t>& offsets,
                    std::optional<Array<float>> given, bool normalize, std::size_t threads, const CancelFlag* cancel) {
  const auto tokens = row(ids, "ids");
  const auto bounds = row(offsets, "offsets");
  auto out = given ? *given : new_matrix<float>(bounds.empty() ? 0 : bounds.size() - 1, encoder.info().dimension);
  const auto rows = mutable_view(out, "out");
  const py::gil_scoped_release nogil;
  encoder.encode(tokens, bounds, rows, {normalize, threads, cancel == nullptr ? nullptr : &cancel->raised});
  return out;
}

/// @param name  "auto", or the name of a precision
Encoder load(const std::string& folder, const std::string& name) {
  if (name == "auto") return Encoder::load(folder);
  for (Precision precision : {Precision::float32, Precision::bfloat16, Precision::int8})
    if (name == revector::precision_name(precision)) return Encoder::load(folder, precision);
  throw revector::InvalidArgument("precision is '" + name + "', expected 'auto', 'float32', 'bfloat16' or 'int8'");
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
           py::arg("cancel") = py::none())
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
