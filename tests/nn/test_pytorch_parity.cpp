// Law 10 on the golden files of tests/golden, whose README says how they were made and what they hold.

#include "incontext/io/safetensors.hpp"
#include "incontext/nn/batch_gradient.hpp"
#include "incontext/nn/transformer.hpp"
#include "incontext/optim/adam.hpp"
#include "incontext/optim/adam_w.hpp"
#include "incontext/optim/chain.hpp"
#include "incontext/optim/rate.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

using incontext::BatchGradient;
using incontext::CrossEntropy;
using incontext::Gpt2;
using incontext::Index;
using incontext::Key;
using incontext::MatrixView;
using incontext::ModelInput;
using incontext::ParameterBuffer;
using incontext::ParameterEntry;
using incontext::Predictions;
using incontext::Prompts;
using incontext::SquaredError;
using incontext::TensorFile;
using incontext::TokenBatch;
using incontext::Transformer;
using incontext::Workspace;

namespace {

struct Golden {
  TensorFile file;
  nlohmann::json config;
  nlohmann::json figures;  // of each tensor, how far PyTorch's float32 is from its float64

  explicit Golden(const std::string& name)
      : file(incontext::load_tensors(std::filesystem::path(INCONTEXT_SOURCE_DIR) / "tests" / "golden" / name)),
        config(nlohmann::json::parse(file.metadata_at("config"))),
        figures(nlohmann::json::parse(file.metadata_at("float32_against_float64"))) {}

  [[nodiscard]] Index size(const char* key) const { return config.at(key).get<Index>(); }

  /// A tensor in double, whichever type it was stored in.
  [[nodiscard]] std::vector<double> values(const std::string& name) const {
    if (file.at(name).type == incontext::data_type_of<double>()) {
      return file.values<double>(name);
    }
    const std::vector<float> single = file.values<float>(name);
    return {single.begin(), single.end()};
  }
  /// The best that PyTorch has to say of a tensor.
  [[nodiscard]] std::vector<double> best(const std::string& name) const {
    return values(file.tensors.count("float64/" + name) > 0 ? "float64/" + name : name);
  }

