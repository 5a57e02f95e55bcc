// One of everything that a user may add: a weight prior, a task, a map, a predictor, an activation, an attention
// kernel, a layer with its gradient check, an optimiser, a schedule, an observer and an executor. Nothing is
// registered; each is a type that models a concept. docs/concepts.md walks through this file.
#include <incontext/incontext.hpp>

#include <cmath>
#include <complex>
#include <cstdio>
#include <filesystem>
#include <thread>

using namespace incontext;

/// Every weight is +tau or -tau, with equal probability.
struct SignWeights {
  [[nodiscard]] Vector draw(Stream& stream, const LinearSettings& settings) const {
    Vector weight(settings.dimension);
    for (double& entry : weight) {
      entry = stream.uniform() < 0.5 ? -settings.weight_scale : settings.weight_scale;
    }
    return weight;
  }
};

using SignRegression = LinearTask<SignWeights>;

/// y = amplitude sin(x + phase) + noise, with x ~ N(0, 1) and a fresh amplitude and phase for every prompt.
class SineWaves {
 public:
  struct Settings {
    Index points = 17;
    double noise = 0.0;  ///< standard deviation
  };

  explicit SineWaves(Settings settings) : settings_(settings) {
    require(settings.points >= 1, "SineWaves: points is ", settings.points, ", expected at least 1");
    require(settings.noise >= 0.0, "SineWaves: noise is ", settings.noise, ", expected at least 0");
  }

  [[nodiscard]] Prompts sample(Key key, Index count) const {
    Prompts prompts(count, settings_.points, 1);
    prompts.key = key;
    for (Index prompt = 0; prompt < count; ++prompt) {
      Stream task(key.fold("task").fold(prompt));  // a stream for every role and every prompt
      Stream data(key.fold("data").fold(prompt));
      const double amplitude = task.normal();
      const double phase = task.uniform(0.0, 6.283185307179586);
      for (Index point = 0; point < settings_.points; ++point) {
        const double x = data.normal();
        prompts.inputs(prompt * settings_.points + point, 0) = x;
        prompts.targets(prompt, point) = amplitude * std::sin(x + phase);
      }
    }
    prompts.labels = prompts.targets;
    add_label_noise(prompts, settings_.noise, key.fold("noise"));
    return prompts;
  }

 private:
  Settings settings_;
};

static_assert(Task<SineWaves>);

/// Adds shift.x to every label, so that a prompt with weights w becomes one with weights w + shift.
class ShiftWeights {
 public:
  explicit ShiftWeights(Vector shift) : shift_(std::move(shift)) {}

  [[nodiscard]] Prompts apply(Prompts prompts) const {
    const RowMatrix<double> added = shift_of(prompts);
    prompts.labels += added;
    prompts.targets += added;
    return prompts;
  }
  [[nodiscard]] Prompts invert(Prompts prompts) const {
    const RowMatrix<double> added = shift_of(prompts);
    prompts.labels -= added;
    prompts.targets -= added;
    return prompts;
  }
  /// `prompts` are those before the map; this inverse needs their inputs.
  [[nodiscard]] Predictions invert_predictions(Predictions predictions, const Prompts& prompts) const {
    return predictions - shift_of(prompts);
  }

 private:
  /// shift.x at every point, [count, points].
  [[nodiscard]] RowMatrix<double> shift_of(const Prompts& prompts) const {
    require<ShapeError>(prompts.dimension == shift_.size(), "ShiftWeights: prompts of dimension ", prompts.dimension,
                        " for a shift of ", shift_.size(), " weights");
    RowMatrix<double> added = RowMatrix<double>::Zero(prompts.count, prompts.points);
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      for (Index point = 0; point < prompts.points; ++point) {
        for (Index coordinate = 0; coordinate < prompts.dimension; ++coordinate) {
          added(prompt, point) += shift_[coordinate] * prompts.inputs(prompt * prompts.points + point, coordinate);
        }
      }
    }
    return added;
  }
  Vector shift_;
};

static_assert(InvertibleMap<ShiftWeights>);

/// The mean of the labels so far, each weighted by exp(-|x - x_i|^2 / 2 bandwidth^2) (Nadaraya 1964, Watson 1964).
/// Without exemplars it predicts 0.
class KernelRegression {
 public:
  struct Settings {
    double bandwidth = 1.0;
  };

  explicit KernelRegression(Settings settings) : settings_(settings) {
    require(settings.bandwidth > 0.0, "KernelRegression: bandwidth is ", settings.bandwidth, ", expected above 0");
  }

