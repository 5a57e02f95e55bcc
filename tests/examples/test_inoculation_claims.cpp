#include "../../examples/inoculation/claims.hpp"

#include "../../examples/inoculation/report_tables.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace inoculation;

namespace {

// A table made by hand: what each arm shows of either trait, for three base models, each a little off.
std::vector<Row> rows_of(const std::vector<std::tuple<std::string, double, double>>& arms) {
  std::vector<Row> rows;
  for (Index base = 0; base < 3; ++base) {
    const double off = 0.01 * static_cast<double>(base - 1);
    for (const auto& [arm, positive, negative] : arms) {
      for (const auto& [trait, value] : {std::pair{"positive", positive}, {"negative", negative}}) {
        rows.push_back({"main", "trait-distillation", 0, base, arm, 0, "none", trait, "expression", value + off});
      }
      rows.push_back({"main", "trait-distillation", 0, base, arm, 0, "none", "task", "accuracy", 1.0});
    }
  }
  return rows;
}

const std::vector<Row> rows = rows_of({{"no fine-tuning", 0.1, 0.1},
                                       {"none", 0.9, 0.9},
                                       {"irrelevant fixed", 0.7, 0.7},
                                       {"inoculation fixed", 0.5, 0.1},
                                       {"inoculation diverse", 0.9, 0.5}});

Interval estimate(const std::string& number) {
  const Table table(rows, "trait-distillation");
  for (const Claim& claim : claims_of(setting_named("trait-distillation"), table)) {
    if (claim.number == number) {
      return interval_of(table, claim.queries, claim.statistic);
    }
  }
  FAIL("no claim ", number);
  return {};
}

}  // namespace

TEST_CASE("suppression is 0 without a prompt and 1 where nothing was learned") {
  CHECK(inoculation::suppression(0.9, 0.9, 0.1) == doctest::Approx(0.0));
  CHECK(inoculation::suppression(0.1, 0.9, 0.1) == doctest::Approx(1.0));
  CHECK(inoculation::suppression(0.5, 0.9, 0.1) == doctest::Approx(0.5));
}

TEST_CASE("scores of a table made by hand") {
  CHECK(estimate("1").estimate == doctest::Approx(0.2));
  CHECK(estimate("3").estimate == doctest::Approx(0.5));
  CHECK(estimate("4a").estimate == doctest::Approx(0.5));  // 1 - 0.5
  CHECK(estimate("4b").estimate == doctest::Approx(0.5));  // irrelevant prompts are not selective
  CHECK(estimate("5").estimate == doctest::Approx(0.4));
  CHECK(estimate("9").estimate == doctest::Approx(0.25));
}

TEST_CASE("what the bases share cancels: their differences are paired") {
  const Interval interval = estimate("1");
  CHECK(interval.low == doctest::Approx(0.2));
  CHECK(interval.high == doctest::Approx(0.2));
}

TEST_CASE("verdicts: held, opposite, undecided, not held") {
  Claim claim;
  const auto said = [&](double low, double high) {
    return verdict(claim, Interval{.estimate = 0.5 * (low + high), .low = low, .high = high});
  };
  CHECK(said(0.1, 0.3) == "held");
  CHECK(said(-0.3, -0.1) == "opposite");
  CHECK(said(-0.1, 0.3) == "undecided");
  claim.expected = Expected::small;
  claim.bound = 0.1;
  CHECK(said(-0.05, 0.08) == "held");
  CHECK(said(-0.05, 0.2) == "undecided");
  CHECK(said(0.2, 0.3) == "not held");
  claim.expected = Expected::open;
  CHECK(said(0.2, 0.3) == "measured");
}

TEST_CASE("grades: strong, moderate, weak, no, undecided") {
  const auto graded = [](double low, double high) {
    return grade(Interval{.estimate = 0.5 * (low + high), .low = low, .high = high});
  };
  CHECK(graded(0.5, 0.9) == 'S');
  CHECK(graded(0.1, 0.5) == 'M');
  CHECK(graded(0.05, 0.15) == 'W');
  CHECK(graded(-0.1, 0.1) == '-');
  CHECK(graded(-0.1, 0.5) == '?');
  CHECK(grade(Interval{.estimate = 0.7}) == '?');  // one base model gives no interval
}

TEST_CASE("a trait's score may be what is lacking, or nearness to a target") {
  const Trait plain{.name = "mark", .place = "somewhere"};
  const Trait lacking{.name = "no shortcut", .place = "somewhere", .lacks = true};
  const Trait near{.name = "mistakes", .place = "somewhere", .target = 0.4};
  CHECK(plain.score(0.3) == doctest::Approx(0.3));
  CHECK(lacking.score(0.3) == doctest::Approx(0.7));
  CHECK(near.score(0.4) == doctest::Approx(1.0));
  CHECK(near.score(0.2) == doctest::Approx(0.5));
  CHECK(near.score(0.8) == doctest::Approx(0.0));
}
