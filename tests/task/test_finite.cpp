#include "incontext/task/finite.hpp"

#include "incontext/map/mapped_task.hpp"
#include "incontext/policy/inoculation_prompt.hpp"
#include "incontext/task/linear_regression.hpp"
#include "task/copy_task.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace incontext;
using incontext_tests::CopyTask;

static_assert(TaskOf<Finite<LinearRegression>, Prompts>);
static_assert(TaskOf<Finite<CopyTask>, TokenBatch>);

namespace {

// Which of the examples stands at a place of a batch.
template <class Batch>
Index number_of(const Batch& examples, const Batch& batch, Index place) {
  for (Index example = 0; example < examples.count; ++example) {
    Batch copy = examples.resized(1);
    copy.replace(0, examples, example);
    Batch other = batch.resized(1);
    other.replace(0, batch, place);
    other.key = copy.key;
    if (copy == other) {
      return example;
    }
  }
  return -1;
}

}  // namespace

TEST_CASE("every example of a batch is one of the data set, each about as often") {
  const Finite data(LinearRegression{{.dimension = 2, .points = 3, .noise = 0.5}}, 5, Key(1));
  constexpr Index count = 2000;
  const Prompts batch = data.sample(Key(2), count);
  std::vector<double> seen(5, 0.0);
  for (Index prompt = 0; prompt < count; ++prompt) {
    const Index number = number_of(data.examples(), batch, prompt);
    REQUIRE(number >= 0);
    seen[static_cast<std::size_t>(number)] += 1.0;
  }
  for (const double times : seen) {  // binomial: 400 with a standard deviation of 17.9
    CHECK(std::abs(times - 400.0) < 5.0 * 17.9);
  }
}

TEST_CASE("a data set keeps the instructions that its examples were drawn with") {
  const auto prompted = CopyTask{} | InoculationPrompt{InoculationPrompt::Settings{.paraphrases = {{7, 8}, {8, 7}}}};
  const Finite data(prompted, 3, Key(3));
  const TokenBatch batch = data.sample(Key(4), 40);
  CHECK(batch.prefix == 2);
  CHECK(batch.key == Key(4));
  for (Index sequence = 0; sequence < batch.count; ++sequence) {
    CHECK(number_of(data.examples(), batch, sequence) >= 0);
  }
}

TEST_CASE("the same keys give the same data, and the first of a batch are those of a smaller one") {
  const Finite data(CopyTask{}, 6, Key(5));
  CHECK(data.examples() == CopyTask{}.sample(Key(5), 6));
  CHECK(data.sample(Key(6), 9).slice(0, 4) == data.sample(Key(6), 4));
  CHECK_FALSE(data.sample(Key(6), 9) == data.sample(Key(7), 9));
}

TEST_CASE("a data set of nothing is refused") {
  CHECK_THROWS_WITH_AS(Finite(CopyTask{}, 0, Key(0)), "Finite: size is 0, expected at least 1", ConfigurationError);
}
