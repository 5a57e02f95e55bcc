#include "incontext/probe/patching.hpp"

#include "incontext/nn/transformer.hpp"
#include "incontext/task/word_task.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <numeric>
#include <type_traits>
#include <vector>

using namespace incontext;

static_assert(std::is_convertible_v<ResidualStream<float>&, ProbeReference<float>>);
static_assert(std::is_convertible_v<const Patch<double>&, ProbeReference<double>>);
static_assert(!std::is_convertible_v<Patch<double>&, ProbeReference<float>>);

namespace {

const WordTask words({.first_token = 3, .words = 6, .query = 2, .effects = {TraitEffect::variant}});

Transformer<double> model() {
  return {{.dimension = 0,
           .layers = 2,
           .heads = 2,
           .width = 8,
           .vocabulary = words.vocabulary(),
           .outputs = words.vocabulary(),
           .positions = words.length() + 1,
           .initial_scale = 0.5},
          Key(1)};
}

// The same queries behind an instruction token each.
TokenBatch behind(int token) {
  TokenBatch batch = words.sample(Key(2), 5);
  batch.put_in_front(std::vector<int>(5, token), 1);
  return batch;
}

std::vector<Index> all_positions() {
  std::vector<Index> positions(static_cast<std::size_t>(behind(1).length));
  std::iota(positions.begin(), positions.end(), Index{0});
  return positions;
}

}  // namespace

TEST_CASE("the log likelihood is that of the answers, and likelihoods of all answers sum to one") {
  TokenBatch batch = behind(1);
  std::vector<double> sums(5);
  for (int token = 0; token < static_cast<int>(words.vocabulary()); ++token) {
    for (Index sequence = 0; sequence < 5; ++sequence) {
      batch.targets[static_cast<std::size_t>(sequence * batch.length + batch.length - 1)] = token;
    }
    const std::vector<double> logs = log_likelihoods(model(), batch);
    for (std::size_t sequence = 0; sequence < 5; ++sequence) {
      sums[sequence] += std::exp(logs[sequence]);
    }
  }
  for (const double sum : sums) {
    CHECK(sum == doctest::Approx(1.0));
  }
  const TokenPredictions predictions = model().predict(batch);
  const std::vector<double> last = log_likelihoods(model(), batch);
  for (Index sequence = 0; sequence < 5; ++sequence) {
    CHECK(last[static_cast<std::size_t>(sequence)] ==
          doctest::Approx(predictions.log_probabilities(sequence, words.vocabulary() - 1)));
  }
}

TEST_CASE("recording changes nothing, and a run patched with itself is itself, to the bit") {
  ResidualStream<double> stream;
  const std::vector<double> plain = log_likelihoods(model(), behind(1));
  CHECK(log_likelihoods(model(), behind(1), stream) == plain);
  REQUIRE(stream.layers.size() == 3);
  CHECK(stream.layers[0].rows() == 5 * behind(1).length);
  for (Index layer = 0; layer <= 2; ++layer) {
    CHECK(log_likelihoods(model(), behind(1), Patch(stream, layer, all_positions())) == plain);
  }
}

TEST_CASE("a run patched everywhere at one layer is the other run, and at no position it is itself") {
  ResidualStream<double> other;
  const std::vector<double> there = log_likelihoods(model(), behind(2), other);
  const std::vector<double> here = log_likelihoods(model(), behind(1));
  CHECK(here != there);
  for (Index layer = 0; layer <= 2; ++layer) {
    CHECK(log_likelihoods(model(), behind(1), Patch(other, layer, all_positions())) == there);
    CHECK(log_likelihoods(model(), behind(1), Patch(other, layer, {})) == here);
  }
  // The instruction is all that differs, so its embedding is all that has to be patched; behind the last block only
  // the answer's position is read.
  CHECK(log_likelihoods(model(), behind(1), Patch(other, 0, {0})) == there);
  CHECK(log_likelihoods(model(), behind(1), Patch(other, 2, {0})) == here);
  CHECK(log_likelihoods(model(), behind(1), Patch(other, 2, {behind(1).length - 1})) == there);
}

TEST_CASE("patches that fit no run are refused") {
  ResidualStream<double> stream;
  static_cast<void>(log_likelihoods(model(), behind(1), stream));
  CHECK_THROWS_WITH_AS(Patch(stream, 3, {0}), "Patch: layer 3, expected 0 to 2", ConfigurationError);
  CHECK_THROWS_WITH_AS(Patch(stream, 0, {9}), doctest::Contains("Patch: position 9 of sequences of"),
                       ConfigurationError);
  const Patch patch(stream, 0, {0});
  CHECK_THROWS_AS(static_cast<void>(log_likelihoods(model(), behind(1).slice(0, 3), patch)), ShapeError);
}
