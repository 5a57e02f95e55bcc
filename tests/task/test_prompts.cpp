#include "incontext/task/prompts.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

using incontext::Index;
using incontext::Key;
using incontext::Prompts;
using incontext::ShapeError;
using incontext::Stream;

namespace {

// Every number is different, so that a row or column out of place shows.
Prompts example(Index count, Index points, Index dimension, Index prefix = 0) {
  Prompts prompts(count, points, dimension);
  prompts.key = Key{3}.fold("prompts");
  prompts.prefix = prefix;
  int next = 0;
  for (Index prompt = 0; prompt < count; ++prompt) {
    for (Index point = 0; point < points; ++point) {
      for (Index coordinate = 0; coordinate < dimension; ++coordinate) {
        prompts.inputs(prompt * points + point, coordinate) = ++next;
      }
      prompts.labels(prompt, point) = ++next;
      prompts.targets(prompt, point) = ++next;
    }
    for (Index token = 0; token < prefix; ++token) {
      prompts.tokens.push_back(++next);
    }
  }
  return prompts;
}

// The batch of two batches of one shape.
Prompts joined(const Prompts& first, const Prompts& second) {
  Prompts both(first.count + second.count, first.points, first.dimension);
  both.inputs << first.inputs, second.inputs;
  both.labels << first.labels, second.labels;
  both.targets << first.targets, second.targets;
  both.prefix = first.prefix;
  both.tokens = first.tokens;
  both.tokens.insert(both.tokens.end(), second.tokens.begin(), second.tokens.end());
  both.key = first.key;
  return both;
}

}  // namespace

TEST_CASE("prompts to be written have the shapes of those of zeros") {
  const Prompts zeros(4, 3, 2);
  const Prompts unfilled = Prompts::unfilled(4, 3, 2);
  CHECK(unfilled.count == 4);
  CHECK(unfilled.points == 3);
  CHECK(unfilled.dimension == 2);
  CHECK(unfilled.prefix == 0);
  CHECK(unfilled.tokens.empty());
  for (const auto& [written, expected] : {std::pair{&unfilled.inputs, &zeros.inputs},
                                          {&unfilled.labels, &zeros.labels},
                                          {&unfilled.targets, &zeros.targets}}) {
    CHECK(written->rows() == expected->rows());
    CHECK(written->cols() == expected->cols());
  }
}

TEST_CASE("fresh prompts are zeros of their shape") {
  const Prompts prompts(3, 4, 2);
  CHECK(prompts.inputs.rows() == 12);
  CHECK(prompts.inputs.cols() == 2);
  CHECK(prompts.labels.rows() == 3);
  CHECK(prompts.labels.cols() == 4);
  CHECK(prompts.targets.rows() == 3);
  CHECK(prompts.targets.cols() == 4);
  CHECK(prompts.inputs.isZero(0.0));
  CHECK(prompts.labels.isZero(0.0));
  CHECK(prompts.targets.isZero(0.0));
  CHECK(prompts.tokens.empty());
  CHECK(prompts.prefix == 0);
  CHECK(prompts.key == Key{});
}

TEST_CASE("the inputs of a prompt are its rows, to read and to write") {
  Prompts prompts = example(3, 4, 2);
  const Prompts before = prompts;
  CHECK(before.inputs_of(1).rows() == 4);
  CHECK(before.inputs_of(1)(0, 0) == before.inputs(4, 0));
  CHECK(before.inputs_of(1)(3, 1) == before.inputs(7, 1));
  prompts.inputs_of(2).setZero();
  CHECK(prompts.inputs.bottomRows(4).isZero(0.0));
  CHECK(prompts.inputs.topRows(8) == before.inputs.topRows(8));
}

TEST_CASE("a slice is its prompts, key and prefix included") {
  const Prompts prompts = example(5, 3, 2, 2);
  const Prompts part = prompts.slice(1, 3);
  CHECK(part.count == 3);
  CHECK(part.points == 3);
  CHECK(part.dimension == 2);
  CHECK(part.prefix == 2);
  CHECK(part.key == prompts.key);
  for (Index prompt = 0; prompt < 3; ++prompt) {
    CHECK(part.inputs_of(prompt) == prompts.inputs_of(prompt + 1));
    CHECK(part.labels.row(prompt) == prompts.labels.row(prompt + 1));
    CHECK(part.targets.row(prompt) == prompts.targets.row(prompt + 1));
  }
  CHECK(part.tokens == std::vector<int>(prompts.tokens.begin() + 2, prompts.tokens.begin() + 8));
}

