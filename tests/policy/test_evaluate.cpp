#include "incontext/policy/evaluate.hpp"

#include "incontext/core/executor.hpp"
#include "incontext/policy/fork.hpp"
#include "incontext/predictor/averaging.hpp"
#include "incontext/predictor/gradient_descent.hpp"
#include "incontext/predictor/minimum_norm.hpp"
#include "incontext/predictor/mixture_posterior.hpp"
#include "incontext/predictor/nearest_neighbours.hpp"
#include "incontext/predictor/pool_posterior.hpp"
#include "policy/small_study.hpp"
#include "task/same_bits.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

using namespace incontext;
using namespace incontext_tests;

namespace {

Suite suite_of_two() {
  Suite suite{{.prompts = 3, .key = Key{3}}};
  suite.task("broad", broad_task()).task("narrow", narrow_task());
  suite.reference("ridge", Ridge{{.noise = 0.5}}).reference("averaging", Averaging{});
  return suite;
}

/// The mean squared error of one column, by hand.
double mean_square(const Predictions& predictions, const RowMatrix<double>& truth, Index point) {
  double sum = 0.0;
  for (Index prompt = 0; prompt < truth.rows(); ++prompt) {
    const double error = predictions(prompt, point) - truth(prompt, point);
    sum += error * error;
  }
  return sum / static_cast<double>(truth.rows());
}

}  // namespace

TEST_CASE("every task, predictor, number of exemplars and metric has one record, with the right value") {
  const Suite suite = suite_of_two();
  const auto run = run_stage(Evaluate{"moment", suite}, small_start());
  CHECK(run.records().size() == 2 * 3 * 4 * 2);
  std::set<std::tuple<std::string, std::string, std::string, Index>> seen;
  for (const Record& record : run.records()) {
    CAPTURE(record.task);
    CAPTURE(record.predictor);
    CAPTURE(record.metric);
    CAPTURE(record.exemplars);
    CHECK(record.study == "small");
    CHECK(record.seed == 5);
    CHECK(record.stage == "moment");
    seen.insert({record.task, record.predictor, record.metric, record.exemplars});
    const Prompts prompts = record.task == "broad" ? broad_task().sample(Key{3}.fold("broad"), 3)
                                                   : narrow_task().sample(Key{3}.fold("narrow"), 3);
    const Predictions predictions = record.predictor == "transformer" ? small_model().predict(prompts)
                                    : record.predictor == "ridge"     ? Ridge{{.noise = 0.5}}.predict(prompts)
                                                                      : Averaging{}.predict(prompts);
    const RowMatrix<double>& truth = record.metric == "squared_error_target" ? prompts.targets : prompts.labels;
    // A mean of 3 squares takes 5 roundings on each side, of values that are all positive.
    CHECK(record.value == doctest::Approx(mean_square(predictions, truth, record.exemplars)).epsilon(1e-15 * 5));
  }
  CHECK(seen.size() == run.records().size());
  CHECK(std::set<std::string>{"squared_error_target", "squared_error_label"}.count(run.records().front().metric) == 1);
}

TEST_CASE("squared_error is the mean over prompts") {
  Predictions predictions(2, 3);
  predictions << 1.0, 2.0, 3.0, 4.0, 5.0, 6.0;
  RowMatrix<double> truth(2, 3);
  truth << 1.0, 0.0, 0.0, 2.0, 5.0, 7.0;
  const Vector error = squared_error(predictions, truth);
  CHECK(error.size() == 3);
  CHECK(error[0] == 2.0);
  CHECK(error[1] == 2.0);
  CHECK(error[2] == 5.0);
  CHECK_THROWS_WITH_AS(static_cast<void>(squared_error(predictions, RowMatrix<double>::Zero(2, 4))),
                       "predictions of [2, 3] against labels of [2, 4]", ShapeError);
}

TEST_CASE("records of one evaluation follow those before, and observers see the new ones") {
  struct Seen {
    std::vector<std::vector<Record>> calls;
    void on_records(const std::vector<Record>& records) { calls.push_back(records); }
  } seen;
  const auto run = (Evaluate{"a", suite_of_two()} | fork(Evaluate{"b", suite_of_two()}, Evaluate{"c", suite_of_two()}))(
      small_start(), seen);
  REQUIRE(seen.calls.size() == 3);
  std::vector<Record> all;
  for (const auto& call : seen.calls) {
    all.insert(all.end(), call.begin(), call.end());
  }
  CHECK(run.records() == all);
  CHECK(seen.calls[1].front().stage == "b");
}

TEST_CASE("the prompts of a task depend on the key and the task's name, not on what stands beside it") {
  Suite alone{{.prompts = 3, .key = Key{3}}};
  alone.task("narrow", narrow_task());
  CHECK(same_bits(alone.prompts("narrow"), suite_of_two().prompts("narrow")));
  CHECK(same_bits(alone.prompts("narrow"), narrow_task().sample(Key{3}.fold("narrow"), 3)));
}

