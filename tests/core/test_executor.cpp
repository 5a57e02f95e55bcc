#include "incontext/core/executor.hpp"

#include "allocation_counter.hpp"

#include <doctest/doctest.h>

#include <Eigen/Core>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <limits>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using incontext::ConfigurationError;
using incontext::Executor;
using incontext::ExecutorReference;
using incontext::Index;
using incontext::SerialExecutor;
using incontext::ShardFunction;
using incontext::ThreadExecutor;

namespace {

// A user's own executor: the last shard first, each on a thread of its own.
struct BackwardsExecutor {
  void run(Index shards, ShardFunction work) {
    for (Index shard = shards - 1; shard >= 0; --shard) {
      std::thread([&] { work(shard); }).join();
    }
  }
};

struct NoExecutor {
  void run(Index shards);
};

static_assert(Executor<SerialExecutor>);
static_assert(Executor<ThreadExecutor>);
static_assert(Executor<BackwardsExecutor>);
static_assert(Executor<ExecutorReference>);
static_assert(!Executor<NoExecutor>);
static_assert(!Executor<int>);

// Calls `check` with a reference to every executor there is.
template <class Check>
void with_every_executor(Check check) {
  SerialExecutor serial;
  check("serial", ExecutorReference(serial));
  check("default", ExecutorReference());
  BackwardsExecutor backwards;
  check("a user's own", ExecutorReference(backwards));
  for (const Index threads : {1, 2, 3, 4, 8}) {
    ThreadExecutor pool(threads);
    check("threads: " + std::to_string(threads), ExecutorReference(pool));
  }
#if defined(_OPENMP)
  static_assert(Executor<incontext::OpenMpExecutor>);
  incontext::OpenMpExecutor openmp;
  check("OpenMP", ExecutorReference(openmp));
#endif
}

// A sum whose rounding depends on the order of its terms: partial sums by shard, added in shard order.
double sharded_sum(const ExecutorReference& executor) {
  constexpr Index shards = 16;
  std::vector<double> partial(shards, 0.0);
  executor.run(shards, [&](Index shard) {
    double sum = 0.0;
    for (Index term = 0; term < 1000; ++term) {
      sum += std::sin(static_cast<double>(1000 * shard + term)) * std::exp(static_cast<double>(term % 37) - 18.0);
    }
    partial[static_cast<std::size_t>(shard)] = sum;
  });
  double total = 0.0;
  for (const double sum : partial) {
    total += sum;
  }
  return total;
}

}  // namespace

TEST_CASE("every shard is run exactly once") {
  with_every_executor([](const std::string& name, const ExecutorReference& executor) {
    CAPTURE(name);
    for (const Index shards : {0, 1, 2, 7, 16, 100}) {
      CAPTURE(shards);
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(shards));
      executor.run(shards, [&](Index shard) { ++runs[static_cast<std::size_t>(shard)]; });
      CHECK(std::all_of(runs.begin(), runs.end(), [](const std::atomic<int>& count) { return count == 1; }));
    }
  });
}

TEST_CASE("parts of a range are nearly equal, cover it once, and are cut alike for any number of threads") {
  for (const Index count : {0, 1, 7, 8, 100}) {
    std::vector<int> parts_of(static_cast<std::size_t>(count));
    std::vector<std::array<Index, 2>> serial;
    incontext::run_in_parts({}, count, 8, [&](Index first, Index last) {
      serial.push_back({first, last});
      CHECK(last - first >= count / 8);
      CHECK(last - first <= (count + 7) / 8);
      for (Index place = first; place < last; ++place) {
        ++parts_of[static_cast<std::size_t>(place)];
      }
    });
    CHECK(parts_of == std::vector<int>(static_cast<std::size_t>(count), 1));
    CHECK(serial.size() == static_cast<std::size_t>((std::min)(count, Index{8})));
    ThreadExecutor threads(3);
    std::mutex mutex;
    std::vector<std::array<Index, 2>> parallel;
    incontext::run_in_parts(threads, count, 8, [&](Index first, Index last) {
      const std::lock_guard lock(mutex);
      parallel.push_back({first, last});
    });
    std::sort(parallel.begin(), parallel.end());
    CHECK(parallel == serial);
  }
}

TEST_CASE("an executor is reusable, and what the shards wrote is visible when run returns") {
  with_every_executor([](const std::string& name, const ExecutorReference& executor) {
    CAPTURE(name);
    // Plain memory, many short rounds: a missing barrier shows here, and under the thread sanitiser.
    std::vector<int> counts(5, 0);
    bool complete = true;
    for (int round = 1; round <= 100; ++round) {
      executor.run(5, [&](Index shard) { ++counts[static_cast<std::size_t>(shard)]; });
      complete = complete && std::all_of(counts.begin(), counts.end(), [&](int count) { return count == round; });
    }
    CHECK(complete);
  });
}

