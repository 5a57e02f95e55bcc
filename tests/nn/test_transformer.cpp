#include "incontext/nn/transformer.hpp"

#include "incontext/core/executor.hpp"
#include "incontext/optim/clip_norm.hpp"
#include "incontext/predictor/predictor.hpp"
#include "incontext/task/linear_regression.hpp"
#include "nn/model_gradient.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

using incontext::ConfigurationError;
using incontext::Gpt2;
using incontext::Index;
using incontext::Key;
using incontext::LinearRegression;
using incontext::LinearSelfAttention;
using incontext::MatrixView;
using incontext::ParameterEntry;
using incontext::Precision;
using incontext::Predictions;
using incontext::Prompts;
using incontext::ShapeError;
using incontext::SquaredError;
using incontext::Stream;
using incontext::ThreadExecutor;
using incontext::TokenBatch;
using incontext::Transformer;
using incontext::TransformerSettings;
using incontext_tests::Complex;
using incontext_tests::gradient_tolerance;
using incontext_tests::regression_gradients;
using incontext_tests::shake;
using incontext_tests::token_gradients;
using incontext_tests::worst_error;

namespace {

static_assert(incontext::Predictor<Transformer<float>>);
static_assert(incontext::Predictor<Transformer<double, LinearSelfAttention>>);

constexpr Index dimension = 3;
constexpr Index points = 6;
constexpr Index prefix = 2;
constexpr Index vocabulary = 5;
constexpr Precision precisions[] = {Precision::fp32, Precision::bf16, Precision::bf16x3};

template <class Scalar, class Architecture>
Transformer<Scalar, Architecture> example_model(Precision precision = Precision::fp32) {
  Transformer<Scalar, Architecture> model({.dimension = dimension,
                                           .points = points,
                                           .layers = 2,
                                           .heads = 2,
                                           .width = 6,
                                           .vocabulary = vocabulary,
                                           .prefix = prefix,
                                           .precision = precision},
                                          Key{1});
  shake(model, Key{2}, 0.3);
  return model;
}

Prompts example_prompts(Index count, Index length = points) {
  const LinearRegression task{{.dimension = dimension, .points = length, .noise = 0.3}};
  Prompts prompts = task.sample(Key{3}, count);
  prompts.prefix = prefix;
  Stream stream(Key{4});
  for (Index token = 0; token < count * prefix; ++token) {
    prompts.tokens.push_back(static_cast<int>(stream.integer(vocabulary)));
  }
  return prompts;
}

bool same_bits(double left, double right) { return std::memcmp(&left, &right, sizeof(double)) == 0; }

bool same_bits(const Predictions& left, const Predictions& right) {
  bool same = left.rows() == right.rows() && left.cols() == right.cols();
  for (Index index = 0; same && index < left.size(); ++index) {
    same = same_bits(left.data()[index], right.data()[index]);
  }
  return same;
}

std::string refusal(const TransformerSettings& settings) {
  try {
    const Transformer<float> model(settings, Key{1});
  } catch (const ConfigurationError& error) {
    return error.what();
  }
  return "accepted";
}

double mean(const float* values, Index count) {
  double sum = 0.0;
  for (Index index = 0; index < count; ++index) {
    sum += static_cast<double>(values[index]);
  }
  return sum / static_cast<double>(count);
}

double mean_square(const float* values, Index count) {
  double sum = 0.0;
  for (Index index = 0; index < count; ++index) {
    sum += static_cast<double>(values[index]) * static_cast<double>(values[index]);
  }
  return sum / static_cast<double>(count);
}

}  // namespace