  [[nodiscard]] double figure(const std::string& name) const { return figures.at(name).get<double>(); }
};

constexpr double single_epsilon = std::numeric_limits<float>::epsilon();

// What an implementation in `Scalar` may be off by, relative to the tensor's largest entry, where PyTorch's own float32
// is off by `figure`. Its rounding errors and ours are two draws of one size: the same operations in another order.
// The largest of a few entries may be small by luck, so a figure below one epsilon counts as one; and ours may be
// larger by luck: a factor of four. In double the same errors are smaller by the ratio of the epsilons.
template <class Scalar>
double tolerance(double figure) {
  const double ratio = static_cast<double>(std::numeric_limits<Scalar>::epsilon()) / single_epsilon;
  return 4.0 * ratio * (std::max)(figure, single_epsilon);
}

// The largest difference relative to the largest entry of what is expected.
double distance(const std::vector<double>& found, const std::vector<double>& expected) {
  if (found.size() != expected.size()) {
    return std::numeric_limits<double>::infinity();
  }
  double apart = 0.0;
  double largest = 0.0;
  for (std::size_t index = 0; index < found.size(); ++index) {
    const double difference = std::abs(found[index] - expected[index]);
    apart = difference <= apart ? apart : difference;  // NaN stays
    largest = (std::max)(largest, std::abs(expected[index]));
  }
  return apart / largest;
}

// The bias of the keys has no gradient: softmax ignores it, and what is found is rounding. It is taken out of the
// tensor `name`, to be judged alone.
std::vector<double> take_keys(const std::string& name, std::vector<double>& values) {
  if (!name.ends_with("c_attn.bias")) {
    return {};
  }
  const auto third = static_cast<std::ptrdiff_t>(values.size() / 3);
  const std::vector<double> keys(values.begin() + third, values.begin() + 2 * third);
  values.erase(values.begin() + third, values.begin() + 2 * third);
  return keys;
}

template <class Scalar>
std::vector<double> tensor(const ParameterBuffer<Scalar>& buffer, const ParameterEntry& entry) {
  return {buffer.data() + entry.offset, buffer.data() + entry.offset + entry.size};
}

template <class Scalar>
void check_gradients(const Golden& golden, const ParameterBuffer<Scalar>& gradient) {
  for (const ParameterEntry& entry : gradient.layout().entries()) {
    const std::string name = "gradients/" + entry.name;
    CAPTURE(name);
    REQUIRE(golden.file.at(name).shape == entry.shape);
    std::vector<double> found = tensor(gradient, entry);
    std::vector<double> expected = golden.best(name);
    (void)take_keys(name, expected);
    for (const double key : take_keys(name, found)) {
      const double ratio = static_cast<double>(std::numeric_limits<Scalar>::epsilon()) / single_epsilon;
      CHECK(std::abs(key) <= 4.0 * ratio * golden.figure(name + " (keys, absolute)"));
    }
    CHECK(distance(found, expected) <= tolerance<Scalar>(golden.figure(name)));
  }
}

template <class Scalar>
Transformer<Scalar, Gpt2> with_golden_weights(const Golden& golden, const incontext::TransformerSettings& settings) {
  Transformer<float, Gpt2> model(settings, Key{});
  incontext::load(golden.file, "weights/", model.parameters());
  return model.cast<Scalar>();
}

template <class Scalar>
Transformer<Scalar, Gpt2> regression_model(const Golden& golden) {
  return with_golden_weights<Scalar>(golden, {.dimension = golden.size("dimension"),
                                              .points = golden.size("points"),
                                              .layers = golden.size("layers"),
                                              .heads = golden.size("heads"),
                                              .width = golden.size("width"),
                                              .vocabulary = golden.size("vocabulary"),
                                              .prefix = golden.size("prefix"),
                                              .positions = golden.size("positions")});
}

Prompts golden_prompts(const Golden& golden) {
  Prompts prompts(golden.size("batch"), golden.size("points"), golden.size("dimension"));
  const std::vector<double> inputs = golden.values("inputs");
  const std::vector<double> labels = golden.values("labels");
  std::copy(inputs.begin(), inputs.end(), prompts.inputs.data());
  std::copy(labels.begin(), labels.end(), prompts.labels.data());
  prompts.targets = prompts.labels;
  prompts.prefix = golden.size("prefix");
  for (const double token : golden.values("prefix")) {
    prompts.tokens.push_back(static_cast<int>(token));
  }
  return prompts;
}

// The whole sequence that PyTorch reads. Our encoding leaves out the last y, which no prediction depends on.
template <class Scalar>
ModelInput<Scalar> whole_sequences(const Prompts& prompts) {
  const Index tokens = prompts.prefix + 2 * prompts.points;
  ModelInput<Scalar> input;
  input.reset({prompts.count, tokens}, prompts.dimension);
  for (Index prompt = 0; prompt < prompts.count; ++prompt) {
    for (Index position = 0; position < prompts.prefix; ++position) {
      input.ids[static_cast<std::size_t>(prompt * tokens + position)] =
          prompts.tokens[static_cast<std::size_t>(prompt * prompts.prefix + position)];
    }
    for (Index point = 0; point < prompts.points; ++point) {
      const Index row = prompt * tokens + prompts.prefix + 2 * point;
      for (Index coordinate = 0; coordinate < prompts.dimension; ++coordinate) {
        input.feature_rows()(row, coordinate) =
            static_cast<Scalar>(prompts.inputs(prompt * prompts.points + point, coordinate));
      }
      input.feature_rows()(row + 1, 0) = static_cast<Scalar>(prompts.labels(prompt, point));
    }
  }
  return input;
}

template <class Scalar>
std::vector<double> logits_of(const Transformer<Scalar, Gpt2>& model, const ModelInput<Scalar>& input) {
  Workspace<Scalar> workspace;
  typename Transformer<Scalar, Gpt2>::Cache cache;
  const MatrixView<Scalar> output = model.forward(input, cache, workspace);
  std::vector<double> logits;
  for (Index row = 0; row < output.rows; ++row) {
    logits.insert(logits.end(), output.row(row), output.row(row) + output.columns);
  }
  return logits;
}

// `steps` steps on the golden batch; returns the loss before each.
template <class Scalar, class Optimiser>
std::vector<double> train(Transformer<Scalar, Gpt2>& model, const Prompts& prompts, const Optimiser& optimiser,
                          Index steps) {
  BatchGradient gradient(model);
  auto state = optimiser.template init<Scalar>(model.parameters().shared_layout());
  std::vector<double> losses;
  for (Index step = 0; step < steps; ++step) {
    losses.push_back(gradient(model, prompts, SquaredError{}, {}));
    optimiser.update(gradient.gradient(), model.parameters(), step, state);
    model.parameters() += gradient.gradient();
  }
  return losses;
}

template <class Scalar, class Optimiser>
void check_training(const std::string& name, const Golden& golden, const Optimiser& optimiser) {
  auto model = regression_model<Scalar>(golden);
  const Index steps = golden.size("steps");
  const std::vector<double> losses = train(model, golden_prompts(golden), optimiser, steps);
  CHECK(distance(losses, golden.best(name + "_losses")) <= tolerance<float>(golden.figure(name + "_losses")));
  for (const ParameterEntry& entry : model.parameters().layout().entries()) {
    const std::string parameter = name + "/" + entry.name;
    CAPTURE(parameter);
    std::vector<double> found = tensor(model.parameters(), entry);
    std::vector<double> expected = golden.values(parameter);  // stored from float32 alone
    const std::vector<double> expected_keys = take_keys(parameter, expected);
    const std::vector<double> keys = take_keys(parameter, found);
    for (std::size_t index = 0; index < keys.size(); ++index) {
      // Along a gradient that is nothing but rounding, Adam takes steps of up to its full length either way.
      const double reach = 2.0 * static_cast<double>(steps) * golden.config.at("learning_rate").get<double>();
      CHECK(std::abs(keys[index] - expected_keys[index]) <= reach);
    }
    if constexpr (std::is_same_v<Scalar, double>) {
      // Exactly the figure, which has three digits: our double is where PyTorch's double is. Double rounds too, but
      // half a thousandth of the figure is more than a million times its epsilon.
      CHECK(distance(found, expected) <= 1.005 * golden.figure(parameter));
    } else {
      CHECK(distance(found, expected) <= tolerance<float>(golden.figure(parameter)));
    }
  }
}

}  // namespace