TEST_CASE("law 7: the number of worker threads never changes a bit of any result") {
  SerialExecutor serial;
  const double expected = sharded_sum(ExecutorReference(serial));
  for (Index threads = 1; threads <= 8; ++threads) {
    ThreadExecutor pool(threads);
    for (int repetition = 0; repetition < 3; ++repetition) {
      CHECK(sharded_sum(ExecutorReference(pool)) == expected);
    }
  }
  with_every_executor([&](const std::string& name, const ExecutorReference& executor) {
    CAPTURE(name);
    CHECK(sharded_sum(executor) == expected);
  });
}

TEST_CASE("a pool works on as many threads as it was given") {
  // Each shard waits until all have begun, which needs one thread for each.
  constexpr int threads = 4;
  ThreadExecutor pool(threads);
  std::atomic<int> begun{0};
  std::vector<std::thread::id> identities(threads);
  ExecutorReference(pool).run(threads, [&](Index shard) {
    identities[static_cast<std::size_t>(shard)] = std::this_thread::get_id();
    ++begun;
    while (begun < threads) {
      std::this_thread::yield();
    }
  });
  const std::set<std::thread::id> distinct(identities.begin(), identities.end());
  CHECK(distinct.size() == threads);
  CHECK(distinct.count(std::this_thread::get_id()) == 1);  // the caller is one of them
}

TEST_CASE("the error of a shard reaches the caller, and the executor goes on") {
  SerialExecutor serial;
  ThreadExecutor single(1);
  ThreadExecutor pool(4);
  std::vector<ExecutorReference> executors = {ExecutorReference(serial), ExecutorReference(single),
                                              ExecutorReference(pool)};
#if defined(_OPENMP)
  incontext::OpenMpExecutor openmp;
  executors.emplace_back(openmp);
#endif
  for (const ExecutorReference& executor : executors) {
    for (const Index failing : {0, 3, 7}) {
      CHECK_THROWS_WITH_AS(
          executor.run(
              8,
              [&](Index shard) { incontext::require<incontext::NonFiniteError>(shard != failing, "shard ", shard); }),
          ("shard " + std::to_string(failing)).c_str(), incontext::NonFiniteError);
      std::atomic<int> runs{0};
      executor.run(8, [&](Index) { ++runs; });
      CHECK(runs == 8);
    }
    // All shards failing at once is still one error, of a foreign type too.
    CHECK_THROWS_AS(executor.run(8, [](Index) { throw std::out_of_range("all"); }), std::out_of_range);
  }
}

TEST_CASE("a pool needs a thread") {
  CHECK_THROWS_WITH_AS(ThreadExecutor(0), "ThreadExecutor: 0 threads, expected at least 1", ConfigurationError);
  CHECK_THROWS_WITH_AS(ThreadExecutor(-2), "ThreadExecutor: -2 threads, expected at least 1", ConfigurationError);
}

TEST_CASE("pools start and stop, used or not") {
  for (int repetition = 0; repetition < 20; ++repetition) {
    ThreadExecutor idle(3);
    ThreadExecutor used(3);
    std::atomic<int> runs{0};
    ExecutorReference(used).run(3, [&](Index) { ++runs; });
    CHECK(runs == 3);
  }
}

TEST_CASE("references to executors and to work are light: running allocates nothing") {
  ThreadExecutor pool(2);
  SerialExecutor serial;
  for (const ExecutorReference& executor : {ExecutorReference(serial), ExecutorReference(pool)}) {
    std::vector<double> sums(16, 0.0);
    const auto work = [&](Index shard) { sums[static_cast<std::size_t>(shard)] += 1.0; };
    executor.run(16, work);
    CHECK(incontext_test::allocations_of([&] { executor.run(16, work); }) == 0);
    CHECK(std::all_of(sums.begin(), sums.end(), [](double sum) { return sum == 2.0; }));
  }
}

TEST_CASE("a reference runs the executor it refers to, copies included") {
  struct CountingExecutor {
    int rounds = 0;
    void run(Index shards, ShardFunction work) {
      ++rounds;
      SerialExecutor().run(shards, work);
    }
  };
  CountingExecutor counting;
  const ExecutorReference reference(counting);
  const ExecutorReference copy = reference;
  reference.run(1, [](Index) {});
  copy.run(1, [](Index) {});
  CHECK(counting.rounds == 2);
}

