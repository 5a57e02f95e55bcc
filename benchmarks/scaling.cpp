// How the time of a training step grows with the size of the model and of the batch, and that of sampling and of the
// exact predictors with the size of the problem: one number at a time around a base, a power law fitted to each.
//
//   scaling --help
//
// Every point is measured once in each of several rounds over all points, so that a slow spell of the machine touches
// all of them. Leaves scaling.csv, scaling.md and two figures in the output folder.

#include <incontext/incontext.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace incontext;

constexpr const char* help =
    "How the time of a training step, of sampling and of the exact predictors grows, in about three minutes.\n"
    "  --threads N      worker threads (1)\n"
    "  --precision P    of the matrix products: fp32, bf16 or bf16x3 (fp32)\n"
    "  --seconds S      for each point, over all rounds; a point takes five calls at least (0.5)\n"
    "  --output FOLDER  for scaling.csv, scaling.md and the figures (docs/performance)\n";

struct Options {
  Index threads = 1;
  Precision precision = Precision::fp32;
  double seconds = 0.5;
  std::filesystem::path output = "docs/performance";
};

template <class Number>
Number number_of(const std::string& flag, const std::string& word) {
  Number number{};
  const auto read = std::from_chars(word.data(), word.data() + word.size(), number);
  require(read.ec == std::errc{} && read.ptr == word.data() + word.size(), flag, " is '", word, "', expected a number");
  return number;
}

/// \throws ConfigurationError for a flag that is not known, lacks its value or makes no sense
Options options_of(const std::vector<std::string>& words) {
  Options options;
  for (std::size_t place = 0; place < words.size(); place += 2) {
    const std::string& flag = words[place];
    require(flag == "--threads" || flag == "--precision" || flag == "--seconds" || flag == "--output", "'", flag,
            "' is no option, see --help");
    require(place + 1 < words.size(), flag, " needs a value, see --help");
    const std::string& word = words[place + 1];
    if (flag == "--threads") {
      options.threads = number_of<Index>(flag, word);
      require(options.threads >= 1 && options.threads <= 1024, flag, " is ", options.threads, ", expected 1 to 1024");
    } else if (flag == "--precision") {
      options.precision = precision_named(word, flag.c_str());
    } else if (flag == "--seconds") {
      options.seconds = number_of<double>(flag, word);
      require(options.seconds > 0.0 && options.seconds <= 600.0, flag, " is ", options.seconds,
              ", expected above 0 and at most 600");
    } else {
      options.output = word;
    }
  }
  std::error_code error;
  std::filesystem::create_directories(options.output, error);
  require<FileError>(!error && std::filesystem::is_directory(options.output), "--output is '", options.output.string(),
                     "', expected a folder that can be made");
  return options;
}

/// One size, what is timed there, and the seconds of a call in every round.
struct Point {
  Index value = 0;
  std::function<void()> call{};
  Index calls = 1;  ///< in a row, for one measurement
  std::vector<double> seconds{};
};

/// One number that grows while the others stay.
struct Sweep {
  std::string name;       ///< what is timed
  std::string parameter;  ///< the number that grows
  std::string expected;   ///< exponent
  std::string reason;
  std::vector<Point> points{};
};

double median(std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  return quantile(seconds, 0.5);
}

double least(const Point& point) { return *std::min_element(point.seconds.begin(), point.seconds.end()); }

/// The power law of the medians, from the point `first` on.
LineFit power_law(const Sweep& sweep, std::size_t first) {
  std::vector<double> sizes;
  std::vector<double> times;
  for (std::size_t place = first; place < sweep.points.size(); ++place) {
    sizes.push_back(std::log(static_cast<double>(sweep.points[place].value)));
    times.push_back(std::log(median(sweep.points[place].seconds)));
  }
  return fit_line(sizes, times);
}

std::size_t last_half(const Sweep& sweep) { return sweep.points.size() / 2; }

// ---- What is timed --------------------------------------------------------------------------------------------------

struct Size {
  Index dimension = 20;
  Index points = 41;
  Index layers = 3;
  Index width = 64;
  Index batch = 64;
};

/// A whole step: sampling, encoding, gradient, clipping, Adam.
std::function<void()> training_step(const Size& size, Precision precision, ExecutorReference executor) {
  struct Training {
    Training(const Size& size, Precision precision)
        : task{{.dimension = size.dimension, .points = size.points, .noise = 1.0}},
          model{{.dimension = size.dimension,
                 .points = size.points,
                 .layers = size.layers,
                 .heads = 2,
                 .width = size.width,
                 .precision = precision},
                Key{0}},
          trainer(model, chain(clip_norm(1.0), adam(), rate(1e-4))) {}
    using Optimiser = decltype(chain(clip_norm(1.0), adam(), rate(1e-4)));
    LinearRegression task;
    Transformer<float> model;
    Trainer<Transformer<float>, Optimiser> trainer;
    Index step = 0;
  };
  const auto training = std::make_shared<Training>(size, precision);
  return [training, batch = size.batch, executor] {
    const Index step = training->step++;
    training->trainer.step(training->model, training->task.sample(Key{0}.fold(step), batch), step, executor);
  };
}