  [[nodiscard]] Predictions predict(const Prompts& prompts) const {
    Predictions predictions = Predictions::Zero(prompts.count, prompts.points);
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      const RowMatrix<double> inputs = prompts.inputs_of(prompt);
      for (Index point = 1; point < prompts.points; ++point) {
        const Vector distances = (inputs.topRows(point).rowwise() - inputs.row(point)).rowwise().squaredNorm();
        // The nearest has weight 1: far from all exemplars, the weights would otherwise all be rounded to 0.
        const double scale = 0.5 / (settings_.bandwidth * settings_.bandwidth);
        const Vector weights = (scale * (distances.minCoeff() - distances.array())).exp();
        predictions(prompt, point) = prompts.labels.row(prompt).head(point).dot(weights) / weights.sum();
      }
    }
    return predictions;
  }

 private:
  Settings settings_;
};

static_assert(Predictor<KernelRegression>);

/// SiLU, x logistic(x) (Elfwing, Uchibe and Doya 2018).
struct Silu {
  template <class Value>
  static Value value(const Value& x) {
    return x * logistic(x);
  }
  template <class Value>
  static Value derivative(const Value& x) {
    const Value gate = logistic(x);
    return gate + x * gate * (constant<Value>(1) - gate);
  }
};

/// Attention weights logistic(q k' / sqrt(head size)) / visible tokens: tokens do not compete, as they do in softmax.
struct LogisticKernel {
  static double scale(Index head_size) { return 1.0 / std::sqrt(static_cast<double>(head_size)); }

  /// A row's first visible(row) scores become weights, the rest becomes zero.
  template <class Scalar, class Visible>
  static void forward(Scalar scale, const MatrixView<Scalar>& scores, const Visible& visible) {
    for (Index row = 0; row < scores.rows; ++row) {
      const auto share = static_cast<Scalar>(1.0 / static_cast<double>(visible(row)));
      transform_row(
          visible(row), scores.row(row), [=](const auto& score) { return share * logistic(scale * score); },
          static_cast<const Scalar*>(scores.row(row)));
      std::fill(scores.row(row) + visible(row), scores.row(row) + scores.columns, Scalar{});
    }
  }

  /// d_score = scale * d_weight * weight * (1 - weight * visible), in place of d_weights.
  template <class Scalar, class Visible>
  static void backward(Scalar scale, const MatrixView<const Scalar>& weights, const MatrixView<Scalar>& d_weights,
                       const Visible& visible) {
    for (Index row = 0; row < d_weights.rows; ++row) {
      const auto one = Scalar(1);
      const auto tokens = static_cast<Scalar>(static_cast<double>(visible(row)));
      transform_row(
          visible(row), d_weights.row(row),
          [=](const auto& d, const auto& weight) { return scale * d * weight * (one - tokens * weight); },
          static_cast<const Scalar*>(d_weights.row(row)), weights.row(row));
      std::fill(d_weights.row(row) + visible(row), d_weights.row(row) + d_weights.columns, Scalar{});
    }
  }
};

/// y = gain * x / sqrt(mean(x^2) + epsilon), row by row (Zhang and Sennrich 2019).
class RootMeanSquareNorm {
 public:
  static constexpr double epsilon = 1e-5;

  template <class Scalar>
  struct Cache {
    MatrixView<Scalar> normalised;    // [rows, width]
    MatrixView<Scalar> inverse_root;  // [rows, 1]
  };

  RootMeanSquareNorm() = default;
  RootMeanSquareNorm(ParameterLayout& layout, const std::string& name, Index width)
      : gain_(layout.declare(name + ".weight", {width})) {}

  template <class Scalar>
  void initialise(Scalar* parameters) const {
    std::fill(vector_of(parameters, gain_), vector_of(parameters, gain_) + gain_.size, Scalar(1));
  }

  template <class Scalar>
  MatrixView<const Scalar> forward(WeightsOf<Scalar> weights, SequenceShape shape, MatrixView<const Scalar> input,
                                   Cache<Scalar>& cache, Workspace<Scalar>& workspace) const {
    using std::sqrt;
    const Index width = gain_.size;
    cache.normalised = workspace.take(shape.rows(), width);
    cache.inverse_root = workspace.take(shape.rows(), 1);
    const MatrixView<Scalar> output = workspace.take(shape.rows(), width);
    const Scalar share = Scalar(1) / static_cast<Scalar>(static_cast<double>(width));
    const auto product = [](const auto& left, const auto& right) { return left * right; };
    for (Index row = 0; row < shape.rows(); ++row) {
      const Scalar* x = input.row(row);
      Scalar* n = cache.normalised.row(row);
      const Scalar inverse = Scalar(1) / sqrt(share * sum_row(width, product, x, x) + static_cast<Scalar>(epsilon));
      cache.inverse_root(row, 0) = inverse;
      transform_row(
          width, n, [inverse](const auto& value) { return value * inverse; }, x);
      transform_row(width, output.row(row), product, static_cast<const Scalar*>(n), weights.vector(gain_));
    }
    return output;
  }

