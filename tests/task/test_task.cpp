#include "incontext/task/task.hpp"

#include "incontext/map/mapped_task.hpp"
#include "incontext/map/scale_labels.hpp"
#include "incontext/task/linear_regression.hpp"
#include "incontext/task/mixture.hpp"
#include "incontext/task/noise.hpp"
#include "incontext/task/pool.hpp"
#include "same_bits.hpp"
#include "zeros.hpp"

#include <doctest/doctest.h>

using namespace incontext;
using incontext_tests::Zeros;

namespace {

/// Counts what it runs, on the calling thread and backwards.
struct BackwardExecutor {
  void run(Index shards, ShardFunction work) {
    for (Index shard = shards; shard-- > 0; ++runs) {
      work(shard);
    }
  }
  Index runs = 0;
};

static_assert(Task<Zeros> && !Task<int>);

}  // namespace

TEST_CASE("law 7: a batch has the same bits whatever executor it is drawn on") {
  RowMatrix<double> factor(3, 3);
  factor << 2.0, 0.0, 0.0, 0.5, 1.0, 0.0, -1.0, 0.25, 0.5;
  const LinearRegression broad{{.dimension = 3, .points = 5, .noise = 0.5, .input_factor = factor}};
  const auto narrow = pool(broad, 4, Key(1));
  const auto task = mix(with_noise(broad, 0.25), 0.5, with_noise(narrow, 0.25)) | ScaleLabels{2.0};
  for (const Index count : {0, 1, 3, 8, 61}) {
    CAPTURE(count);
    const Prompts expected = task.sample(Key(2), count);
    for (const Index threads : {1, 2, 3}) {
      ThreadExecutor executor(threads);
      CHECK(sample_on(executor, task, Key(2), count) == expected);
    }
    BackwardExecutor backward;
    CHECK(sample_on(backward, task, Key(2), count) == expected);
    CHECK((backward.runs > 0) == (count > 0));
  }
}

TEST_CASE("a task that takes no executor is sampled without one") {
  BackwardExecutor executor;
  CHECK(sample_on(executor, Zeros{}, Key(3), 5) == Zeros{}.sample(Key(3), 5));
  CHECK(executor.runs == 0);
}
