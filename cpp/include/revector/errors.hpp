/// @file
/// What the C++ API throws. Messages say what was got, what was expected and what to do.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

#include "revector/export.hpp"

namespace revector {

/// Base class of everything librevector throws on purpose (allocation failures stay std::bad_alloc).
class REVECTOR_API Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An argument has a value the function does not accept.
class REVECTOR_API InvalidArgument : public Error {
 public:
  using Error::Error;
};

/// A matrix has the wrong number of rows or columns.
class REVECTOR_API ShapeError : public Error {
 public:
  using Error::Error;
};

/// NaN, infinity, or a decomposition that did not converge.
class REVECTOR_API NumericalError : public Error {
 public:
  using Error::Error;
};

/// An index file is truncated, inconsistent, or something else altogether.
class REVECTOR_API CorruptIndex : public Error {
 public:
  using Error::Error;
};

/// A label is unknown, deleted, negative, or there twice.
class REVECTOR_API LabelError : public InvalidArgument {
 public:
  /// @param problem     what follows "label 5 " in the message
  /// @param is_unknown  whether a list of the labels that are there would help
  LabelError(std::int64_t label, const std::string& problem, bool is_unknown = false)
      : InvalidArgument("label " + std::to_string(label) + " " + problem +
                        (is_unknown ? "; labels() lists what is" : "")),
        label_(label),
        problem_(problem),
        is_unknown_(is_unknown) {}
  std::int64_t label() const { return label_; }
  const std::string& problem() const { return problem_; }
  bool is_unknown() const { return is_unknown_; }

 private:
  std::int64_t label_;
  std::string problem_;
  bool is_unknown_;
};

/// An index file is sound, as far as one can see, but of a kind or with contents that are not supported.
class REVECTOR_API UnsupportedIndex : public InvalidArgument {
 public:
  using InvalidArgument::InvalidArgument;
};

/// An instruction set or a device that was asked for is not there.
class REVECTOR_API DeviceUnavailable : public Error {
 public:
  using Error::Error;
};

/// A model folder cannot be loaded, or a text cannot be encoded.
class REVECTOR_API EncoderError : public Error {
 public:
  using Error::Error;
};

/// The caller has called the work off (`EncodeOptions::cancelled`).
class REVECTOR_API Cancelled : public Error {
 public:
  using Error::Error;
};

/// The operating system refused to open, read or write a file.
class REVECTOR_API IoError : public Error {
 public:
  /// @param code  errno of the failure
  IoError(const std::string& message, int code, std::string path)
      : Error(message), code_(code), path_(std::move(path)) {}
  int code() const { return code_; }
  const std::string& path() const { return path_; }

 private:
  int code_;
  std::string path_;
};

}  // namespace revector