TEST_CASE("a suite refuses what would make records ambiguous, and names that it does not know") {
  Suite suite = suite_of_two();
  CHECK_THROWS_WITH_AS(static_cast<void>(suite.prompts("wide")), "Suite: no task is named 'wide'", ConfigurationError);
  CHECK_THROWS_WITH_AS(suite.task("broad", narrow_task()), "Suite: two tasks are named 'broad'", ConfigurationError);
  CHECK_THROWS_WITH_AS(suite.reference("ridge", Averaging{}), "Suite: two predictors are named 'ridge'",
                       ConfigurationError);
  CHECK_THROWS_WITH_AS(suite.reference("transformer", Averaging{}), "Suite: two predictors are named 'transformer'",
                       ConfigurationError);
  CHECK_THROWS_WITH_AS(Suite(Suite::Settings{.prompts = 0}), "Suite: prompts is 0, expected at least 1",
                       ConfigurationError);
}

TEST_CASE("law 7: predict_in_shards is predict, to the bit, whatever the threads") {
  const Prompts prompts = narrow_task().sample(Key{9}, 150);  // two whole groups and a part
  ThreadExecutor executor(3);
  const auto check = [&](const char* name, const auto& predictor) {
    CAPTURE(name);
    const Predictions expected = predictor.predict(prompts);
    CHECK(same_bits(predict_in_shards(predictor, prompts, {}), expected));
    CHECK(same_bits(predict_in_shards(predictor, prompts, executor), expected));
  };
  const RowMatrix<double> weights = narrow_task().weights();
  check("ridge", Ridge{{.noise = 0.5}});
  check("pool posterior", PoolPosterior(weights, {.noise = 0.5}));
  check("mixture posterior", MixturePosterior(weights, {.noise = 0.5}));
  check("minimum norm", MinimumNorm{});
  check("averaging", Averaging{});
  check("nearest neighbours", NearestNeighbours{{.neighbours = 2}});
  check("gradient descent", GradientDescent{{.steps = 3, .rate = 0.1}});
  check("transformer", small_model());
  CHECK(predict_in_shards(Averaging{}, prompts.slice(0, 0), executor).rows() == 0);
}

#if defined(_OPENMP)

namespace {

/// A user's own predictor, with a parallel region and a matrix product. Counts the threads at work at once.
struct OpenMpPredictor {
  std::atomic<int>* at_work;
  std::atomic<int>* most;

  [[nodiscard]] Predictions predict(const Prompts& prompts) const {
#pragma omp parallel
    {
      const int now = ++*at_work;
      for (int seen = *most; seen < now && !most->compare_exchange_weak(seen, now);) {
      }
      std::this_thread::yield();
      --*at_work;
    }
    const RowMatrix<double> gram = prompts.inputs * prompts.inputs.transpose();
    return prompts.labels * gram.norm();
  }
};

}  // namespace

TEST_CASE(
    "predictors called in a user's parallel region put no more threads to work than it has, and keep their bits") {
  const Prompts prompts = narrow_task().sample(Key{9}, 150);
  const auto model = small_model();
  const Ridge ridge{{.noise = 0.5}};
  std::atomic<int> at_work{0};
  std::atomic<int> most{0};
  const OpenMpPredictor own{&at_work, &most};
  const Predictions expected_of_model = model.predict(prompts);
  const Predictions expected_of_ridge = ridge.predict(prompts);
  const Predictions expected_of_own = predict_in_shards(own, prompts, {});
  CHECK(most == 1);

  const int levels = omp_get_max_active_levels();
  omp_set_max_active_levels(4);  // so that OpenMP would nest
  constexpr int callers = 3;
  OpenMpExecutor openmp;
  ThreadExecutor pool(2);
  // Each with the threads that it adds to those of the region.
  for (const auto& each : {std::pair{ExecutorReference(), 0}, std::pair{ExecutorReference(openmp), 0},
                           std::pair{ExecutorReference(pool), 1}}) {
    const ExecutorReference executor = each.first;
    most = 0;
    std::atomic<int> differing{0};
#pragma omp parallel for num_threads(callers) schedule(static, 1)
    for (int caller = 0; caller < 2 * callers; ++caller) {
      differing += same_bits(model.predict(prompts, executor), expected_of_model) ? 0 : 1;
      differing += same_bits(predict_in_shards(ridge, prompts, executor), expected_of_ridge) ? 0 : 1;
      differing += same_bits(predict_in_shards(own, prompts, executor), expected_of_own) ? 0 : 1;
    }
    CHECK(differing == 0);
    CHECK(most <= callers + each.second);
    most = 0;
    CHECK(same_bits(predict_in_shards(own, prompts, executor), expected_of_own));
    CHECK(most <= executor.workers());
  }
  omp_set_max_active_levels(levels);
}

#endif

TEST_CASE("Inspect shows the run and leaves it") {
  Index seen = -1;
  const auto study = Evaluate{"a", suite_of_two()} |
                     Inspect{[&](const auto& run) { seen = static_cast<Index>(run.records().size()); }};
  const auto run = study(small_start());
  CHECK(seen == 48);
  CHECK(same_run(run, run_stage(Evaluate{"a", suite_of_two()}, small_start())));
}
