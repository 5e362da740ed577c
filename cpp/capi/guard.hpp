/// @file
/// Exceptions to status codes: every function of the C ABI is `return guard([&] { ... });`.
#pragma once

#include <exception>
#include <string>

#include "revector/errors.hpp"
#include "revector/revector.h"

namespace revector::capi {

/// Remember the message for revector_last_error() and return the status.
revector_status fail(revector_status status, const char* message) noexcept;

/// The status for the exception being handled.
revector_status status_of_current_exception() noexcept;

template <class Body>
revector_status guard(Body&& body) noexcept {
  try {
    body();
    return REVECTOR_OK;
  } catch (...) {
    return status_of_current_exception();
  }
}

/// @throws InvalidArgument naming the argument that is null. Check a place for a result before making the result.
template <class T>
T& require(T* pointer, const char* name) {
  if (pointer == nullptr) throw InvalidArgument(std::string(name) + " is NULL, expected a pointer");
  return *pointer;
}

}  // namespace revector::capi
