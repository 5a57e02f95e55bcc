#pragma once
/// \file
/// Waiting for what other threads bring about: polled for a moment before whoever waits goes to sleep. To wake a thread
/// takes some machines tens of microseconds, and a training step of a small model waits several times in two
/// milliseconds.

#include "incontext/core/config.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

INCONTEXT_NAMESPACE_BEGIN

/// Like a condition variable, but what is waited for is a condition on atomics that are read and written in
/// sequentially consistent order: asking takes no lock, so nobody waits for a lock either.
class PolledCondition {
 public:
  /// Whoever waits polls for so long, giving way to threads that have work.
  explicit PolledCondition(std::chrono::microseconds patience = std::chrono::microseconds(200)) : patience_(patience) {}

  /// Returns when `is_met()`.
  template <class Condition>
  void wait(const Condition& is_met) {
    const auto end = std::chrono::steady_clock::now() + patience_;
    while (!is_met()) {
      if (std::chrono::steady_clock::now() < end) {
        std::this_thread::yield();
        continue;
      }
      std::unique_lock lock(mutex_);
      // Announced before the condition is asked again: so either this thread sees what was changed before a
      // `notify_all`, or that call sees that it sleeps.
      sleeping_.fetch_add(1);
      condition_.wait(lock, is_met);
      sleeping_.fetch_sub(1);
      return;
    }
  }

  /// Has all who sleep ask again. Called after the change that may have met the condition.
  void notify_all() {
    if (sleeping_.load() > 0) {
      { const std::lock_guard lock(mutex_); }  // nobody is between asking and falling asleep
      condition_.notify_all();
    }
  }

 private:
  std::chrono::microseconds patience_;
  std::atomic<int> sleeping_{0};
  std::mutex mutex_;
  std::condition_variable condition_;
};

INCONTEXT_NAMESPACE_END
