/// @file
/// One persistent pool of threads a process, shared by everything in the core.
#pragma once

#include <cstddef>
#include <functional>

namespace revector {

/// Call body(begin, end) over [0, n) in pieces of at most `grain`, on the pool and on the calling thread; returns when
/// all is done. Pieces are taken in order by whoever is free, so the work must not depend on who does it. The first
/// exception thrown by body is rethrown here after the running pieces have ended; pieces not begun are dropped. May be
/// called from several threads at once and from within body.
void parallel_for(std::size_t n, std::size_t grain, const std::function<void(std::size_t, std::size_t)>& body);

}  // namespace revector
