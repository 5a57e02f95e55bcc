#include "incontext/core/polled_condition.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

using incontext::PolledCondition;

TEST_CASE("a condition that is met is not waited for") {
  PolledCondition condition;
  int asked = 0;
  condition.wait([&] { return ++asked > 0; });
  CHECK(asked == 1);
}

TEST_CASE("whoever waits, polling or asleep, goes on when the condition is met") {
  using std::chrono::microseconds;
  // Always asleep, mostly asleep, polling all the time.
  for (const microseconds patience : {microseconds(0), microseconds(20), microseconds(60'000'000)}) {
    constexpr int rounds = 200;
    constexpr int threads = 3;
    PolledCondition condition(patience);
    PolledCondition answered(patience);
    std::atomic<int> round{0};
    std::atomic<int> answers{0};
    std::atomic<int> strays{0};
    std::vector<std::thread> waiting;
    for (int thread = 0; thread < threads; ++thread) {
      waiting.emplace_back([&] {
        for (int mine = 1; mine <= rounds; ++mine) {
          condition.wait([&] { return round >= mine; });
          strays += round == mine ? 0 : 1;
          ++answers;
          answered.notify_all();
        }
      });
    }
    for (int next = 1; next <= rounds; ++next) {
      round = next;
      condition.notify_all();
      answered.wait([&] { return answers == next * threads; });
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
    std::atomic<bool> is_met{false};
    std::atomic<bool> went_on{false};
    std::atomic<int> asked{0};
    std::thread waiting([&] {
      condition.wait([&] {
        ++asked;
        return is_met.load();
      });
      went_on = true;
    });
    while (asked < 3) {
      condition.notify_all();
      std::this_thread::yield();
    }
    CHECK_FALSE(went_on);
    is_met = true;
    condition.notify_all();
    waiting.join();
    CHECK(went_on);
  }
}
