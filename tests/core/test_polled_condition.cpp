#include "incontext/core/polled_condition.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

using incontext::PolledCondition;

TEST_CASE("a condition that is met is not waited for") {
  PolledCondition condition;
  std::mutex mutex;
  std::unique_lock lock(mutex);
  int asked = 0;
  condition.wait(lock, [&] { return ++asked > 0; });
  CHECK(asked == 1);
  CHECK(lock.owns_lock());
}

TEST_CASE("whoever waits, polling or asleep, goes on when the condition is met, with the lock") {
  using std::chrono::microseconds;
  // Always asleep, mostly asleep, polling all the time.
  for (const microseconds patience : {microseconds(0), microseconds(20), microseconds(60'000'000)}) {
    constexpr int rounds = 200;
    constexpr int threads = 3;
    PolledCondition condition(patience);
    PolledCondition answered(patience);
    std::mutex mutex;
    int round = 0;
    int answers = 0;
    int strays = 0;
    std::vector<std::thread> waiting;
    for (int thread = 0; thread < threads; ++thread) {
      waiting.emplace_back([&] {
        std::unique_lock lock(mutex);
        for (int mine = 1; mine <= rounds; ++mine) {
          condition.wait(lock, [&] { return round >= mine; });
          strays += lock.owns_lock() && round == mine ? 0 : 1;
          ++answers;
          answered.notify_all();
        }
      });
    }
    {
      std::unique_lock lock(mutex);
      for (int next = 1; next <= rounds; ++next) {
        round = next;
        condition.notify_all();
        answered.wait(lock, [&] { return answers == next * threads; });
      }
    }
    for (std::thread& thread : waiting) {
      thread.join();
    }
    CHECK(answers == rounds * threads);
    CHECK(strays == 0);
  }
}

TEST_CASE("a notification without the condition leaves everybody waiting") {
  for (const auto patience : {std::chrono::microseconds(0), std::chrono::microseconds(60'000'000)}) {
    PolledCondition condition(patience);
    std::mutex mutex;
    bool is_met = false;
    bool went_on = false;
    int asked = 0;
    std::thread waiting([&] {
      std::unique_lock lock(mutex);
      condition.wait(lock, [&] {
        ++asked;
        return is_met;
      });
      went_on = true;
    });
    for (bool was_asked_again = false; !was_asked_again;) {
      const std::lock_guard lock(mutex);
      condition.notify_all();
      was_asked_again = asked >= 3;
    }
    {
      const std::lock_guard lock(mutex);
      CHECK_FALSE(went_on);
      is_met = true;
      condition.notify_all();
    }
    waiting.join();
    CHECK(went_on);
  }
}