TEST_CASE_TEMPLATE("law 10: the same weights give PyTorch's logits, loss and gradients: regression", Scalar, float,
                   double) {
  const Golden golden("gpt2.safetensors");
  const auto model = regression_model<Scalar>(golden);
  const Prompts prompts = golden_prompts(golden);

  CHECK(distance(logits_of(model, whole_sequences<Scalar>(prompts)), golden.best("logits")) <=
        tolerance<Scalar>(golden.figure("logits")));
  const Predictions predictions = model.predict(prompts);
  CHECK(distance({predictions.data(), predictions.data() + predictions.size()}, golden.best("predictions")) <=
        tolerance<Scalar>(golden.figure("predictions")));
  BatchGradient gradient(model);
  const double loss = gradient(model, prompts, SquaredError{}, {});
  CHECK(distance({loss}, golden.best("loss")) <= tolerance<Scalar>(golden.figure("loss")));
  check_gradients(golden, gradient.gradient());
}

TEST_CASE_TEMPLATE("law 10: the same weights give PyTorch's logits, loss and gradients: tokens", Scalar, float,
                   double) {
  const Golden golden("gpt2_tokens.safetensors");
  const auto model = with_golden_weights<Scalar>(golden, {.dimension = 0,
                                                          .layers = golden.size("layers"),
                                                          .heads = golden.size("heads"),
                                                          .width = golden.size("width"),
                                                          .vocabulary = golden.size("vocabulary"),
                                                          .outputs = golden.size("vocabulary"),
                                                          .positions = golden.size("positions")});
  TokenBatch batch{.count = golden.size("batch"),
                   .length = golden.size("length"),
                   .tokens = {},
                   .targets = {},
                   .weights = golden.values("mask")};
  for (const double token : golden.values("tokens")) {
    batch.tokens.push_back(static_cast<int>(token));
  }
  for (const double token : golden.values("targets")) {
    batch.targets.push_back(static_cast<int>(token));
  }

  ModelInput<Scalar> input;
  input.reset({batch.count, batch.length}, 0);
  input.ids = batch.tokens;
  CHECK(distance(logits_of(model, input), golden.best("logits")) <= tolerance<Scalar>(golden.figure("logits")));
  BatchGradient gradient(model);
  const double loss = gradient(model, batch, CrossEntropy{}, {});
  CHECK(distance({loss}, golden.best("loss")) <= tolerance<Scalar>(golden.figure("loss")));
  check_gradients(golden, gradient.gradient());
}

TEST_CASE_TEMPLATE("law 10: ten steps of Adam and of AdamW lead where PyTorch's lead", Scalar, float, double) {
  const Golden golden("gpt2.safetensors");
  const auto learning_rate = golden.config.at("learning_rate").get<double>();
  const incontext::AdamSettings settings{.first_decay = golden.config.at("betas").at(0).get<double>(),
                                         .second_decay = golden.config.at("betas").at(1).get<double>(),
                                         .epsilon = golden.config.at("epsilon").get<double>()};
  check_training<Scalar>("adam", golden, chain(incontext::adam(settings), incontext::rate(learning_rate)));
  const incontext::AdamWSettings with_decay{.adam = settings,
                                            .decay = golden.config.at("weight_decay_of_adamw").get<double>()};
  check_training<Scalar>("adamw", golden, chain(incontext::adam_w(with_decay), incontext::rate(learning_rate)));
}
