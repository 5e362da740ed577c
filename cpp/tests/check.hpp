/// @file
/// A test runner of one page: TEST(name) { CHECK(...); CHECK_THROWS(Type, ...); } and a main().
#pragma once

#include <cmath>
#include <cstdio>
#include <exception>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "revector/device.hpp"
#include "revector/errors.hpp"

namespace check {

inline std::vector<std::pair<std::string, std::function<void()>>>& tests() {
  static std::vector<std::pair<std::string, std::function<void()>>> all;
  return all;
}

inline int& failures() {
  static int count = 0;
  return count;
}

inline bool add(const char* name, std::function<void()> body) {
  tests().emplace_back(name, std::move(body));
  return true;
}

inline void report(bool passed, const char* expression, const char* file, int line) {
  if (passed) return;
  ++failures();
  std::printf("  %s:%d: %s\n", file, line, expression);
}

/// Exit status 77 means "skipped" to ctest: the forced instruction set is not there.
inline bool forced_isa_is_missing() {
  try {
    revector::active_isa();
    return false;
  } catch (const revector::DeviceUnavailable& error) {
    std::printf("skipped: %s\n", error.what());
    return true;
  }
}

inline int run_all() {
  if (forced_isa_is_missing()) return 77;
  for (const auto& [name, body] : tests()) {
    const int before = failures();
    try {
      body();
    } catch (const std::exception& error) {
      ++failures();
      std::printf("  unexpected exception: %s\n", error.what());
    }
    std::printf("%s %s\n", failures() == before ? "ok  " : "FAIL", name.c_str());
  }
  std::printf("%zu tests, %d failed checks\n", tests().size(), failures());
  return failures() == 0 ? 0 : 1;
}

}  // namespace check

#define TEST(name)                                             \
  static void name();                                          \
  static const bool name##_added = check::add(#name, &(name)); \
  static void name()
#define CHECK(expression) check::report(static_cast<bool>(expression), #expression, __FILE__, __LINE__)
#define CHECK_NEAR(a, b, tolerance) check::report(std::abs((a) - (b)) <= (tolerance), #a " ~ " #b, __FILE__, __LINE__)
#define CHECK_THROWS(type, expression)                                       \
  do {                                                                       \
    bool thrown = false;                                                     \
    try {                                                                    \
      (void)(expression);                                                    \
    } catch (const type&) {                                                  \
      thrown = true;                                                         \
    }                                                                        \
    check::report(thrown, #expression " throws " #type, __FILE__, __LINE__); \
  } while (false)
#define TEST_MAIN() \
  int main() { return check::run_all(); }