TEST_CASE("settings that make no sense are refused, and the message names the value") {
  CHECK(refusal({.heads = 0}) == "Transformer: heads is 0, expected at least 1");
  CHECK(refusal({.heads = 3, .width = 64}) == "Transformer: width is 64, expected a multiple of the 3 heads");
  CHECK(refusal({.dimension = -1}) == "Transformer: dimension is -1, expected at least 0");
  CHECK(refusal({.points = 0}) == "Transformer: points is 0, expected at least 1");
  CHECK(refusal({.layers = 0}) == "Transformer: layers is 0, expected at least 1");
  CHECK(refusal({.width = 0}) == "Transformer: width is 0, expected at least 1");
  CHECK(refusal({.hidden = -4}) == "Transformer: hidden is -4, expected at least 0");
  CHECK(refusal({.vocabulary = -1}) == "Transformer: vocabulary is -1, expected at least 0");
  CHECK(refusal({.dimension = 0}) == "Transformer: vocabulary is 0, expected at least 1");
  CHECK(refusal({.prefix = -1}) == "Transformer: prefix is -1, expected at least 0");
  CHECK(refusal({.outputs = 0}) == "Transformer: outputs is 0, expected at least 1");
  CHECK(refusal({.positions = -7}) == "Transformer: positions is -7, expected at least 1");
  CHECK(refusal({.initial_scale = -0.5}) ==
        "Transformer: initial_scale is -0.5, expected a finite number of at least 0");
  CHECK(refusal({.initial_scale = std::numeric_limits<double>::infinity()}) ==
        "Transformer: initial_scale is inf, expected a finite number of at least 0");
  CHECK(refusal({.width = 8}) == "accepted");
}

TEST_CASE("sizes left out follow from the others") {
  const Transformer<float> model({.dimension = 4, .points = 5, .layers = 1, .width = 8, .vocabulary = 3, .prefix = 2},
                                 Key{1});
  CHECK(model.settings().hidden == 32);
  CHECK(model.settings().positions == 2 + 2 * 5 - 1);
  const Transformer<float, LinearSelfAttention> linear({.dimension = 4, .points = 5, .layers = 1, .width = 8}, Key{1});
  CHECK(linear.settings().positions == 5);
}

TEST_CASE("parameters have GPT-2's names and shapes") {
  const Transformer<float> model({.dimension = 5,
                                  .points = 6,
                                  .layers = 1,
                                  .heads = 2,
                                  .width = 16,
                                  .vocabulary = 7,
                                  .prefix = 2,
                                  .outputs = 3,
                                  .positions = 20},
                                 Key{1});
  const std::vector<std::pair<std::string, std::vector<Index>>> expected = {
      {"transformer.wte.weight", {7, 16}},
      {"transformer.wpe.weight", {20, 16}},
      {"read_in.weight", {16, 5}},
      {"read_in.bias", {16}},
      {"transformer.h.0.ln_1.weight", {16}},
      {"transformer.h.0.ln_1.bias", {16}},
      {"transformer.h.0.attn.c_attn.weight", {16, 48}},
      {"transformer.h.0.attn.c_attn.bias", {48}},
      {"transformer.h.0.attn.c_proj.weight", {16, 16}},
      {"transformer.h.0.attn.c_proj.bias", {16}},
      {"transformer.h.0.ln_2.weight", {16}},
      {"transformer.h.0.ln_2.bias", {16}},
      {"transformer.h.0.mlp.c_fc.weight", {16, 64}},
      {"transformer.h.0.mlp.c_fc.bias", {64}},
      {"transformer.h.0.mlp.c_proj.weight", {64, 16}},
      {"transformer.h.0.mlp.c_proj.bias", {16}},
      {"transformer.ln_f.weight", {16}},
      {"transformer.ln_f.bias", {16}},
      {"read_out.weight", {3, 16}},
      {"read_out.bias", {3}},
  };
  std::vector<std::pair<std::string, std::vector<Index>>> found;
  for (const ParameterEntry& entry : model.parameters().layout().entries()) {
    found.emplace_back(entry.name, entry.shape);
  }
  CHECK(found == expected);
}

