#include "incontext/report/hierarchical_bootstrap.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace incontext;

namespace {

// Random effects with mean zero: standard deviations 1 for base models, 0.5 for fine-tuning runs, 0.7 for prompts, 0.3
// for the rest.
std::vector<Measurement> draw_measurements(Key key, Index bases, Index runs, Index prompts) {
  Stream stream(key);
  std::vector<double> of_prompt;
  for (Index prompt = 0; prompt < prompts; ++prompt) {
    of_prompt.push_back(0.7 * stream.normal());
  }
  std::vector<Measurement> measurements;
  for (Index base = 0; base < bases; ++base) {
    const double of_base = stream.normal();
    for (Index run = 0; run < runs; ++run) {
      const double of_run = 0.5 * stream.normal();
      for (Index prompt = 0; prompt < prompts; ++prompt) {
        const double effect = of_prompt[static_cast<std::size_t>(prompt)];
        measurements.push_back({base, run, prompt, {of_base + of_run + effect + 0.3 * stream.normal()}});
      }
    }
  }
  return measurements;
}

}  // namespace

TEST_CASE("the estimate weighs prompts within runs, runs within base models, base models alike") {
  // Base 0 has two runs, one of them on one prompt only; base 1 has one run.
  const std::vector<Measurement> measurements = {
      {0, 0, 0, {1.0, 10.0}}, {0, 0, 1, {3.0, 30.0}}, {0, 1, 0, {6.0, 60.0}}, {1, 5, 1, {8.0, 80.0}}};
  const std::vector<double> means = Hierarchy(measurements).means();
  REQUIRE(means.size() == 2);
  CHECK(means[0] == doctest::Approx(0.5 * (0.5 * (2.0 + 6.0) + 8.0)));
  CHECK(means[1] == doctest::Approx(10.0 * means[0]));
}

TEST_CASE("the interval covers the mean about as often as it says, and taking all for independent does not") {
  constexpr Index bases = 12;
  constexpr Index prompts = 6;
  constexpr int repetitions = 200;
  const BootstrapSettings settings{.replicates = 300};
  int covered = 0;
  int covered_as_if_independent = 0;
  for (int repetition = 0; repetition < repetitions; ++repetition) {
    const Key key = Key(1).fold(static_cast<std::uint64_t>(repetition));
    std::vector<Measurement> measurements = draw_measurements(key, bases, 2, prompts);
    covered += hierarchical_interval(measurements, key, settings).contains(0.0) ? 1 : 0;
    for (std::size_t index = 0; index < measurements.size(); ++index) {
      measurements[index].base = measurements[index].prompt = static_cast<Index>(index);
    }
    // Every measurement a model and a prompt of its own: mind that both are drawn, which alone makes it wider by
    // sqrt(2).
    covered_as_if_independent += hierarchical_interval(measurements, key, settings).contains(0.0) ? 1 : 0;
  }
  // The worst that the percentile bootstrap does to six prompts alone: P(|t| < 1.96 sqrt(5 / 6)) = 0.87 at five degrees
  // of freedom. Four standard errors of 200 repetitions, 0.024 each, below that:
  CHECK(covered >= static_cast<int>(0.77 * repetitions));
  // The true standard deviation of the mean is sqrt(1/12 + 0.25/24 + 0.49/6 + 0.09/144) = 0.42; that of independent
  // measurements, sqrt(1.83/144) = 0.11, or 0.16 with both drawn: P(|z| < 1.96 * 0.16 / 0.42) = 0.54, and four
  // standard errors of 0.035 above it:
  CHECK(covered_as_if_independent <= static_cast<int>(0.68 * repetitions));
}

TEST_CASE("prompts that all models share are drawn once for all of them") {
  // All the spread is between two prompts; with prompts nested in twenty models it would average out.
  std::vector<Measurement> measurements;
  for (Index base = 0; base < 20; ++base) {
    measurements.push_back({base, 0, 0, {0.0}});
    measurements.push_back({base, 0, 1, {1.0}});
  }
  const Interval interval = hierarchical_interval(measurements, Key(2));
  CHECK(interval.estimate == doctest::Approx(0.5));
  CHECK(interval.low == 0.0);  // a quarter of the draws have prompt 0 twice
  CHECK(interval.high == doctest::Approx(1.0));
}

TEST_CASE("a statistic of values side by side is paired") {
  // Two arms that differ by 1 in every model, though models differ by 100.
  std::vector<Measurement> measurements;
  for (Index base = 0; base < 8; ++base) {
    const double level = 100.0 * static_cast<double>(base);
    measurements.push_back({base, 0, 0, {level + 1.0, level}});
  }
  const auto difference = [](const std::vector<double>& means) { return means[0] - means[1]; };
  const Interval interval = hierarchical_interval(measurements, difference, Key(3));
  CHECK(interval.low == doctest::Approx(1.0));
  CHECK(interval.high == doctest::Approx(1.0));
}

TEST_CASE("one model on one prompt has no interval, and the same key gives the same interval") {
  CHECK_FALSE(hierarchical_interval(std::vector<Measurement>{{0, 0, 0, {2.0}}}, Key(4)).has_interval());
  const std::vector<Measurement> measurements = draw_measurements(Key(5), 5, 2, 3);
  const Interval first = hierarchical_interval(measurements, Key(6));
  const Interval again = hierarchical_interval(measurements, Key(6));
  CHECK(first.low == again.low);
  CHECK(first.high == again.high);
  CHECK(first.low < first.estimate);
  CHECK(first.estimate < first.high);
}

TEST_CASE("what cannot be measured is refused") {
  CHECK_THROWS_WITH_AS(Hierarchy(std::vector<Measurement>{}), doctest::Contains("there are no measurements"),
                       ConfigurationError);
  CHECK_THROWS_WITH_AS(Hierarchy(std::vector<Measurement>{{0, 0, 0, {1.0}}, {0, 0, 1, {1.0, 2.0}}}),
                       doctest::Contains("a measurement of 2 values beside one of 1"), ConfigurationError);
  const std::vector<Measurement> one = {{0, 0, 0, {1.0}}};
  CHECK_THROWS_AS(static_cast<void>(hierarchical_interval(one, Key(0), {.level = 1.0})), ConfigurationError);
  CHECK_THROWS_AS(static_cast<void>(hierarchical_interval(one, Key(0), {.replicates = 0})), ConfigurationError);
}
