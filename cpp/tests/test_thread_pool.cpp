#include "core/thread_pool.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "check.hpp"

namespace {

TEST(every_index_is_visited_once) {
  for (std::size_t n : {0, 1, 7, 1000}) {
    std::vector<std::atomic<int>> visits(n);
    revector::parallel_for(n, 3, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) ++visits[i];
    });
    for (const auto& count : visits) CHECK(count == 1);
  }
}

TEST(an_exception_reaches_the_caller_and_the_pool_goes_on) {
  const auto fail = [] {
    revector::parallel_for(100, 1, [](std::size_t begin, std::size_t) {
      if (begin == 50) throw std::runtime_error("fifty");
    });
  };
  CHECK_THROWS(std::runtime_error, fail());
  std::atomic<int> sum{0};
  revector::parallel_for(10, 1, [&](std::size_t, std::size_t) { ++sum; });
  CHECK(sum == 10);
}

TEST(loops_may_be_nested_and_run_from_many_threads) {
  std::atomic<int> sum{0};
  const auto nested = [&] {
    revector::parallel_for(8, 1, [&](std::size_t, std::size_t) {
      revector::parallel_for(8, 1, [&](std::size_t, std::size_t) { ++sum; });
    });
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back(nested);
  for (std::thread& thread : threads) thread.join();
  CHECK(sum == 4 * 64);
}

TEST(the_size_of_the_pool_can_be_changed) {
  revector::set_num_threads(3);
  CHECK(revector::num_threads() == 3);
  CHECK_THROWS(revector::InvalidArgument, revector::set_num_threads(0));
  CHECK_THROWS(revector::InvalidArgument, revector::set_num_threads(100000));
}

/// The most threads that work on a loop, which waits until as many have come as there may be.
std::size_t most_at_work(std::size_t expected) {
  std::atomic<std::size_t> here{0}, most{0};
  revector::parallel_for(64, 1, [&](std::size_t, std::size_t) {
    const std::size_t now = ++here;
    for (std::size_t seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
    }
    for (int pause = 0; pause < 2000 && most < expected; ++pause) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    --here;
  });
  return most;
}

TEST(a_limit_holds_for_the_calls_of_its_thread_and_then_no_more) {
  revector::set_num_threads(4);
  for (std::size_t limit : {1, 2, 3}) {
    const revector::ThreadLimit limited(limit);
    CHECK(revector::num_threads() == limit);
    CHECK(most_at_work(limit) <= limit);
    std::size_t elsewhere = 0;
    std::thread([&] { elsewhere = revector::num_threads(); }).join();
    CHECK(elsewhere == 4);
  }
  CHECK(revector::num_threads() == 4);
  CHECK(most_at_work(4) > 1);
}

TEST(a_limit_holds_in_nested_loops_and_is_not_raised_by_another) {
  revector::set_num_threads(4);
  const revector::ThreadLimit limited(2);
  const revector::ThreadLimit wider(3), none(0);
  CHECK(revector::num_threads() == 2);
  std::atomic<std::size_t> here{0}, most{0};
  revector::parallel_for(16, 1, [&](std::size_t, std::size_t) {
    revector::parallel_for(16, 1, [&](std::size_t, std::size_t) {
      const std::size_t now = ++here;
      for (std::size_t seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
      }
      std::this_thread::sleep_for(std::chrono::microseconds(50));
      --here;
    });
  });
  CHECK(most <= 2);
}

TEST(where_the_number_comes_from_is_told) {
  revector::set_num_threads(3);
  CHECK(revector::num_threads_reason() == "set_num_threads");
}

#ifndef __SANITIZE_THREAD__  // TSan does not follow threads across fork
TEST(a_forked_child_gets_threads_of_its_own) {
  std::atomic<int> warm{0};
  revector::parallel_for(100, 1, [&](std::size_t, std::size_t) { ++warm; });
  const pid_t child = fork();
  if (child == 0) {
    std::atomic<int> sum{0};
    revector::parallel_for(100, 1, [&](std::size_t, std::size_t) { ++sum; });
    _exit(sum == 100 ? 0 : 1);
  }
  int status = 1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
#endif

}  // namespace

TEST_MAIN()