TEST_CASE("initial weights are GPT-2's, read-in and read-out PyTorch's") {
  const Index layers = 3;
  const Transformer<float> model(
      {.dimension = 20, .points = 30, .layers = layers, .heads = 2, .width = 48, .vocabulary = 40, .outputs = 6},
      Key{11});
  const double residual = 0.02 / std::sqrt(2.0 * static_cast<double>(layers));
  for (const ParameterEntry& entry : model.parameters().layout().entries()) {
    const std::string name = entry.name;
    CAPTURE(name);
    const float* values = model.parameters().data() + entry.offset;
    const auto count = static_cast<double>(entry.size);
    const bool is_norm = name.find(".ln_") != std::string::npos;
    if (name.rfind("read_", 0) == 0) {
      const double bound = 1.0 / std::sqrt(name.rfind("read_in", 0) == 0 ? 20.0 : 48.0);
      for (Index index = 0; index < entry.size; ++index) {
        CHECK(std::abs(static_cast<double>(values[index])) <= bound * (1.0 + 1e-7));
      }
      // The variance of a uniform number within b is b^2 / 3, that of its square 4 b^4 / 45. Five standard errors.
      CHECK(std::abs(mean(values, entry.size)) <= 5.0 * bound / std::sqrt(3.0 * count));
      CHECK(std::abs(mean_square(values, entry.size) - bound * bound / 3.0) <=
            5.0 * bound * bound * std::sqrt(4.0 / 45.0 / count));
    } else if (name.ends_with(".bias") || is_norm) {
      for (Index index = 0; index < entry.size; ++index) {
        CHECK(values[index] == (is_norm && name.ends_with(".weight") ? 1.0F : 0.0F));
      }
    } else {
      const double scale = name.ends_with("c_proj.weight") ? residual : 0.02;
      // The standard errors of a mean and of a mean square of normals, five of each.
      CHECK(std::abs(mean(values, entry.size)) <= 5.0 * scale / std::sqrt(count));
      CHECK(std::abs(mean_square(values, entry.size) / (scale * scale) - 1.0) <= 5.0 * std::sqrt(2.0 / count));
    }
  }
  // No two tensors start from the same stream.
  const auto first = [&](const std::string& name) { return model.parameters().view(name)(0, 0); };
  CHECK(first("transformer.h.0.attn.c_attn.weight") != first("transformer.h.1.attn.c_attn.weight"));
  CHECK(first("transformer.h.0.attn.c_attn.weight") != first("transformer.h.0.mlp.c_fc.weight"));
  CHECK(first("transformer.wte.weight") != first("transformer.wpe.weight"));
}

TEST_CASE("the same key gives the same weights, another key others") {
  const TransformerSettings settings{.dimension = 3, .points = 4, .layers = 1, .heads = 1, .width = 8};
  CHECK(Transformer<float>(settings, Key{5}).parameters() == Transformer<float>(settings, Key{5}).parameters());
  CHECK_FALSE(Transformer<float>(settings, Key{5}).parameters() == Transformer<float>(settings, Key{6}).parameters());
}

TEST_CASE("a cast keeps settings and weights") {
  const auto model = example_model<float, Gpt2>();
  const auto oracle = model.cast<double>();
  CHECK(oracle.settings() == model.settings());
  CHECK(oracle.cast<float>().parameters() == model.parameters());
  CHECK(same_bits(oracle.cast<Complex>().predict(example_prompts(2)),
                  oracle.cast<Complex>().predict(example_prompts(2))));
  const Predictions exact = oracle.predict(example_prompts(4));
  const Predictions rounded = model.predict(example_prompts(4));
  const Predictions complex = oracle.cast<Complex>().predict(example_prompts(4));
  // Two layers of width six: some hundred roundings of numbers of order one, of which most cancel.
  CHECK((exact - rounded).norm() <= 100.0 * 1.2e-7 * exact.norm());
  CHECK((exact - complex).norm() <= 100.0 * 2.3e-16 * exact.norm());
}

TEST_CASE_TEMPLATE("no prediction depends on what comes after it, bit for bit", Architecture, Gpt2,
                   LinearSelfAttention) {
  for (const Precision precision : precisions) {
    CAPTURE(name_of(precision));
    const auto model = example_model<float, Architecture>(precision);
    const Prompts prompts = example_prompts(2);
    const Predictions before = model.predict(prompts);
    for (Index changed = 0; changed < points; ++changed) {
      CAPTURE(changed);
      Prompts other_label = prompts;
      other_label.labels(0, changed) += 10.0;
      Prompts other_input = prompts;
      other_input.inputs(changed, 0) += 10.0;
      const Predictions after_label = model.predict(other_label);
      const Predictions after_input = model.predict(other_input);
      for (Index point = 0; point < points; ++point) {
        CHECK(same_bits(before(0, point), after_label(0, point)) == (point <= changed));
        CHECK(same_bits(before(0, point), after_input(0, point)) == (point < changed));
        // The other prompt of the batch is another sequence.
        CHECK(same_bits(before(1, point), after_label(1, point)));
        CHECK(same_bits(before(1, point), after_input(1, point)));
      }
    }
    Prompts other_token = prompts;
    other_token.tokens[0] = (other_token.tokens[0] + 1) % static_cast<int>(vocabulary);
    const Predictions after_token = model.predict(other_token);
    for (Index point = 0; point < points; ++point) {
      CHECK_FALSE(same_bits(before(0, point), after_token(0, point)));
      CHECK(same_bits(before(1, point), after_token(1, point)));
    }
  }
}

