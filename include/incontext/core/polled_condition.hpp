#pragma once
/// \file
/// A condition variable that is polled for a moment before whoever waits for it goes to sleep. To wake a thread takes
/// some machines tens of microseconds, and a training step of a small model waits several times in two milliseconds.

#include "incontext/core/config.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

INCONTEXT_NAMESPACE_BEGIN

/// As `std::condition_variable` with one mutex, which `notify_all` wants held, too.
class PolledCondition {
 public:
  /// Whoever waits polls for so long, giving way to threads that have work.
  explicit PolledCondition(std::chrono::microseconds patience = std::chrono::microseconds(200)) : patience_(patience) {}

  /// Returns when `is_met()`, which is asked with the lock held.
  template <class Condition>
  void wait(std::unique_lock<std::mutex>& lock, const Condition& is_met) {
    const auto end = std::chrono::steady_clock::now() + patience_;
    while (!is_met()) {
      const unsigned seen = notified_.load(std::memory_order_relaxed);
      lock.unlock();
      while (notified_.load(std::memory_order_relaxed) == seen && std::chrono::steady_clock::now() < end) {
        std::this_thread::yield();
      }
      lock.lock();
      if (std::chrono::steady_clock::now() >= end) {
        ++sleeping_;
        condition_.wait(lock, is_met);
        --sleeping_;
        return;
      }
    }
  }

  /// Has all who wait ask again. The mutex is held by the caller.
  void notify_all() {
    notified_.fetch_add(1, std::memory_order_relaxed);
    if (sleeping_ > 0) {
      condition_.notify_all();
    }
  }

 private:
  std::chrono::microseconds patience_;
  std::atomic<unsigned> notified_{0};  // counts; what it tells of is under the mutex
  int sleeping_ = 0;                   // under the mutex
  std::condition_variable condition_;
};

INCONTEXT_NAMESPACE_END
