#include "revector/errors.hpp"

#include <cerrno>
#include <new>
#include <stdexcept>
#include <string>

#include "bindings/registers.hpp"

namespace {

/// A message may hold the bytes of a damaged file or a path in any encoding.
void raise(const py::object& type, const std::string& message) {
  const auto text = py::reinterpret_steal<py::object>(
      PyUnicode_DecodeUTF8(message.data(), static_cast<py::ssize_t>(message.size()), "backslashreplace"));
  PyErr_SetObject(type.ptr(), text.ptr());
}

void raise(const char* name, const std::string& message) {
  raise(py::module_::import("revector.errors").attr(name), message);
}

void translate(std::exception_ptr failure) {
  try {
    if (failure) std::rethrow_exception(failure);
  } catch (const revector::UnsupportedIndex& error) {
    raise("UnsupportedIndexError", error.what());
  } catch (const revector::LabelError& error) {  // ids are what this surface calls labels
    raise("InvalidArgumentError", "id " + std::to_string(error.label()) + " " + error.problem() +
                                      (error.is_unknown() ? "; ids() lists what is" : ""));
  } catch (const revector::InvalidArgument& error) {
    raise("InvalidArgumentError", error.what());
  } catch (const revector::ShapeError& error) {
    raise("ShapeError", error.what());
  } catch (const revector::NumericalError& error) {
    raise("NumericalError", error.what());
  } catch (const revector::CorruptIndex& error) {
    raise("CorruptIndexError", error.what());
  } catch (const revector::DeviceUnavailable& error) {
    raise("DeviceUnavailableError", error.what());
  } catch (const revector::EncoderError& error) {
    raise("EncoderError", error.what());
  } catch (const revector::Cancelled& error) {
    raise("CancelledError", error.what());
  } catch (const revector::IoError& error) {
    errno = error.code();  // the subclass of OSError (FileNotFoundError, ...) follows from it
    PyErr_SetFromErrnoWithFilename(PyExc_OSError, error.path().c_str());
  } catch (const std::bad_alloc&) {
    raise(py::reinterpret_borrow<py::object>(PyExc_MemoryError),
          "there is not enough memory for this; ask for less at a time, or for fewer results");
  } catch (const std::length_error&) {  // of a vector: more than there are addresses
    raise(py::reinterpret_borrow<py::object>(PyExc_MemoryError), "this does not fit into the memory of any machine");
  }
}

}  // namespace

void register_errors() { py::register_exception_translator(translate); }