TEST_CASE_TEMPLATE("a prediction at a point is the last prediction of the prompt that ends there", Architecture, Gpt2,
                   LinearSelfAttention) {
  const auto model = example_model<float, Architecture>();
  const Prompts prompts = example_prompts(3);
  const Predictions all = model.predict(prompts);
  REQUIRE(all.rows() == 3);
  REQUIRE(all.cols() == points);
  for (Index length = 1; length <= points; ++length) {
    const Predictions shorter = model.predict(prompts.first_points(length));
    // The same sums, but over rows of another length: equal up to the rounding of float.
    CHECK((all.col(length - 1) - shorter.col(length - 1)).norm() <= 1e-5 * all.col(length - 1).norm());
  }
}

TEST_CASE_TEMPLATE("a prompt's predictions do not depend on the batch that it stands in, bit for bit", Architecture,
                   Gpt2, LinearSelfAttention) {
  for (const Precision precision : precisions) {
    CAPTURE(name_of(precision));
    const auto model = example_model<float, Architecture>(precision);
    const Prompts prompts = example_prompts(70);
    const Predictions all = model.predict(prompts);
    for (const auto& [first, number] : {std::pair<Index, Index>{0, 1}, {31, 3}, {17, 53}, {69, 1}}) {
      CHECK(same_bits(model.predict(prompts.slice(first, number)), all.middleRows(first, number)));
    }
    CHECK(model.predict(prompts.slice(0, 0)).rows() == 0);
  }
}

TEST_CASE_TEMPLATE("law 7: the number of worker threads never changes a bit of a prediction", Architecture, Gpt2,
                   LinearSelfAttention) {
  for (const Precision precision : precisions) {
    CAPTURE(name_of(precision));
    const auto model = example_model<float, Architecture>(precision);
    for (const Index count : {1, 3, 33, 100}) {
      const Prompts prompts = example_prompts(count);
      const Predictions serial = model.predict(prompts);
      for (const Index threads : {1, 2, 3, 5}) {
        CAPTURE(count);
        CAPTURE(threads);
        ThreadExecutor executor(threads);
        CHECK(same_bits(model.predict(prompts, executor), serial));
      }
    }
  }
}

TEST_CASE("linear self-attention predicts the last point from the set of exemplars; GPT-2 reads them in order") {
  const Prompts prompts = example_prompts(4);
  Prompts reversed = prompts;
  for (Index prompt = 0; prompt < prompts.count; ++prompt) {
    for (Index point = 0; point + 1 < points; ++point) {
      const Index from = points - 2 - point;
      reversed.inputs.row(prompt * points + point) = prompts.inputs.row(prompt * points + from);
      reversed.labels(prompt, point) = prompts.labels(prompt, from);
    }
  }
  const auto difference = [&](const auto& model) {
    const Predictions before = model.predict(prompts);
    const Predictions after = model.predict(reversed);
    return (before.col(points - 1) - after.col(points - 1)).norm() / before.col(points - 1).norm();
  };
  CHECK(difference(example_model<double, LinearSelfAttention>()) <= 1e-13);
  CHECK(difference(example_model<double, Gpt2>()) > 1e-3);
}

TEST_CASE("prompts that do not fit the model are refused") {
  const auto model = example_model<float, Gpt2>();
  Prompts wide(1, points, dimension + 1);
  CHECK_THROWS_WITH_AS((void)model.predict(wide), "prompts of dimension 4 for a model of dimension 3", ShapeError);
  CHECK_THROWS_WITH_AS((void)model.predict(example_prompts(1, points + 1)),
                       "a sequence of 15 tokens, but the model has 13 positions", ShapeError);
  Prompts unknown_token = example_prompts(1);
  unknown_token.tokens[1] = static_cast<int>(vocabulary);
  CHECK_THROWS_WITH_AS((void)model.predict(unknown_token), "token 5 is outside the vocabulary of 5", ShapeError);
  Prompts missing_token = example_prompts(3);
  missing_token.tokens.pop_back();
  CHECK_THROWS_WITH_AS((void)model.predict(missing_token),
                       "3 prompts with a prefix of 2 hold 5 instruction tokens, expected 6", ShapeError);
  ThreadExecutor executor(2);
  CHECK_THROWS_AS((void)model.predict(unknown_token, executor), ShapeError);
  const Transformer<float> many({.dimension = dimension, .points = points, .layers = 1, .width = 8, .outputs = 2},
                                Key{1});
  CHECK_THROWS_WITH_AS((void)many.predict(Prompts(1, points, dimension)),
                       "a model with 2 outputs does not predict labels; expected 1 output", ShapeError);
}