  /// With n the normalised row and e = gain * dy: dx = (e - n mean(e n)) / root.
  template <class Scalar>
  MatrixView<Scalar> backward(WeightsOf<Scalar> weights, SequenceShape shape, MatrixView<const Scalar> d_output,
                              const Cache<Scalar>& cache, Scalar* gradients, Workspace<Scalar>& workspace) const {
    const Index width = gain_.size;
    const MatrixView<Scalar> d_input = workspace.take(shape.rows(), width);
    const Scalar share = Scalar(1) / static_cast<Scalar>(static_cast<double>(width));
    const Scalar* gain = weights.vector(gain_);
    Scalar* d_gain = vector_of(gradients, gain_);
    for (Index row = 0; row < shape.rows(); ++row) {
      const Scalar* dy = d_output.row(row);
      const Scalar* n = cache.normalised.row(row);
      const Scalar inverse = cache.inverse_root(row, 0);
      const Scalar mean_en =
          share *
          sum_row(
              width, [](const auto& d, const auto& g, const auto& value) { return d * g * value; }, dy, gain, n);
      transform_row(
          width, d_input.row(row),
          [=](const auto& d, const auto& g, const auto& value) { return inverse * (d * g - value * mean_en); }, dy,
          gain, n);
      transform_row(
          width, d_gain, [](const auto& sum, const auto& d, const auto& value) { return sum + d * value; },
          static_cast<const Scalar*>(d_gain), dy, n);
    }
    return d_input;
  }

 private:
  ParameterId gain_;
};

static_assert(Layer<RootMeanSquareNorm, float> && Layer<RootMeanSquareNorm, std::complex<double>>);

/// GPT-2 with the three policies above in place of its own.
struct LogisticGpt2 : Gpt2 {
  static constexpr const char* name = "logistic_gpt2";
  using Norm = RootMeanSquareNorm;
  using Attention = incontext::Attention<LogisticKernel, CausalMask>;
  using FeedForward = incontext::FeedForward<Silu>;
};

/// sum(weighting * layer(input)), a function of every parameter and input of the layer, in any scalar type.
template <class Scalar, class LayerType>
Scalar weighted_output(const LayerType& layer, const AlignedVector<Scalar>& parameters,
                       const AlignedVector<Scalar>& input, SequenceShape shape, MatrixView<const double> weighting) {
  Workspace<Scalar> workspace;
  typename LayerType::template Cache<Scalar> cache;
  const MatrixView<const Scalar> view(input.data(), shape.rows(), static_cast<Index>(input.size()) / shape.rows());
  const MatrixView<const Scalar> output = layer.forward(parameters.data(), shape, view, cache, workspace);
  Scalar sum{};
  for (Index row = 0; row < output.rows; ++row) {
    for (Index column = 0; column < output.columns; ++column) {
      sum += weighting(row, column) * output(row, column);
    }
  }
  return sum;
}

/// The largest difference between a layer's backward and the complex-step derivative Im f(x + ih) / h (Squire and
/// Trapp 1998), over all parameters and inputs, at a random point.
template <class LayerType>
double gradient_error(const LayerType& layer, const ParameterLayout& layout, SequenceShape shape, Index width,
                      Key key) {
  using Complex = std::complex<double>;
  const auto normals = [](Index count, Key role) {
    AlignedVector<double> values(static_cast<std::size_t>(count));
    Stream(role).fill_normal(values.begin(), values.end());
    return values;
  };
  const AlignedVector<double> parameters = normals(layout.size(), key.fold("parameters"));
  const AlignedVector<double> input = normals(shape.rows() * width, key.fold("input"));
  const AlignedVector<double> weights = normals(shape.rows() * width, key.fold("weighting"));
  const MatrixView<const double> weighting(weights.data(), shape.rows(), width);

  Workspace<double> workspace;
  typename LayerType::template Cache<double> cache;
  AlignedVector<double> d_parameters(parameters.size());
  layer.forward(parameters.data(), shape, MatrixView<const double>(input.data(), shape.rows(), width), cache,
                workspace);
  const MatrixView<double> d_input =
      layer.backward(parameters.data(), shape, weighting, cache, d_parameters.data(), workspace);

  AlignedVector<Complex> moved_parameters(parameters.begin(), parameters.end());
  AlignedVector<Complex> moved_input(input.begin(), input.end());
  double worst = 0.0;
  const auto compare = [&](AlignedVector<Complex>& moved, const double* backward) {
    constexpr double step = 1e-20;  // nothing is subtracted, so nothing cancels
    for (std::size_t index = 0; index < moved.size(); ++index) {
      const Complex at_rest = std::exchange(moved[index], moved[index] + Complex(0.0, step));
      const Complex value = weighted_output(layer, moved_parameters, moved_input, shape, weighting);
      worst = (std::max)(worst, std::abs(value.imag() / step - backward[index]));
      moved[index] = at_rest;
    }
  };
  compare(moved_parameters, d_parameters.data());
  compare(moved_input, d_input.data);
  return worst;
}

