/// @file
/// How much of the machine's CPUs a container may use.
#pragma once

#include <optional>
#include <string>

namespace revector {

/// CPUs that the control groups of this process may keep busy, on average: the smallest quota from its own group up to
/// the root, of version 1 (cpu.cfs_quota_us / cpu.cfs_period_us) and version 2 (cpu.max). None where nothing limits
/// it, where files are missing, and where they hold something else.
/// @param root  what stands before /proc/self/cgroup, /proc/self/mountinfo and the paths that these name; "" but in
///              tests
std::optional<double> cpu_quota(const std::string& root = "");

}  // namespace revector