TEST_CASE("law 9: the gradients of GPT-2 agree with the complex-step derivative") {
  Transformer<double, Gpt2> model(
      {.dimension = 2, .points = 3, .layers = 2, .heads = 2, .width = 6, .hidden = 5, .vocabulary = 4, .prefix = 2},
      Key{1});
  shake(model, Key{2});
  const LinearRegression task{{.dimension = 2, .points = 3, .noise = 0.1}};
  Prompts prompts = task.sample(Key{3}, 3);
  prompts.prefix = 2;
  prompts.tokens = {0, 3, 1, 1, 3, 0};
  std::vector<incontext_tests::TensorGradient> gradients = regression_gradients(model, prompts, SquaredError{});
  CHECK(worst_error(gradients) < gradient_tolerance);
  CHECK(worst_error(regression_gradients(model, prompts, SquaredError{{1.0, 0.0, 3.0}})) < gradient_tolerance);

  // The same check fails when any tensor is a little wrong.
  for (incontext_tests::TensorGradient& gradient : gradients) {
    CAPTURE(gradient.name);
    const std::vector<double> right = gradient.backward;
    gradient.backward.back() += 1e-8 * incontext_tests::norm(right);
    CHECK(worst_error(gradients) > gradient_tolerance);
    gradient.backward = right;
  }
}

TEST_CASE("law 9: the gradients of linear self-attention agree with the complex-step derivative") {
  Transformer<double, LinearSelfAttention> model(
      {.dimension = 2, .points = 4, .layers = 2, .heads = 1, .width = 5, .vocabulary = 3, .prefix = 1}, Key{1});
  shake(model, Key{2}, 0.3);
  const LinearRegression task{{.dimension = 2, .points = 4, .noise = 0.1}};
  Prompts prompts = task.sample(Key{3}, 3);
  prompts.prefix = 1;
  prompts.tokens = {0, 2, 2};
  CHECK(worst_error(regression_gradients(model, prompts, SquaredError{})) < gradient_tolerance);
}

TEST_CASE("law 9: the gradients of a token model agree with the complex-step derivative") {
  Transformer<double, Gpt2> model(
      {.dimension = 0, .layers = 2, .heads = 2, .width = 4, .hidden = 7, .vocabulary = 5, .outputs = 5, .positions = 4},
      Key{1});
  shake(model, Key{2});
  TokenBatch batch{
      .count = 2, .length = 4, .tokens = {0, 1, 2, 2, 4, 1, 0, 4}, .targets = {1, 2, 2, 3, 1, 0, 4, 4}, .weights = {}};
  CHECK(worst_error(token_gradients(model, batch)) < gradient_tolerance);
  batch.weights = {1.0, 0.0, 0.0, 1.0, 0.5, 2.0, 0.0, 1.0};
  CHECK(worst_error(token_gradients(model, batch)) < gradient_tolerance);
}

TEST_CASE_TEMPLATE("a precision changes the predictions of float models, and of no others", Architecture, Gpt2,
                   LinearSelfAttention) {
  const Prompts prompts = example_prompts(3);
  const auto single = example_model<float, Architecture>();
  const auto real = example_model<double, Architecture>();
  for (const Precision precision : {Precision::bf16, Precision::bf16x3}) {
    CAPTURE(name_of(precision));
    const auto model = example_model<float, Architecture>(precision);
    CHECK(model.settings().precision == precision);
    CHECK(model.parameters() == single.parameters());
    CHECK_FALSE(same_bits(model.predict(prompts), single.predict(prompts)));
    CHECK(same_bits(example_model<double, Architecture>(precision).predict(prompts), real.predict(prompts)));
    CHECK(same_bits(example_model<double, Architecture>(precision).template cast<Complex>().predict(prompts),
                    real.template cast<Complex>().predict(prompts)));
  }
}

