#include "capi/guard.hpp"

#include <new>

#include "revector/device.hpp"

namespace revector::capi {
namespace {

thread_local std::string last_error;

}  // namespace

revector_status fail(revector_status status, const char* message) noexcept {
  try {
    last_error = message;
  } catch (...) {
    last_error.clear();  // no memory for the message: the status still tells
  }
  return status;
}

revector_status status_of_current_exception() noexcept {
  try {
    throw;
  } catch (const UnsupportedIndex& error) {
    return fail(REVECTOR_UNSUPPORTED_INDEX, error.what());
  } catch (const InvalidArgument& error) {
    return fail(REVECTOR_INVALID_ARGUMENT, error.what());
  } catch (const ShapeError& error) {
    return fail(REVECTOR_SHAPE_ERROR, error.what());
  } catch (const NumericalError& error) {
    return fail(REVECTOR_NUMERICAL_ERROR, error.what());
  } catch (const CorruptIndex& error) {
    return fail(REVECTOR_CORRUPT_INDEX, error.what());
  } catch (const DeviceUnavailable& error) {
    return fail(REVECTOR_DEVICE_UNAVAILABLE, error.what());
  } catch (const EncoderError& error) {
    return fail(REVECTOR_ENCODER_ERROR, error.what());
  } catch (const IoError& error) {
    return fail(REVECTOR_IO_ERROR, error.what());
  } catch (const std::bad_alloc&) {
    return fail(REVECTOR_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception& error) {
    return fail(REVECTOR_INTERNAL_ERROR, error.what());
  } catch (...) {
    return fail(REVECTOR_INTERNAL_ERROR, "unknown exception");
  }
}

}  // namespace revector::capi

const char* revector_last_error(void) { return revector::capi::last_error.c_str(); }

const char* revector_version(void) { return REVECTOR_VERSION; }