struct Problem {
  Index dimension = 20;
  Index points = 41;
  Index pool = 64;
  Index prompts = 256;
};

LinearRegression regression(const Problem& problem) {
  return LinearRegression{{.dimension = problem.dimension, .points = problem.points, .noise = 0.5}};
}

std::function<void()> sampling(const Problem& problem, ExecutorReference) {
  return [task = regression(problem), problem, step = Index{0}]() mutable {
    (void)task.sample(Key{0}.fold(step++), problem.prompts);
  };
}

/// Predictions of half fresh, half pool prompts, by what `make(weights of the pool)` gives.
template <class Make>
auto prediction(Make make) {
  return [make](const Problem& problem, ExecutorReference executor) -> std::function<void()> {
    const auto broad = regression(problem);
    const auto narrow = pool(broad, problem.pool, Key{1});
    const auto prompts = std::make_shared<const Prompts>(mix(broad, 0.5, narrow).sample(Key{2}, problem.prompts));
    return [predictor = make(narrow.weights()), prompts, executor] {
      (void)predict_in_shards(predictor, *prompts, executor);
    };
  };
}

/// Fills a sweep with what `make(problem, executor)` gives, with each of the sizes in the place of `member`.
template <class Make>
Sweep sweep_of(Sweep sweep, Index Problem::*member, const std::vector<Index>& sizes, const Make& make,
               ExecutorReference executor, Problem problem = {}) {
  for (const Index size : sizes) {
    problem.*member = size;
    sweep.points.push_back({size, make(problem, executor)});
  }
  return sweep;
}

constexpr const char* step_name = "training step";