TEST_CASE("a cast keeps the precision, which comes back with floats") {
  for (const Precision precision : precisions) {
    const auto model = example_model<float, Gpt2>(precision);
    const Prompts prompts = example_prompts(3);
    CHECK(model.cast<double>().settings().precision == precision);
    CHECK(same_bits(model.cast<double>().cast<float>().predict(prompts), model.predict(prompts)));
  }
}

TEST_CASE("rows that are read have the outputs of all rows, bit for bit, and the others have no gradient") {
  for (const Precision precision : precisions) {
    CAPTURE(name_of(precision));
    const auto model = example_model<float, Gpt2>(precision);
    incontext::ModelInput<float> input;
    Gpt2::Encoding::encode(example_prompts(3), 0, 3, input);
    const std::vector<Index> some = {0, 3, 4, 17, input.shape.rows() - 1};
    // The outputs, and the gradient where those of `some` have a derivative of one and the others none.
    const auto run = [&](incontext::ProbeReference<float> probe = {}) {
      Transformer<float, Gpt2>::Cache cache;
      incontext::Workspace<float> workspace;
      const MatrixView<const float> output =
          model.forward({model.parameters().data(), precision}, input, cache, workspace, probe);
      const bool has_all = output.rows == input.shape.rows();
      const MatrixView<float> d_output = workspace.take_zeros(output.rows, output.columns);
      std::vector<float> outputs;
      for (std::size_t place = 0; place < some.size(); ++place) {
        const Index row = has_all ? some[place] : static_cast<Index>(place);
        outputs.push_back(output(row, 0));
        d_output(row, 0) = 1.0F;
      }
      incontext::ParameterBuffer<float> gradients(model.parameters().shared_layout());
      model.backward(input, d_output, cache, gradients, workspace);
      return std::pair{outputs, gradients};
    };
    const auto all = run();
    input.read = some;
    const auto read = run();
    CHECK(read.first == all.first);
    // A probe sees all rows, so the last block is run on all of them.
    const auto look = [&](Index, incontext::SequenceShape shape, MatrixView<float> stream) {
      CHECK(stream.rows == shape.rows());
    };
    const auto probed = run(look);
    CHECK(probed.first == all.first);
    CHECK(incontext::global_norm(all.second) > 0.0);
    if (precision == Precision::fp32) {
      // Sums over rows go row by row, and what is left out of them is zero.
      CHECK(read.second == all.second);
      CHECK(probed.second == all.second);
      continue;
    }
    // Sums over rows are added up in another grouping: the error of one of as many terms as there are rows, where each
    // part of it went through a backward of some ten sums before.
    const auto rows = static_cast<double>(input.shape.rows());
    for (const auto& other : {read, probed}) {
      double error = 0.0;
      for (Index index = 0; index < all.second.size(); ++index) {
        error = std::hypot(
            error, static_cast<double>(other.second.data()[index]) - static_cast<double>(all.second.data()[index]));
      }
      CHECK(error <= 10.0 * rows * std::numeric_limits<float>::epsilon() * incontext::global_norm(all.second));
    }
  }
}

TEST_CASE("weights packed beforehand change no bit of forward and backward, at any precision") {
  for (const Precision precision : precisions) {
    CAPTURE(name_of(precision));
    const auto model = example_model<float, Gpt2>(precision);
    incontext::ModelInput<float> input;
    Gpt2::Encoding::encode(example_prompts(3), 0, 3, input);
    auto packed = model.make_packed_weights();
    CHECK(packed.precision() == precision);
    packed.pack(model.parameters().data(), {});
    const auto run = [&](const incontext::Weights<float>& weights) {
      Transformer<float, Gpt2>::Cache cache;
      incontext::Workspace<float> workspace;
      const MatrixView<const float> output = model.forward(weights, input, cache, workspace);
      incontext::ParameterBuffer<float> gradients(model.parameters().shared_layout());
      model.backward(weights, input, output, cache, gradients, workspace);
      return std::pair{std::vector<float>(output.data, output.data + output.rows * output.columns), gradients};
    };
    const auto beforehand = run({model.parameters().data(), packed});
    const auto on_the_spot = run({model.parameters().data(), precision});
    CHECK(beforehand.first == on_the_spot.first);
    CHECK(beforehand.second == on_the_spot.second);
    CHECK(incontext::global_norm(beforehand.second) > 0.0);
  }
}
