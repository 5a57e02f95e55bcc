#pragma once
/// \file
/// Executors run the shards of a piece of work. How work is cut never depends on how many workers there are, and
/// results are reduced in shard order: so the number of workers never changes a bit.
///
/// The executor alone says how many threads are at work. OpenMP limits the threads of a parallel region, and knows
/// nothing of threads that it did not start; so in programs compiled with OpenMP a shard opens no region of more than
/// one thread, on any executor, and neither do the products of Eigen in it (unless `Eigen::setNbThreads` or a clause
/// `num_threads` asks for more).

#include "incontext/core/config.hpp"
#include "incontext/core/error.hpp"
#include "incontext/core/function_reference.hpp"
#include "incontext/core/polled_condition.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(_OPENMP)
#include <omp.h>
#endif

INCONTEXT_NAMESPACE_BEGIN

namespace detail {

#if defined(_OPENMP)
/// While it lives, the parallel regions that this thread opens have one thread.
class SingleOpenMpThread {
 public:
  SingleOpenMpThread() { omp_set_num_threads(1); }
  ~SingleOpenMpThread() { omp_set_num_threads(before_); }
  SingleOpenMpThread(const SingleOpenMpThread&) = delete;
  SingleOpenMpThread& operator=(const SingleOpenMpThread&) = delete;

 private:
  int before_ = omp_get_max_threads();
};
using ShardGuard = SingleOpenMpThread;
#else
// A name of its own: files compiled with and without OpenMP may meet in one program.
struct NoOpenMp {
  NoOpenMp() {}
};
using ShardGuard = NoOpenMp;
#endif

}  // namespace detail

/// A non-owning reference to a callable that takes the number of a shard. Never allocates.
class ShardFunction {
 public:
  template <class Callable>
  requires(!std::is_same_v<std::remove_cvref_t<Callable>, ShardFunction> && std::is_invocable_v<Callable&, Index>)
      ShardFunction(Callable& callable)
      : function_(callable) {}
  void operator()(Index shard) const {
    const detail::ShardGuard guard;
    function_(shard);
  }

 private:
  FunctionReference<void(Index)> function_;
};

namespace detail {

/// Keeps the error of the lowest shard that failed, so that the error does not depend on timing either.
class FirstFailure {
 public:
  /// Runs one shard and keeps what it throws. Not thread-safe on its own: call `keep` under a lock.
  static std::exception_ptr attempt(ShardFunction work, Index shard) {
#if defined(INCONTEXT_NO_EXCEPTIONS)
    work(shard);
#else
    try {
      work(shard);
    } catch (...) {
      return std::current_exception();
    }
#endif
    return nullptr;
  }
  void keep(std::exception_ptr failure, Index shard) {
    if (failure && (!failure_ || shard < shard_)) {
      failure_ = std::move(failure);
      shard_ = shard;
    }
  }
  void rethrow() {
    if (failure_) {
      std::rethrow_exception(std::exchange(failure_, nullptr));
    }
  }

 private:
  std::exception_ptr failure_;
  Index shard_ = 0;
};

}  // namespace detail

/// Something that calls `work(shard)` once for every shard in [0, shards), in any order, on any thread, and returns
/// when all are done. A user's own thread pool becomes an executor by this one member; if it also says by
/// `Index workers() const` how many threads it has, the memory for all of them is there after the first run.
template <class Type>
concept Executor = requires(Type& executor, Index shards, ShardFunction work) {
  {executor.run(shards, work)};
};

/// Runs the shards one after the other on the calling thread.
struct SerialExecutor {
  void run(Index shards, ShardFunction work) {
    for (Index shard = 0; shard < shards; ++shard) {
      work(shard);
    }
  }
  [[nodiscard]] Index workers() const { return 1; }
};

#if defined(_OPENMP)
/// Runs the shards on OpenMP's threads, `omp_get_max_threads()` of them. Present where the consumer compiles with
/// OpenMP. In a parallel region of several threads each runs its own shards alone, even where OpenMP would nest teams:
/// the region has put its threads to work already.
struct OpenMpExecutor {
  void run(Index shards, ShardFunction work) {
    if (omp_in_parallel() != 0) {
      return SerialExecutor().run(shards, work);
    }
    detail::FirstFailure failure;
#pragma omp parallel for schedule(dynamic, 1)
    for (Index shard = 0; shard < shards; ++shard) {
      std::exception_ptr attempt = detail::FirstFailure::attempt(work, shard);
#pragma omp critical(incontext_executor)
      failure.keep(std::move(attempt), shard);
    }
    failure.rethrow();
  }
  [[nodiscard]] Index workers() const { return omp_in_parallel() != 0 ? 1 : omp_get_max_threads(); }
};
#endif