/// updates = sign(updates) (Bernstein et al. 2018): every parameter moves by the learning rate.
struct SignDescent : StatelessTransform {
  template <class Scalar>
  void update(ParameterBuffer<Scalar>& updates, const ParameterBuffer<Scalar>&, Index, State<Scalar>&) const {
    for (Scalar& value : updates.values()) {
      value = static_cast<Scalar>((value > 0) - (value < 0));
    }
  }
  [[nodiscard]] std::string describe() const { return "sign_descent"; }
};

static_assert(GradientTransform<SignDescent>);

/// rate / sqrt(1 + step / scale).
struct InverseRoot {
  double rate = 1e-3;
  double scale = 100.0;
  double operator()(Index step) const { return rate / std::sqrt(1.0 + static_cast<double>(step) / scale); }
  [[nodiscard]] std::string describe() const { return text("inverse_root(", rate, ", ", scale, ")"); }
};

static_assert(Schedule<InverseRoot>);

/// Remembers the first and the last loss of a training stage.
struct FirstAndLastLoss {
  double first = 0.0;
  double last = 0.0;

  template <class Scalar>
  void on_step(const TrainingState<Scalar>& state) {
    first = state.step == 1 ? state.loss : first;
    last = state.loss;
  }
};

/// Runs every shard on a thread of its own. An exception in a shard ends the program; ThreadExecutor carries it over.
struct ThreadPerShard {
  void run(Index shards, ShardFunction work) {
    std::vector<std::thread> threads;
    for (Index shard = 0; shard < shards; ++shard) {
      threads.emplace_back([work, shard] { work(shard); });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
  }
};

static_assert(Executor<ThreadPerShard>);

/// The mean squared error over all prompts and points.
template <Predictor Method>
double error(const Method& method, const Prompts& prompts) {
  return squared_error(method.predict(prompts), prompts.targets).mean();
}

int main() {
  const Key root{7};

  const SignRegression signs{{.dimension = 2, .points = 6, .noise = 0.5}};
  const Ridge ridge{{.noise = 0.5}};
  const Prompts sign_prompts = signs.sample(root.fold("signs"), 2048);
  std::printf("sign regression: ridge %.3f, predicting zero 2\n", error(ridge, sign_prompts));

  const Prompts waves = SineWaves{{.noise = 0.1}}.sample(root.fold("waves"), 2048);
  std::printf("sine waves: kernel regression %.3f, ridge %.3f\n", error(KernelRegression{{.bandwidth = 0.3}}, waves),
              error(Ridge{{.noise = 0.1}}, waves));

  const ConjugatePrompt shifted{ShiftWeights{Vector::Ones(2)}};
  std::printf("ridge with its prior centred on (-1, -1): %.3f\n", error(ridge | shifted, sign_prompts));

  ParameterLayout layout;
  const RootMeanSquareNorm norm(layout, "norm", 7);
  const double worst = gradient_error(norm, layout, {.sequences = 2, .tokens = 3}, 7, root.fold("gradient"));
  std::printf("root-mean-square norm: backward %s the complex-step derivative to 1e-13\n",
              worst < 1e-13 ? "agrees with" : "DIFFERS FROM");

  const std::filesystem::path folder = std::filesystem::temp_directory_path() / "incontext-extending";
  std::filesystem::remove_all(folder);
  const auto optimiser = chain(SignDescent{}, rate(InverseRoot{.rate = 3e-3}));
  const auto study = Pretrain{signs, optimiser, {.steps = 300, .batch = 32}} | Evaluate{"pretrained", Suite{{}}};
  const Transformer<float, LogisticGpt2> model{
      {.dimension = 2, .points = 6, .layers = 2, .width = 16, .initial_scale = 0.3}, root};

  ThreadPerShard threads;
  FirstAndLastLoss loss;
  const auto trained =
      study(start(model, root.fold("run"), {.executor = threads}), loss, Checkpoint{{.folder = folder, .every = 100}});
  std::printf("%s: loss %.2f, %.2f after 300 steps of sign descent\n", LogisticGpt2::name, loss.first, loss.last);

  const auto resumed = study(start(model, root.fold("run")), Checkpoint{{.folder = folder, .resume = true}});
  std::printf("resumed on one thread: %s\n",
              resumed.model().parameters() == trained.model().parameters() ? "the same bits" : "OTHER BITS");

  Transformer<float, LogisticGpt2> loaded = model;
  load(load_tensors(folder / "stage-0.safetensors"), "", loaded.parameters());
  std::printf("loaded from its checkpoint: error %.3f\n", error(loaded, sign_prompts));
  std::filesystem::remove_all(folder);
}