TEST_CASE("an executor that says how many threads it has is believed, another counts as one") {
  SerialExecutor serial;
  CHECK(serial.workers() == 1);
  CHECK(ExecutorReference(serial).workers() == 1);
  CHECK(ExecutorReference().workers() == 1);
  for (const Index threads : {1, 2, 5}) {
    ThreadExecutor pool(threads);
    CHECK(pool.workers() == threads);
    const ExecutorReference reference(pool);
    const ExecutorReference copy = reference;
    CHECK(reference.workers() == threads);
    CHECK(copy.workers() == threads);
  }
  BackwardsExecutor backwards;
  CHECK(ExecutorReference(backwards).workers() == 1);
  struct ManyWorkers : BackwardsExecutor {
    Index number = 7;
    [[nodiscard]] Index workers() const { return number; }
  };
  ManyWorkers many;
  const ExecutorReference reference(many);
  CHECK(reference.workers() == 7);
  many.number = 3;
  CHECK(reference.workers() == 3);  // asked anew, not remembered
#if defined(_OPENMP)
  incontext::OpenMpExecutor openmp;
  CHECK(openmp.workers() == omp_get_max_threads());
  CHECK(ExecutorReference(openmp).workers() == omp_get_max_threads());
#endif
}

TEST_CASE("a run of a pool that is at work already is done by the thread that calls, from a shard too") {
  SerialExecutor serial;
  const double expected = sharded_sum(ExecutorReference(serial));
  ThreadExecutor pool(3);
  const ExecutorReference reference(pool);
  std::vector<double> sums(8, 0.0);
  reference.run(8, [&](Index shard) {
    const std::thread::id caller = std::this_thread::get_id();
    reference.run(4, [&](Index) { CHECK(std::this_thread::get_id() == caller); });
    sums[static_cast<std::size_t>(shard)] = sharded_sum(reference);
  });
  CHECK(std::all_of(sums.begin(), sums.end(), [&](double sum) { return sum == expected; }));

  // Threads of a user's own that share a pool.
  std::vector<std::thread> threads;
  for (std::size_t user = 0; user < sums.size(); ++user) {
    sums[user] = 0.0;
    threads.emplace_back([&, user] {
      for (int repetition = 0; repetition < 20; ++repetition) {
        sums[user] = sharded_sum(reference);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(std::all_of(sums.begin(), sums.end(), [&](double sum) { return sum == expected; }));
}

TEST_CASE("the error of a run inside another reaches whoever called it") {
  ThreadExecutor pool(2);
  std::atomic<int> caught{0};
  ExecutorReference(pool).run(4, [&](Index shard) {
    try {
      ExecutorReference(pool).run(
          3, [&](Index inner) { incontext::require(inner != 1, "inner shard ", inner, " of ", shard); });
    } catch (const ConfigurationError&) {
      ++caught;
    }
  });
  CHECK(caught == 4);
}

#if defined(_OPENMP)

namespace {

/// A number of threads for OpenMP's parallel regions and a depth to which they nest, until the end of the scope.
class OpenMpThreads {
 public:
  OpenMpThreads(int threads, int levels) {
    omp_set_num_threads(threads);
    omp_set_max_active_levels(levels);
  }
  OpenMpThreads(const OpenMpThreads&) = delete;
  OpenMpThreads& operator=(const OpenMpThreads&) = delete;
  ~OpenMpThreads() {
    omp_set_num_threads(threads_);
    omp_set_max_active_levels(levels_);
  }

 private:
  int threads_ = omp_get_max_threads();
  int levels_ = omp_get_max_active_levels();
};

/// The threads of a parallel region that is opened here.
int team_size() {
  int size = 0;
#pragma omp parallel reduction(+ : size)
  size += 1;
  return size;
}

/// The most calls of `work` that were under way at once.
class Peak {
 public:
  template <class Work>
  void during(Work work) {
    const int now = ++current_;
    for (int seen = peak_; seen < now && !peak_.compare_exchange_weak(seen, now);) {
    }
    work();
    --current_;
  }
  [[nodiscard]] int value() const { return peak_; }

 private:
  std::atomic<int> current_{0};
  std::atomic<int> peak_{0};
};

}  // namespace

TEST_CASE("in a shard a parallel region has one thread, on every executor, and afterwards as many as before") {
  const OpenMpThreads openmp(3, 4);
  const int before = team_size();
  with_every_executor([&](const std::string& name, const ExecutorReference& executor) {
    CAPTURE(name);
    std::vector<int> teams(8, 0);
    executor.run(8, [&](Index shard) { teams[static_cast<std::size_t>(shard)] = team_size(); });
    CHECK(teams == std::vector<int>(8, 1));
    CHECK(team_size() == before);
  });
}

TEST_CASE("the threads of a parallel region run their shards alone, however deep OpenMP may nest") {
  SerialExecutor serial;
  const double expected = sharded_sum(ExecutorReference(serial));
  for (const int levels : {1, 4}) {
    CAPTURE(levels);
    const OpenMpThreads openmp(3, levels);
    constexpr int callers = 2;
    incontext::OpenMpExecutor executor;
    Peak peak;
    std::atomic<int> foreign{0};
    std::vector<Index> workers(callers, 0);
    std::vector<double> sums(callers, 0.0);
#pragma omp parallel for num_threads(callers) schedule(static, 1)
    for (int caller = 0; caller < callers; ++caller) {
      const auto place = static_cast<std::size_t>(caller);
      const std::thread::id self = std::this_thread::get_id();
      ExecutorReference(executor).run(8, [&](Index) {
        foreign += std::this_thread::get_id() == self ? 0 : 1;
        peak.during([&] { foreign += team_size() - 1; });
      });
      workers[place] = executor.workers();
      sums[place] = sharded_sum(ExecutorReference(executor));
    }
    CHECK(peak.value() <= callers);
    CHECK(foreign == 0);
    CHECK(workers == std::vector<Index>(callers, 1));
    CHECK(sums == std::vector<double>(callers, expected));
    CHECK(executor.workers() == 3);
  }
}

TEST_CASE("an executor works on as many OpenMP threads as it says") {
  for (const int threads : {1, 2, 5}) {
    const OpenMpThreads openmp(threads, 1);
    incontext::OpenMpExecutor executor;
    CHECK(executor.workers() == threads);
    Peak peak;
    ExecutorReference(executor).run(40, [&](Index) { peak.during([] { std::this_thread::yield(); }); });
    CHECK(peak.value() <= threads);
  }
}

TEST_CASE("the threads of a parallel region may share a pool, and it stays as large as it is") {
  const OpenMpThreads openmp(4, 4);
  SerialExecutor serial;
  const double expected = sharded_sum(ExecutorReference(serial));
  ThreadExecutor pool(3);
  Peak peak;
  std::vector<double> sums(12, 0.0);
#pragma omp parallel for schedule(dynamic, 1)
  for (std::size_t call = 0; call < sums.size(); ++call) {
    ExecutorReference(pool).run(8, [&](Index) { peak.during([] { std::this_thread::yield(); }); });
    sums[call] = sharded_sum(ExecutorReference(pool));
  }
  CHECK(peak.value() <= 4 + 2);  // the region's own, and the two that the pool adds
  CHECK(std::all_of(sums.begin(), sums.end(), [&](double sum) { return sum == expected; }));
}

#if defined(__linux__)

namespace {

/// The least of several looks, since a thread that has ended is listed for a moment longer.
std::ptrdiff_t threads_alive() {
  std::ptrdiff_t least = std::numeric_limits<std::ptrdiff_t>::max();
  for (int look = 0; look < 20; ++look) {
    least = (std::min)(least, std::distance(std::filesystem::directory_iterator("/proc/self/task"),
                                            std::filesystem::directory_iterator()));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return least;
}

}  // namespace

TEST_CASE("Eigen starts no thread of its own in a shard, and its products have the same bits on every executor") {
#if defined(EIGEN_HAS_OPENMP)
  const OpenMpThreads openmp(4, 4);
  Eigen::MatrixXd left(200, 200);  // large enough for Eigen to want four threads
  for (Index row = 0; row < 200; ++row) {
    for (Index column = 0; column < 200; ++column) {
      left(row, column) = std::sin(static_cast<double>(200 * row + column));
    }
  }
  std::vector<Eigen::MatrixXd> products(8);
  const auto multiply = [&](Index shard) { products[static_cast<std::size_t>(shard)].noalias() = left * left; };
  const std::ptrdiff_t before = threads_alive();
  ExecutorReference().run(1, multiply);
  CHECK(threads_alive() <= before);
  const Eigen::MatrixXd expected = products.front();
  for (const Index threads : {1, 3}) {
    ThreadExecutor pool(threads);
    // Threads that OpenMP starts for a thread stay with it, so that they are seen afterwards.
    ExecutorReference(pool).run(8, multiply);
    CHECK(threads_alive() <= before + threads - 1);
    CHECK(std::all_of(products.begin(), products.end(), [&](const auto& product) { return product == expected; }));
  }
#endif
}

#endif
#endif
