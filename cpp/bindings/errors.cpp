#include "revector/errors.hpp"

#include <cerrno>

#include "bindings/registers.hpp"

namespace {

void raise(const char* name, const char* message) {
  const py::object type = py::module_::import("revector.errors").attr(name);
  PyErr_SetString(type.ptr(), message);
}

void translate(std::exception_ptr failure) {
  try {
    if (failure) std::rethrow_exception(failure);
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
  }
}

}  // namespace

void register_errors() { py::register_exception_translator(translate); }
