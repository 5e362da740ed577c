#include "revector/device.hpp"

#include "bindings/registers.hpp"

void register_device(py::module_& m) {
  m.attr("__version__") = revector::version();
  m.def("active_isa", [] { return std::string(revector::isa_name(revector::active_isa())); });
  m.def("available_isas", [] {
    py::list names;
    for (revector::Isa isa : revector::available_isas()) names.append(revector::isa_name(isa));
    return names;
  });
  m.def("cuda_available", &revector::cuda_available, py::call_guard<py::gil_scoped_release>());
  m.def("return_freed_memory", &revector::return_freed_memory, py::call_guard<py::gil_scoped_release>());
  m.def("num_threads", &revector::num_threads);
  m.def("num_threads_reason", &revector::num_threads_reason);
  m.def("set_num_threads", &revector::set_num_threads, py::arg("n"), py::call_guard<py::gil_scoped_release>());
}