/// Runs the shards on a pool of threads that lives as long as the executor; the caller's thread is one of them. The
/// pool serves one `run` at a time: a `run` that comes meanwhile, from another thread or from a shard, has its shards
/// done by the thread that calls. So the pool's threads are never more than were asked for, whoever shares them.
///
/// Shards are taken without a lock. For a lock, threads that find it taken go to sleep, and a step of a small model has
/// several runs of shards that take less time than waking up.
class ThreadExecutor {
 public:
  /// \throws ConfigurationError if threads < 1
  explicit ThreadExecutor(Index threads) {
    require(threads >= 1, "ThreadExecutor: ", threads, " threads, expected at least 1");
    for (Index worker = 1; worker < threads; ++worker) {
      workers_.emplace_back([this] { serve(); });
    }
    // OpenMP allocates for a thread that it has not seen: now rather than in a run.
    done_.wait([this] { return begun_ == workers_.size(); });
  }
  ThreadExecutor(const ThreadExecutor&) = delete;
  ThreadExecutor& operator=(const ThreadExecutor&) = delete;
  ~ThreadExecutor() {
    stopping_ = true;
    wake_.notify_all();
    for (std::thread& worker : workers_) {
      worker.join();
    }
  }

  [[nodiscard]] Index workers() const { return static_cast<Index>(workers_.size()) + 1; }

  void run(Index shards, ShardFunction work) {
    if (is_running_.exchange(true)) {
      return SerialExecutor().run(shards, work);
    }
    work_ = &work;
    shards_ = shards;
    unfinished_ = shards;
    left_ = shards;  // last: from now on shards are taken
    wake_.notify_all();
    work_through();
    done_.wait([this] { return unfinished_ == 0; });
    detail::FirstFailure failure = std::exchange(failure_, {});
    is_running_ = false;
    failure.rethrow();
  }

 private:
  void serve() {
    const detail::ShardGuard guard;
    ++begun_;
    done_.notify_all();
    for (;;) {
      wake_.wait([this] { return stopping_ || left_ > 0; });
      if (stopping_) {
        return;
      }
      work_through();
    }
  }

  // Takes shards until none is left.
  void work_through() {
    for (Index left = left_; left > 0;) {
      if (!left_.compare_exchange_weak(left, left - 1)) {
        continue;
      }
      // The run does not end before this shard does, so these are its own.
      const Index shard = shards_ - left;
      std::exception_ptr failure = detail::FirstFailure::attempt(*work_, shard);
      if (failure) {
        const std::lock_guard lock(failing_);
        failure_.keep(std::move(failure), shard);
      }
      if (--unfinished_ == 0) {
        done_.notify_all();
      }
      left = left_;
    }
  }

  std::atomic<bool> is_running_{false};
  std::atomic<const ShardFunction*> work_{nullptr};
  std::atomic<Index> shards_{0};
  std::atomic<Index> left_{0};  // to be taken
  std::atomic<Index> unfinished_{0};
  std::atomic<std::size_t> begun_{0};  // workers
  std::atomic<bool> stopping_{false};
  std::mutex failing_;
  detail::FirstFailure failure_;
  PolledCondition wake_;
  PolledCondition done_;
  std::vector<std::thread> workers_;
};

/// A non-owning reference to any executor: what stages and models take. Default: serial.
class ExecutorReference {
 public:
  ExecutorReference() : ExecutorReference(serial()) {}
  template <Executor Type>
  requires(!std::is_same_v<std::remove_cvref_t<Type>, ExecutorReference>) ExecutorReference(Type& executor)
      : object_(&executor),
        run_([](void* object, Index shards, ShardFunction work) { static_cast<Type*>(object)->run(shards, work); }),
        workers_([](const void* object) -> Index {
          if constexpr (requires { static_cast<const Type*>(object)->workers(); }) {
            return static_cast<const Type*>(object)->workers();
          } else {
            return 1;
          }
        }) {}
  template <class Work>
  void run(Index shards, Work&& work) const {
    run_(object_, shards, ShardFunction(work));
  }
  /// The number of threads that shards may run on; 1 if the executor does not say.
  [[nodiscard]] Index workers() const { return workers_(object_); }

 private:
  static SerialExecutor& serial() {
    static SerialExecutor executor;
    return executor;
  }
  void* object_;
  void (*run_)(void*, Index, ShardFunction);
  Index (*workers_)(const void*);
};

/// Calls `work(first, last)` for the parts of [0, count): at most `parts` of them, of nearly equal length, cut without
/// a look at the number of threads.
template <class Work>
inline void run_in_parts(ExecutorReference executor, Index count, Index parts, const Work& work) {
  const Index shards = (std::min)(count, parts);
  executor.run(shards, [&](Index shard) { work(count * shard / shards, count * (shard + 1) / shards); });
}

INCONTEXT_NAMESPACE_END
