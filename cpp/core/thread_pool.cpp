#include "core/thread_pool.hpp"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "revector/device.hpp"
#include "revector/errors.hpp"

namespace revector {
namespace {

constexpr std::size_t max_threads = 1024;

/// One parallel_for: shared by the caller and the workers that help it.
struct Job {
  Job(std::size_t n, std::size_t grain, const std::function<void(std::size_t, std::size_t)>& body)
      : n(n), grain(grain), body(body) {}

  const std::size_t n;
  const std::size_t grain;
  const std::function<void(std::size_t, std::size_t)>& body;
  std::atomic<std::size_t> next{0};
  std::size_t helpers = 0;     // workers inside run(); guarded by the pool's mutex
  std::exception_ptr failure;  // guarded by the pool's mutex

  bool exhausted() const { return next.load(std::memory_order_relaxed) >= n; }

  /// Take pieces until none is left. Returns the exception that stopped it, if any.
  std::exception_ptr run() noexcept {
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
    const auto found = std::find_if(jobs_.begin(), jobs_.end(), [](const Job* job) { return !job->exhausted(); });
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

std::size_t default_threads() {
  if (const char* wanted = std::getenv("REVECTOR_NUM_THREADS"); wanted != nullptr && *wanted != '\0') {
    char* end = nullptr;
    const unsigned long n = std::strtoul(wanted, &end, 10);
    if (*end != '\0' || n == 0 || n > max_threads)
      throw InvalidArgument("REVECTOR_NUM_THREADS is '" + std::string(wanted) + "', expected 1 to 1024");
    return n;
  }
  cpu_set_t cpus;
  if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0) return static_cast<std::size_t>(CPU_COUNT(&cpus));
  return std::max(1U, std::thread::hardware_concurrency());
}

std::mutex pool_mutex;
std::shared_ptr<Pool> pool;  // guarded by pool_mutex

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
  if (!pool) pool = std::make_shared<Pool>(default_threads());
  return pool;
}

}  // namespace

std::size_t num_threads() { return current_pool()->size(); }

void set_num_threads(std::size_t n) {
  if (n == 0 || n > max_threads)
    throw InvalidArgument("number of threads is " + std::to_string(n) + ", expected 1 to 1024");
  auto replacement = std::make_shared<Pool>(n);
  const std::scoped_lock lock(pool_mutex);
  pool.swap(replacement);
}

void parallel_for(std::size_t n, std::size_t grain, const std::function<void(std::size_t, std::size_t)>& body) {
  if (n == 0) return;
  grain = std::max<std::size_t>(grain, 1);
  const auto owner = n <= grain ? nullptr : current_pool();
  if (!owner || owner->size() == 1) {
    for (std::size_t begin = 0; begin < n; begin += grain) body(begin, std::min(begin + grain, n));
    return;
  }
  Job job(n, grain, body);
  owner->run(job);
}

}  // namespace revector