std::vector<Sweep> sweeps_of(const Options& options, ExecutorReference executor) {
  std::vector<Sweep> sweeps;
  const auto step = [&](Sweep sweep, Index Size::*member, const std::vector<Index>& sizes) {
    for (const Index value : sizes) {
      Size size;
      size.*member = value;
      const bool is_points = member == &Size::points;  // whose axis is tokens
      sweep.points.push_back(
          {is_points ? InterleavedTokens::tokens(0, value) : value, training_step(size, options.precision, executor)});
    }
    sweeps.push_back(std::move(sweep));
  };
  step({step_name, "width", "2 in the limit",
        "products cost 12 width^2 a layer and token; norms, attention and sampling, 1 or less, weigh in narrow models"},
       &Size::width, {16, 32, 64, 128, 256, 512});
  step({step_name, "layers", "1 in the limit", "layers are alike; sampling, read-in and read-out come once"},
       &Size::layers, {1, 2, 4, 8, 16});
  step({step_name, "tokens", "1 to 2", "products are linear in tokens, attention is quadratic and takes over late"},
       &Size::points, {6, 11, 21, 41, 81, 161});
  step(
      {step_name, "batch", "1 in the limit", "prompts are alike; packing weights, adding gradients and Adam come once"},
      &Size::batch, {8, 16, 32, 64, 128, 256});

  const auto ridge = prediction([](const RowMatrix<double>&) { return Ridge{{.noise = 0.5}}; });
  const auto posterior = prediction([](const RowMatrix<double>& weights) {
    return PoolPosterior{weights, {.noise = 0.5}};
  });
  const auto mixture = prediction([](const RowMatrix<double>& weights) {
    return MixturePosterior{weights, {.noise = 0.5}};
  });
  const std::vector<Index> dimensions = {5, 10, 20, 40, 80, 160};
  const std::vector<Index> exemplars = {11, 21, 41, 81, 161, 321};
  const std::vector<Index> pools = {1, 4, 16, 64, 256, 1024, 4096};
  const std::vector<Index> prompts = {4, 16, 64, 256, 1024, 4096, 10'000};
  const Problem long_prompts{.points = 321, .prompts = 4};  // more exemplars than dimensions
  const auto add = [&](Sweep sweep) { sweeps.push_back(std::move(sweep)); };

  add(sweep_of({"sampling", "dimension", "1", "a prompt is points times dimension normals"}, &Problem::dimension,
               dimensions, sampling, executor));
  add(sweep_of({"sampling", "points", "1", "the same"}, &Problem::points, exemplars, sampling, executor));
  add(sweep_of({"sampling", "prompts", "1", "prompts are alike"}, &Problem::prompts, prompts, sampling, executor));

  add(sweep_of({"ridge", "dimension", "2 in the limit",
                "an exemplar updates a triangular factor and a basis, each of dimension^2 entries; 321 points"},
               &Problem::dimension, dimensions, ridge, executor, long_prompts));
  add(sweep_of({"ridge", "points", "1", "the factor grows to dimension^2 and stays, so later exemplars cost the same"},
               &Problem::points, exemplars, ridge, executor));
  add(sweep_of({"ridge", "prompts", "1", "prompts are alike"}, &Problem::prompts, prompts, ridge, executor));

  add(sweep_of({"pool posterior", "dimension", "1 in the limit",
                "an input meets every task in dimension products; the exponentials do not depend on it"},
               &Problem::dimension, dimensions, posterior, executor));
  add(sweep_of({"pool posterior", "points", "1", "an exemplar updates the residual of every task"}, &Problem::points,
               exemplars, posterior, executor));
  add(sweep_of({"pool posterior", "pool", "1", "tasks are alike; where the pool leaves the cache a step shows"},
               &Problem::pool, pools, posterior, executor));
  add(sweep_of({"pool posterior", "prompts", "1", "prompts are alike"}, &Problem::prompts, prompts, posterior,
               executor));

  add(sweep_of({"mixture posterior", "dimension", "1 to 2", "the sum of ridge and pool posterior; 321 points"},
               &Problem::dimension, dimensions, mixture, executor, long_prompts));
  add(sweep_of({"mixture posterior", "pool", "1 in the limit", "the same; ridge does not depend on the pool"},
               &Problem::pool, pools, mixture, executor));
  add(sweep_of({"mixture posterior", "prompts", "1", "prompts are alike"}, &Problem::prompts, prompts, mixture,
               executor));
  return sweeps;
}

// ---- Measuring ------------------------------------------------------------------------------------------------------

double seconds_of(const Point& point, Index calls) {
  const auto start = std::chrono::steady_clock::now();
  for (Index call = 0; call < calls; ++call) {
    point.call();
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / static_cast<double>(calls);
}

constexpr Index rounds = 5;

void measure(std::vector<Sweep>& sweeps, double seconds) {
  std::vector<std::pair<Sweep*, Point*>> order;
  for (Sweep& sweep : sweeps) {
    for (Point& point : sweep.points) {
      order.emplace_back(&sweep, &point);
      point.call();  // memory, once
      const double once = seconds_of(point, 1);
      point.calls = (std::max)(Index{1}, static_cast<Index>(seconds / static_cast<double>(rounds) / once));
    }
  }
  for (Index round = 1; round <= rounds; ++round) {
    std::printf("round %d of %d\n", static_cast<int>(round), static_cast<int>(rounds));
    for (const auto& [sweep, point] : order) {
      point->seconds.push_back(seconds_of(*point, point->calls));
      if (round == rounds) {
        std::printf("%-18s %-10s %6d  median %s s  least %s s\n", sweep->name.c_str(), sweep->parameter.c_str(),
                    static_cast<int>(point->value), significant_text(median(point->seconds)).c_str(),
                    significant_text(least(*point)).c_str());
      }
      std::fflush(stdout);
    }
    std::reverse(order.begin(), order.end());
  }
}

// ---- The report -----------------------------------------------------------------------------------------------------

void write_csv(const std::vector<Sweep>& sweeps, const std::filesystem::path& path) {
  std::ofstream stream(path);
  CsvWriter csv(stream, {"sweep", "parameter", "value", "repetition", "seconds"});
  for (const Sweep& sweep : sweeps) {
    for (const Point& point : sweep.points) {
      for (std::size_t repetition = 0; repetition < point.seconds.size(); ++repetition) {
        csv.row(sweep.name, sweep.parameter, point.value, repetition, point.seconds[repetition]);
      }
    }
  }
}

std::string exponent_text(const LineFit& fit) {
  return significant_text(fit.slope) + " ± " + significant_text(fit.slope_error, 2);
}

std::string document(const std::vector<Sweep>& sweeps, const Options& options) {
  MarkdownTable fits({"timed", "grows", "from", "to", "expected", "exponent", "of the last half", "why"});
  MarkdownTable times({"timed", "grows", "value", "median, s", "least, s"});
  double promised = 0.0;
  for (const Sweep& sweep : sweeps) {
    fits.row(sweep.name, sweep.parameter, sweep.points.front().value, sweep.points.back().value, sweep.expected,
             exponent_text(power_law(sweep, 0)), exponent_text(power_law(sweep, last_half(sweep))), sweep.reason);
    for (const Point& point : sweep.points) {
      times.row(sweep.name, sweep.parameter, point.value, median(point.seconds), least(point));
      if (sweep.name == "mixture posterior" && sweep.parameter == "prompts" && point.value == 10'000) {
        promised = median(point.seconds);
      }
    }
  }
  return text(
      "# How the cost grows\n\nWritten by `benchmarks/scaling`; do not edit. Threads: ", options.threads,
      "; precision of the training step: ", name_of(options.precision), ". Medians of ", rounds,
      " rounds over all points; every sample is in [scaling.csv](scaling.csv).\n\n"
      "A training step samples, encodes, runs forward and backward, clips and applies Adam: width 64, 3 layers, 2 "
      "heads, "
      "20 dimensions, 41 points (81 tokens), 64 prompts, but for the number that grows. Sampling and predictors: 20 "
      "dimensions, 41 points, a pool of 64 tasks, 256 prompts; with 321 points, 4 prompts.\n\n"
      "**The mixture posterior of 10,000 prompts at 20 dimensions, 64 tasks and 41 points takes ",
      significant_text(promised),
      " s.**\n\n![Seconds of a training step](scaling_training.svg)\n\n"
      "![Seconds of sampling and of the exact predictors](scaling_predictors.svg)\n\n## Exponents\n"
      "Of the power law that is nearest in least squares of the logarithms, with its standard error. The last half of "
      "the points says more about the limit than all of them; of three points the error has one degree of freedom.\n\n",
      fits.markdown(), "\n## Times\n", times.markdown());
}

/// Medians from least to most, and the power law of the last half as a dashed line.
void add_series(Panel& panel, const Sweep& sweep, const std::string& name, bool with_law) {
  Series measured{.name = name, .style = SeriesStyle::line_points};
  for (const Point& point : sweep.points) {
    measured.x.push_back(static_cast<double>(point.value));
    measured.y.push_back(median(point.seconds));
    measured.low.push_back(least(point));
    measured.high.push_back(*std::max_element(point.seconds.begin(), point.seconds.end()));
  }
  if (with_law) {
    const LineFit fit = power_law(sweep, last_half(sweep));
    Series law{.name = "power law of the last half", .style = SeriesStyle::dashed};
    for (const double x : measured.x) {
      law.x.push_back(x);
      law.y.push_back(std::exp(fit.intercept + fit.slope * std::log(x)));
    }
    panel.series.push_back(std::move(law));
  }
  panel.series.push_back(std::move(measured));
}

/// One panel for every number that grows, in the order in which they come.
Figure figure_of(const std::vector<Sweep>& sweeps, bool of_training) {
  Figure figure{.x_axis = {.label = "value", .logarithmic = true},
                .y_axis = {.label = of_training ? "seconds a training step" : "seconds", .logarithmic = true}};
  for (const Sweep& sweep : sweeps) {
    if ((sweep.name == step_name) != of_training) {
      continue;
    }
    auto panel = std::find_if(figure.panels.begin(), figure.panels.end(),
                              [&](const Panel& each) { return each.title == sweep.parameter; });
    if (panel == figure.panels.end()) {
      panel = figure.panels.insert(panel, Panel{.title = sweep.parameter});
    }
    add_series(*panel, sweep, sweep.name, of_training);
  }
  return figure;
}

void report(const std::vector<Sweep>& sweeps, const Options& options) {
  write_csv(sweeps, options.output / "scaling.csv");
  std::ofstream stream(options.output / "scaling.md");
  stream << document(sweeps, options);
  stream.close();
  require<FileError>(!stream.fail(), "cannot write '", (options.output / "scaling.md").string(), "'");
  for (const bool of_training : {true, false}) {
    const FigureResult drawn = write_figure(figure_of(sweeps, of_training),
                                            options.output / (of_training ? "scaling_training" : "scaling_predictors"));
    std::printf("%s\n", drawn.message.c_str());
  }
  std::printf("%s\n", (options.output / "scaling.md").string().c_str());
}

}  // namespace

int main(int count, char** arguments) {
  const std::vector<std::string> words(arguments + 1, arguments + count);
  if (std::find(words.begin(), words.end(), "--help") != words.end()) {
    std::fputs(help, stdout);
    return 0;
  }
  try {
    const Options options = options_of(words);
    ThreadExecutor executor(options.threads);
    std::vector<Sweep> sweeps = sweeps_of(options, executor);
    measure(sweeps, options.seconds);
    report(sweeps, options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "scaling: %s\n", error.what());
    return 2;
  }
}
