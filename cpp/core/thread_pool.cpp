#include "core/thread_pool.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/thread_count.hpp"
#include "revector/device.hpp"
#include "revector/errors.hpp"

namespace revector {
namespace {

constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();

/// Threads that may work for the calls of this one, itself included; see ThreadLimit.
thread_local std::size_t thread_limit = no_limit;

/// One parallel_for: shared by the caller and the workers that help it.
struct Job {
  Job(std::size_t n, std::size_t grain, const std::function<void(std::size_t, std::size_t)>& body)
      : n(n), grain(grain), body(body), limit(thread_limit) {}

  const std::size_t n;
  const std::size_t grain;
  const std::function<void(std::size_t, std::size_t)>& body;
  const std::size_t limit;  // threads inside run(), the caller included
  std::atomic<std::size_t> next{0};
  std::size_t helpers = 0;     // workers inside run(); guarded by the pool's mutex
  std::exception_ptr failure;  // guarded by the pool's mutex

  bool exhausted() const { return next.load(std::memory_order_relaxed) >= n; }
  bool wants_help() const { return helpers + 1 < limit && !exhausted(); }  // the pool's mutex is held

  /// Take pieces until none is left. Returns the exception that stopped it, if any.
  std::exception_ptr run() noexcept {
    const ThreadLimit alone(limit == no_limit ? 0 : 1);  // loops within the pieces: all threads allowed are here
    try {
      for (;;) {
        const std::size_t begin = next.fetch_add(grain);
        if (begin >= n) return nullptr;
        body(begin, std::min(begin + grain, n));
      }
    } catch (...) {
      next.store(n);
      return std::current_exception();
    }
  }
};

class Pool {
 public:
  explicit Pool(std::size_t threads) {
    for (std::size_t i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
  }
  ~Pool() {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  std::size_t size() const { return workers_.size() + 1; }

  void run(Job& job) {
    {
      const std::scoped_lock lock(mutex_);
      jobs_.push_back(&job);
    }
    wake_.notify_all();
    const std::exception_ptr failure = job.run();
    std::unique_lock lock(mutex_);
    jobs_.erase(std::find(jobs_.begin(), jobs_.end(), &job));
    if (failure) job.failure = failure;
    done_.wait(lock, [&] { return job.helpers == 0; });
    if (job.failure) std::rethrow_exception(job.failure);
  }

 private:
  Job* waiting_job() {
    const auto found = std::find_if(jobs_.begin(), jobs_.end(), [](const Job* job) { return job->wants_help(); });
    return found == jobs_.end() ? nullptr : *found;
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      Job* job = nullptr;
      wake_.wait(lock, [&] { return stopping_ || (job = waiting_job()) != nullptr; });
      if (stopping_) return;
      ++job->helpers;
      lock.unlock();
      const std::exception_ptr failure = job->run();
      lock.lock();
      if (failure && !job->failure) job->failure = failure;
      if (--job->helpers == 0) done_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::deque<Job*> jobs_;
  bool stopping_ = false;
  std::vector<std::thread> workers_;  // last: threads start when everything else is ready
};

std::mutex pool_mutex;
std::shared_ptr<Pool> pool;  // guarded by pool_mutex
/// Of the pool, and of one that a child of fork() makes; guarded by pool_mutex.
std::optional<ThreadCount> count;

/// A child of fork() has the parent's pool but none of its threads: leave the pool alone (joining would hang) and start
/// another at the next use.
void forget_pool_in_child() {
  new (&pool_mutex) std::mutex;
  new std::shared_ptr<Pool>(std::move(pool));
  pool.reset();
}

std::shared_ptr<Pool> current_pool() {
  static const int registered = pthread_atfork(nullptr, nullptr, forget_pool_in_child);
  (void)registered;
  const std::scoped_lock lock(pool_mutex);
  if (!count) count = thread_count(thread_bounds());
  if (!pool) pool = std::make_shared<Pool>(count->threads);
  return pool;
}

}  // namespace

std::size_t num_threads() { return std::min(current_pool()->size(), thread_limit); }

std::string num_threads_reason() {
  current_pool();
  const std::scoped_lock lock(pool_mutex);
  return count ? count->reason : std::string();
}

void set_num_threads(std::size_t n) {
  if (n == 0 || n > max_threads)
    throw InvalidArgument("number of threads is " + std::to_string(n) + ", expected 1 to " +
                          std::to_string(max_threads));
  auto replacement = std::make_shared<Pool>(n);
  const std::scoped_lock lock(pool_mutex);
  pool.swap(replacement);
  count = ThreadCount{n, "set_num_threads"};
}

ThreadLimit::ThreadLimit(std::size_t n) : before_(thread_limit) {
  if (n > 0) thread_limit = std::min(n, thread_limit);
}
ThreadLimit::~ThreadLimit() { thread_limit = before_; }

void parallel_for(std::size_t n, std::size_t grain, const std::function<void(std::size_t, std::size_t)>& body) {
  if (n == 0) return;
  grain = std::max<std::size_t>(grain, 1);
  const auto owner = n <= grain || thread_limit == 1 ? nullptr : current_pool();
  if (!owner || owner->size() == 1) {
    for (std::size_t begin = 0; begin < n; begin += grain) body(begin, std::min(begin + grain, n));
    return;
  }
  Job job(n, grain, body);
  owner->run(job);
}

}  // namespace revector
