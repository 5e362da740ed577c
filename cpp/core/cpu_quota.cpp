#include "core/cpu_quota.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string_view>
#include <vector>

namespace revector {
namespace {

constexpr double default_period_us = 100'000;

/// A hierarchy of groups: where it is mounted, and which of its groups is seen there.
struct Mount {
  std::string group, point;
  bool is_v2;
};

bool lists(const std::string& names, std::string_view wanted) {
  std::istringstream in(names);
  for (std::string name; std::getline(in, name, ',');)
    if (name == wanted) return true;
  return false;
}

/// Paths in mountinfo have spaces and the like as a backslash and three octal digits.
std::string unescaped(const std::string& path) {
  std::string out;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const std::string_view digits = std::string_view(path).substr(i + 1, 3);
    if (path[i] == '\\' && digits.size() == 3 && digits.find_first_not_of("01234567") == std::string_view::npos) {
      out += static_cast<char>((digits[0] - '0') * 64 + (digits[1] - '0') * 8 + (digits[2] - '0'));
      i += 3;
    } else {
      out += path[i];
    }
  }
  return out;
}

/// "id parent device ROOT POINT options … - TYPE source SUPER", see proc(5).
std::vector<Mount> cpu_mounts(const std::string& root) {
  std::vector<Mount> mounts;
  std::ifstream in(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(in, line);) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::string id, parent, device, group, point, type, source, super;
    std::istringstream(line) >> id >> parent >> device >> group >> point;
    std::istringstream(line.substr(dash + 3)) >> type >> source >> super;
    if (type == "cgroup2" || (type == "cgroup" && lists(super, "cpu")))
      mounts.push_back({unescaped(group), root + unescaped(point), type == "cgroup2"});
  }
  return mounts;
}

/// The group of this process in the hierarchy, from lines "number:controllers:path"; version 2 has number 0.
std::string own_group(const std::string& root, bool is_v2) {
  std::ifstream in(root + "/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (is_v2 ? controllers.empty() : lists(controllers, "cpu")) return line.substr(second + 1);
  }
  return "/";
}

/// What of the path lies below the group that is mounted; nothing where the group is not one that can be seen here, as
/// in a container that has the paths of its host.
std::string below(const std::string& group, const std::string& path) {
  if (group == "/") return path == "/" || path.find("/..") != std::string::npos ? "" : path;
  const bool is_inside =
      path.compare(0, group.size(), group) == 0 && (path.size() == group.size() || path[group.size()] == '/');
  return is_inside ? path.substr(group.size()) : "";
}

std::optional<double> quota_of(double quota_us, double period_us) {
  return quota_us > 0 && period_us > 0 ? std::optional(quota_us / period_us) : std::nullopt;
}

std::optional<double> quota_of_group(const std::string& folder, bool is_v2) {
  double quota = 0, period = default_period_us;
  if (is_v2) {  // "max 100000" is not a number, and means none
    std::ifstream in(folder + "/cpu.max");
    if (!(in >> quota)) return std::nullopt;
    if (double given = 0; in >> given) period = given;
  } else {  // -1 means none
    if (!(std::ifstream(folder + "/cpu.cfs_quota_us") >> quota)) return std::nullopt;
    if (double given = 0; std::ifstream(folder + "/cpu.cfs_period_us") >> given) period = given;
  }
  return quota_of(quota, period);
}

}  // namespace

std::optional<double> cpu_quota(const std::string& root) {
  std::optional<double> least;
  for (const Mount& mount : cpu_mounts(root))
    for (std::string path = below(mount.group, own_group(root, mount.is_v2));; path.resize(path.rfind('/'))) {
      if (const auto found = quota_of_group(mount.point + path, mount.is_v2))
        least = std::min(*found, least.value_or(*found));
      if (path.find('/') == std::string::npos) break;
    }
  return least;
}

}  // namespace revector