TEST_CASE("slices compose, and put together they are the batch") {
  const Prompts prompts = example(6, 3, 2, 1);
  CHECK(prompts.slice(0, 6) == prompts);
  CHECK(prompts.slice(1, 5).slice(2, 2) == prompts.slice(3, 2));
  for (Index cut = 0; cut <= 6; ++cut) {
    CHECK(joined(prompts.slice(0, cut), prompts.slice(cut, 6 - cut)) == prompts);
  }
  const Prompts empty = prompts.slice(6, 0);
  CHECK(empty.count == 0);
  CHECK(empty.inputs.rows() == 0);
  CHECK(empty.inputs.cols() == 2);
  CHECK(empty.tokens.empty());
}

TEST_CASE("the first points of prompts are a shorter context") {
  const Prompts prompts = example(4, 5, 2, 2);
  const Prompts shorter = prompts.first_points(3);
  CHECK(shorter.count == 4);
  CHECK(shorter.points == 3);
  CHECK(shorter.tokens == prompts.tokens);
  CHECK(shorter.prefix == 2);
  CHECK(shorter.key == prompts.key);
  for (Index prompt = 0; prompt < 4; ++prompt) {
    CHECK(shorter.inputs_of(prompt) == prompts.inputs_of(prompt).topRows(3));
    CHECK(shorter.labels.row(prompt) == prompts.labels.row(prompt).head(3));
    CHECK(shorter.targets.row(prompt) == prompts.targets.row(prompt).head(3));
  }
  CHECK(prompts.first_points(5) == prompts);
  CHECK(prompts.first_points(4).first_points(2) == prompts.first_points(2));
  CHECK(prompts.first_points(3).slice(1, 2) == prompts.slice(1, 2).first_points(3));
  CHECK(prompts.first_points(0).labels.cols() == 0);
}

TEST_CASE("ranges beyond the batch are refused with their numbers") {
  const Prompts prompts = example(4, 5, 2);
  CHECK_THROWS_WITH_AS(static_cast<void>(prompts.slice(2, 3)), "Prompts::slice: prompts [2, 5) of 4", ShapeError);
  CHECK_THROWS_AS(static_cast<void>(prompts.slice(-1, 2)), ShapeError);
  CHECK_THROWS_AS(static_cast<void>(prompts.slice(1, -1)), ShapeError);
  CHECK_THROWS_AS(static_cast<void>(prompts.slice(5, 0)), ShapeError);
  CHECK_THROWS_WITH_AS(static_cast<void>(prompts.first_points(6)), "Prompts::first_points: 6 of 5 points", ShapeError);
  CHECK_THROWS_AS(static_cast<void>(prompts.first_points(-1)), ShapeError);
}

TEST_CASE("prompts are equal when every part is, and prompts of other shapes are unequal") {
  const Prompts prompts = example(2, 3, 2, 1);
  CHECK(prompts == example(2, 3, 2, 1));
  const auto differs = [&](auto change) {
    Prompts changed = prompts;
    change(changed);
    return changed != prompts;
  };
  CHECK(differs([](Prompts& changed) { changed.inputs(5, 1) += 1.0; }));
  CHECK(differs([](Prompts& changed) { changed.labels(1, 2) += 1.0; }));
  CHECK(differs([](Prompts& changed) { changed.targets(0, 0) += 1.0; }));
  CHECK(differs([](Prompts& changed) { changed.tokens[1] += 1; }));
  CHECK(differs([](Prompts& changed) { changed.key = changed.key.fold(0); }));
  CHECK(prompts != example(3, 3, 2, 1));
  CHECK(prompts != example(2, 4, 2, 1));
  CHECK(prompts != example(2, 3, 1, 1));
  CHECK(prompts != Prompts());
}
