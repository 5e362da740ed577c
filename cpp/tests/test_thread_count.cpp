#include "core/thread_count.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "check.hpp"
#include "core/cpu_quota.hpp"

namespace {

using revector::cpu_quota;
using revector::thread_count;
using revector::ThreadBounds;
namespace fs = std::filesystem;

/// The files of /proc and /sys of some machine.
struct Machine {
  Machine(const std::string& own_groups, const std::string& mounts) {
    write("/proc/self/cgroup", own_groups);
    write("/proc/self/mountinfo", "22 1 0:20 / /proc rw,nosuid - proc proc rw\n" + mounts);
  }
  ~Machine() { fs::remove_all(root); }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  void write(const std::string& path, const std::string& text) const {
    fs::create_directories(fs::path(root + path).parent_path());
    std::ofstream(root + path) << text;
  }

  const std::string root = fs::temp_directory_path() / ("revector_machine_" + std::to_string(getpid()));
};

const std::string v2_mount = "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
const std::string v1_mounts =
    "31 22 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "32 22 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "33 22 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n";

TEST(a_machine_without_control_groups_has_no_quota) {
  CHECK(!cpu_quota("/nowhere"));
  CHECK(!cpu_quota(Machine("", "").root));
  CHECK(!cpu_quota(Machine("0::/\n", v2_mount).root));
}

TEST(the_least_quota_from_the_own_group_up_counts_in_version_2) {
  const Machine machine("0::/docker/box/worker\n", v2_mount);
  machine.write("/sys/fs/cgroup/docker/box/worker/cpu.max", "max 100000\n");
  CHECK(!cpu_quota(machine.root));
  machine.write("/sys/fs/cgroup/docker/box/cpu.max", "150000 100000\n");
  CHECK(cpu_quota(machine.root) == 1.5);
  machine.write("/sys/fs/cgroup/docker/cpu.max", "400000 100000\n");
  CHECK(cpu_quota(machine.root) == 1.5);
  machine.write("/sys/fs/cgroup/docker/box/worker/cpu.max", "25000 50000\n");
  CHECK(cpu_quota(machine.root) == 0.5);
}

TEST(a_container_whose_root_is_its_own_group_sees_its_quota) {
  const Machine inside("0::/\n", v2_mount);
  inside.write("/sys/fs/cgroup/cpu.max", "200000 100000\n");
  CHECK(cpu_quota(inside.root) == 2.0);
  const Machine outside("0::/../../elsewhere\n", v2_mount);
  outside.write("/sys/fs/cgroup/cpu.max", "300000 100000\n");
  CHECK(cpu_quota(outside.root) == 3.0);
}

TEST(quotas_of_version_1_are_found_where_its_cpu_controller_is_mounted) {
  const Machine machine("9:cpuset:/\n4:cpu,cpuacct:/user.slice/job\n1:name=systemd:/x\n", v1_mounts);
  const std::string group = "/sys/fs/cgroup/cpu,cpuacct/user.slice";
  machine.write(group + "/job/cpu.cfs_quota_us", "-1\n");
  machine.write(group + "/job/cpu.cfs_period_us", "100000\n");
  CHECK(!cpu_quota(machine.root));
  machine.write(group + "/cpu.cfs_quota_us", "250000\n");
  machine.write(group + "/cpu.cfs_period_us", "50000\n");
  CHECK(cpu_quota(machine.root) == 5.0);
}

TEST(a_container_of_version_1_that_has_the_paths_of_its_host_sees_its_quota) {
  const Machine machine("4:cpu,cpuacct:/docker/abc/inner\n",
                        "32 22 0:28 /docker/abc /sys/fs/cgroup/a\\040b ro master:9 - cgroup cgroup rw,cpu,cpuacct\n");
  machine.write("/sys/fs/cgroup/a b/cpu.cfs_quota_us", "100000\n");
  machine.write("/sys/fs/cgroup/a b/cpu.cfs_period_us", "100000\n");
  CHECK(cpu_quota(machine.root) == 1.0);
  machine.write("/proc/self/cgroup", "4:cpu,cpuacct:/not/mounted/here\n");
  CHECK(cpu_quota(machine.root) == 1.0);
}

TEST(files_that_hold_something_else_mean_no_quota) {
  const Machine machine("0::/\nnonsense\n:\n", "short\n30 22 - \n" + v2_mount);
  for (const char* text : {"", "\n", "many 100000", "0 100000", "-5 100000", "100000 0", "100000 -3"}) {
    machine.write("/sys/fs/cgroup/cpu.max", text);
    CHECK(!cpu_quota(machine.root));
  }
  machine.write("/sys/fs/cgroup/cpu.max", "100000");  // the period of the kernel, if there is none
  CHECK(cpu_quota(machine.root) == 1.0);
}

std::size_t threads(const ThreadBounds& bounds) { return thread_count(bounds).threads; }

TEST(the_least_of_affinity_quota_and_openmp_decides) {
  CHECK(threads({8, {}, nullptr, nullptr}) == 8);
  CHECK(threads({8, 3.0, nullptr, nullptr}) == 3);
  CHECK(threads({8, 3.0, nullptr, "2"}) == 2);
  CHECK(threads({2, 3.0, nullptr, "16"}) == 2);
  CHECK(threads({8, {}, nullptr, " 4 , 2"}) == 4);
}

TEST(a_quota_is_rounded_up) {
  CHECK(threads({8, 0.1, nullptr, nullptr}) == 1);
  CHECK(threads({8, 1.5, nullptr, nullptr}) == 2);
  CHECK(threads({8, 2.0, nullptr, nullptr}) == 2);
  CHECK(threads({8, 1e300, nullptr, nullptr}) == 8);
}

TEST(openmp_settings_that_are_not_numbers_are_passed_over) {
  for (const char* text : {"", " ", ",", "0", "-1", "two", "2x", "99999999999999999999999"})
    CHECK(threads({8, {}, nullptr, text}) == 8);
}

TEST(our_own_variable_comes_before_everything) {
  CHECK(threads({2, 1.0, "6", "1"}) == 6);
  CHECK(threads({2, {}, "", nullptr}) == 2);
  for (const char* text : {"0", "-1", "1.5", " 4", "4 ", "many", "1025", "99999999999999999999999"})
    CHECK_THROWS(revector::InvalidArgument, thread_count({2, {}, text, nullptr}));
}

TEST(what_decided_is_told) {
  CHECK(thread_count({8, 1.5, nullptr, "4"}).reason == "affinity 8, quota 1.5, OMP_NUM_THREADS 4");
  CHECK(thread_count({8, {}, nullptr, nullptr}).reason == "affinity 8, quota none");
  CHECK(thread_count({8, {}, "3", nullptr}).reason == "REVECTOR_NUM_THREADS");
}

TEST(no_machine_gets_more_threads_than_the_pool_can_have) {
  CHECK(threads({5000, {}, nullptr, nullptr}) == revector::max_threads);
  CHECK(threads({0, {}, nullptr, nullptr}) == 1);
}

}  // namespace

TEST_MAIN()
