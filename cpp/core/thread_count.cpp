#include "core/thread_count.hpp"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "core/cpu_quota.hpp"
#include "revector/errors.hpp"

namespace revector {
namespace {

/// A positive integer that is the whole text.
std::optional<std::size_t> positive(std::string_view text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_whole = error == std::errc() && end == text.data() + text.size();
  return is_whole && value > 0 ? std::optional(value) : std::nullopt;
}

/// OpenMP takes a list, a number for each level of nesting, with blanks around them.
std::optional<std::size_t> first_of_list(std::string_view text) {
  constexpr const char* blanks = " \t";
  text = text.substr(0, text.find(','));
  const std::size_t begin = text.find_first_not_of(blanks), end = text.find_last_not_of(blanks);
  return begin == std::string_view::npos ? std::nullopt : positive(text.substr(begin, end - begin + 1));
}

bool is_set(const char* variable) { return variable != nullptr && *variable != '\0'; }

std::string in_cpus(double quota) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.4g", quota);
  return text;
}

}  // namespace

ThreadCount thread_count(const ThreadBounds& bounds) {
  if (is_set(bounds.own)) {
    const auto wanted = positive(bounds.own);
    if (!wanted || *wanted > max_threads)
      throw InvalidArgument("REVECTOR_NUM_THREADS is '" + std::string(bounds.own) +
                            "', expected an integer from 1 to " + std::to_string(max_threads));
    return {*wanted, "REVECTOR_NUM_THREADS"};
  }
  ThreadCount found{bounds.affinity, "affinity " + std::to_string(bounds.affinity) + ", quota " +
                                         (bounds.quota ? in_cpus(*bounds.quota) : "none")};
  if (bounds.quota && *bounds.quota < static_cast<double>(max_threads))
    found.threads = std::min(found.threads, static_cast<std::size_t>(std::ceil(*bounds.quota)));
  if (const auto omp = is_set(bounds.omp) ? first_of_list(bounds.omp) : std::nullopt) {
    found.threads = std::min(found.threads, *omp);
    found.reason += ", OMP_NUM_THREADS " + std::to_string(*omp);
  }
  found.threads = std::clamp<std::size_t>(found.threads, 1, max_threads);
  return found;
}

ThreadBounds thread_bounds() {
  cpu_set_t cpus;
  const bool is_known = sched_getaffinity(0, sizeof(cpus), &cpus) == 0;
  const auto affinity = is_known ? static_cast<unsigned>(CPU_COUNT(&cpus)) : std::thread::hardware_concurrency();
  return {std::max(1U, affinity), cpu_quota(), std::getenv("REVECTOR_NUM_THREADS"), std::getenv("OMP_NUM_THREADS")};
}

}  // namespace revector
