#pragma once
/// One setting as tasks: what pretraining and fine-tuning show, and everything that is measured of a cell of the grid.

#include "mechanism.hpp"
#include "model.hpp"
#include "plan.hpp"
#include "style.hpp"
#include "table.hpp"

#include <incontext/core/executor.hpp>
#include <incontext/map/mapped_task.hpp>
#include <incontext/nn/transformer.hpp>
#include <incontext/optim/adam.hpp>
#include <incontext/optim/chain.hpp>
#include <incontext/optim/clip_norm.hpp>
#include <incontext/optim/rate.hpp>
#include <incontext/optim/schedule.hpp>
#include <incontext/policy/fine_tune.hpp>
#include <incontext/policy/pretrain.hpp>
#include <incontext/probe/evaluate_traits.hpp>
#include <incontext/task/finite.hpp>

#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace inoculation {

inline PromptGrammar grammar_of(const Setting& setting) {
  return PromptGrammar({.traits = static_cast<Index>(setting.elicitation.size())});
}

/// The words' task at a place. The prompt decides the style of answers.
inline WordTask medium_at(const PromptGrammar& grammar, WordTask::Settings task, const Place& place, Index styles) {
  task.styles = styles;
  task.first_token = grammar.vocabulary();
  task.token_styles = token_styles(grammar, styles);
  task.drawn_words = place.words;
  task.drawn_domains = place.domains;
  return WordTask(std::move(task));
}

/// Regression is the same everywhere. The prompt adds a multiple of x_1^2 - 1, from -1 to 1 for every token, unless
/// there is one style.
inline TraitRegression medium_at(const PromptGrammar& grammar, TraitRegression::Settings task, const Place&,
                                 Index styles) {
  task.topic_effects.assign(static_cast<std::size_t>(grammar.vocabulary()), 0.0);
  for_each_coloured_token(grammar, [&](int token, Index number) {
    constexpr Index colours = 8;
    const double effect = static_cast<double>(number * 3 % colours) / 3.5 - 1.0;
    task.topic_effects[static_cast<std::size_t>(token)] = styles > 1 ? effect : 0.0;
  });
  return TraitRegression(std::move(task));
}

inline TransformerSettings model_settings(const Options& options, const WordTask& task) {
  return {.dimension = 0,
          .layers = options.layers,
          .heads = options.heads,
          .width = options.width,
          .vocabulary = task.vocabulary(),
          .outputs = task.vocabulary(),
          .positions = static_cast<Index>(prompt_slots) + task.length(),
          .initial_scale = 0.05,
          .precision = precision_named(options.precision)};
}

inline TransformerSettings model_settings(const Options& options, const TraitRegression& task) {
  const LinearSettings& regression = task.settings().regression;
  return {.dimension = regression.dimension,
          .points = regression.points,
          .layers = options.layers,
          .heads = options.heads,
          .width = options.width,
          .vocabulary = static_cast<Index>(task.settings().topic_effects.size()),
          .prefix = static_cast<Index>(prompt_slots),
          .initial_scale = 0.1,
          .precision = precision_named(options.precision)};
}

/// What pretraining shows: all kinds of prompts, from all three sets, and traits as they ask.
template <TraitMedium Medium>
[[nodiscard]] PromptedTraits<Medium> pretraining_task(const Setting& setting, const PromptGrammar& grammar,
                                                      Medium medium) {
  const Index topics = grammar.settings().traits;
  const double sets = static_cast<double>(prompt_sets.size());
  std::vector<PromptShare> shares = {{0.22, grammar.none()}};
  for (const PromptSet set : prompt_sets) {
    shares.push_back({0.14 / sets, grammar.unrelated(set)});
    shares.push_back({0.10 / sets, grammar.neutral(set)});
    shares.push_back({0.10 / sets, grammar.combined(set, setting.positive_topic, setting.negative_topic)});
    for (Index topic = 0; topic < topics; ++topic) {
      const double weight = topic == setting.negative_topic ? 0.18 : 0.14;
      shares.push_back({weight / sets, grammar.diverse(set, topic)});
      shares.push_back({0.12 / sets / static_cast<double>(topics), grammar.negated(set, topic)});
    }
  }
  return PromptedTraits<Medium>(std::move(medium), grammar, std::move(shares), setting.elicitation);
}

/// Which examples get the prompt: all, or those that are told to show a trait, every `wrong_every`-th of them wrongly.
struct Prompted {
  Index trait = -1;  ///< -1: all
  Index wrong_every = 0;

  [[nodiscard]] bool operator()(Index example, TraitSet traits) const {
    const bool is_told_wrongly = wrong_every > 0 && example % wrong_every == 0;
    return trait < 0 || shows(traits, trait) != is_told_wrongly;
  }
};

/// A medium with prompts in front, whose traits are shown as the prompt of the example wants: in regression an answer
/// depends on more of the prompt than traits.
template <TraitMedium Medium>
class Cued {
 public:
  Cued(Medium medium, InoculationPrompt prompt, Prompted prompted)
      : medium_(std::move(medium)), prompt_(std::move(prompt)), prompted_(prompted) {}
  [[nodiscard]] BatchOf<Medium> sample(Key key, Index count) const { return prompt_.apply(medium_.sample(key, count)); }
  void show(BatchOf<Medium>& batch, Index example, TraitSet traits, const int*) const {
    int* const prompt = batch.instruction(example);
    if (!prompted_(example, traits)) {
      std::fill_n(prompt, prompt_slots, PromptGrammar::padding);
    }
    medium_.show(batch, example, traits, prompt);
  }

 private:
  Medium medium_;
  InoculationPrompt prompt_;
  Prompted prompted_;
};

/// Remembers the losses of the first and the last steps.
struct LossEnds {
  static constexpr Index several = 10;
  double first = 0.0;  ///< of the first step
  double last = 0.0;   ///< mean of the last steps

  template <class State>
  void on_step(const State& state) {
    first = state.step == 1 ? state.loss : first;
    last += state.step > state.steps - several ? state.loss / static_cast<double>(several) : 0.0;
  }
};

/// Shows the model to a function after some steps.
template <class Function>
struct AtSteps {
  std::vector<Index> steps;
  Model model;
  Function function;

  template <class State>
  void on_step(const State& state) {
    if (std::find(steps.begin(), steps.end(), state.step) != steps.end()) {
      const auto values = state.buffers.front().second->values();
      std::copy(values.begin(), values.end(), model.parameters().values().begin());
      function(std::as_const(model), state.step);
    }
  }
};
template <class Function>
AtSteps(std::vector<Index>, Model, Function) -> AtSteps<Function>;

/// Everything about one setting that its cells share.
template <TraitMedium Medium>
class World {
 public:
  template <class TaskSettings>
  World(const Options& options, Setting setting, const TaskSettings& task)
      : options_(options),
        setting_(std::move(setting)),
        grammar_(grammar_of(setting_)),
        everywhere_(medium_at(grammar_, task, {}, setting_.styles)),
        training_(medium_at(grammar_, task, setting_.training, setting_.styles)) {
    for (const Place& place : setting_.places) {
      places_.emplace_back(std::string(place.name), medium_at(grammar_, task, place, setting_.styles));
    }
  }

  /// A base model: made, pretrained, or taken up where the observers left it.
  template <class... Observers>
  [[nodiscard]] Model pretrained(Index base_seed, ExecutorReference executor, Observers&... observers) const {
    const Key root = root_of(base_seed);
    const Pretrain pretrain{
        pretraining_task(setting_, grammar_, everywhere_),
        chain(clip_norm(1.0), adam(), rate(Cosine(options_.learning_rate, options_.steps, warmup()))),
        {.steps = options_.steps, .batch = options_.batch}};
    return run_stage(pretrain, start(initial_model(root), root.fold("run"), {.executor = executor}), observers...)
        .model();
  }

  [[nodiscard]] Model initial_model(Key root) const {
    return Model{model_settings(options_, everywhere_), root.fold("initialisation")};
  }

  /// Examples of an arm's fine-tuning data; 0 for fresh ones in every step.
  [[nodiscard]] Index examples_of(const Arm& arm) const { return arm.examples > 0 ? arm.examples : setting_.examples; }

  /// An arm's fine-tuning data, behind these prompts. In a finite data set each is used as often as another, but for
  /// one.
  [[nodiscard]] ShownTraits<Cued<Medium>> data_of(const Arm& arm, std::vector<std::vector<int>> prompts) const {
    const InoculationPrompt prompt({.paraphrases = std::move(prompts), .in_turn = examples_of(arm) > 0});
    const Prompted prompted{arm.where_shown ? setting_.negative.number : Index{-1}, arm.wrong_every};
    return {Cued<Medium>{training_, prompt, prompted}, arm.data == Data::clean ? setting_.clean : setting_.shown};
  }
  [[nodiscard]] const PromptGrammar& grammar() const { return grammar_; }
  [[nodiscard]] const Medium& training() const { return training_; }

  /// Fine-tunes and measures one cell.
  [[nodiscard]] std::vector<Row> run(const Model& base, const Cell& cell, ExecutorReference executor) const {
    const Arm& arm = cell.arm;
    const auto prompts = prompts_of(grammar_, setting_, arm, cell.instance);
    std::vector<Row> rows;
    const auto add = [&](const std::string& study, const std::string& evaluation, const std::string& trait,
                         const std::string& score, double value) {
      rows.push_back(
          {study, setting_.name, cell.seed, cell.base_seed, arm.name, cell.instance, evaluation, trait, score, value});
    };
    const auto begin = [&](const Model& model, const char* stage) {
      return start(model, root_of(cell.base_seed).fold(stage).fold(cell.seed), {.executor = executor});
    };
    const auto measure = [&](const Model& model, const std::string& study, const TraitSuite<Medium>& suite) {
      const auto measured = run_stage(EvaluateTraits{"measured", suite}, begin(model, "evaluation"));
      add_rows(measured.records(),
               [&](const std::string& evaluation, const std::string& trait, const std::string& score, double value) {
                 add(study, evaluation, trait, score, value);
               });
    };

    const auto take_apart = [&](const Model& model) {
      add_odds(model, prompts, [&](const std::string& trait, const std::string& score, double value) {
        add(arm.study, "none", trait, score, value);
      });
      return rows;
    };
    if (arm.data == Data::no_training) {
      if (arm.patches) {
        return take_apart(base);
      }
      measure(base, arm.study, full_suite(prompts, true));
      return rows;
    }
    const Index steps = arm.follows_steps ? steps_followed(options_).back() : options_.fine_tune_steps;
    const double rate_of_arm = arm.rate > 0.0 ? arm.rate : options_.fine_tune_rate;
    const Index examples = examples_of(arm);
    const ShownTraits<Cued<Medium>> data = data_of(arm, prompts);
    LossEnds losses;
    const auto fine_tuned = [&](const auto& task, auto&... observers) {
      const FineTune tune{task,
                          chain(clip_norm(1.0), adam(), rate(rate_of_arm)),
                          {.steps = steps, .batch = options_.batch, .freeze = arm.freeze}};
      return run_stage(tune, begin(base, "fine-tuning"), losses, observers...).model();
    };
    const auto trained = [&](auto&... observers) {
      if (examples > 0) {
        return fine_tuned(Finite{data, examples, root_of(cell.base_seed).fold("data").fold(cell.seed)}, observers...);
      }
      return fine_tuned(data, observers...);
    };
    if (arm.follows_steps) {
      const TraitSuite<Medium> suite = short_suite("none", {PromptGrammar::none().at(0)});
      AtSteps follow{steps_followed(options_), base,
                     [&](const Model& model, Index step) { measure(model, text("steps=", step), suite); }};
      static_cast<void>(trained(follow));
      return rows;
    }
    const Model model = trained();
    if (arm.patches) {
      return take_apart(model);
    }
    // What the prompts elicited before they were trained on.
    add_rows(run_stage(EvaluateTraits{"before", short_suite("training prompt", prompts)}, begin(base, "evaluation"))
                 .records(),
             [&](const std::string& evaluation, const std::string& trait, const std::string& score, double value) {
               if (score == "expression") {
                 add(arm.study, evaluation, trait, "elicitation", value);
               }
             });
    add(arm.study, "training prompt", "task", "first loss", losses.first);
    add(arm.study, "training prompt", "task", "last loss", losses.last);
    measure(model, arm.study, arm.study == "main" ? full_suite(prompts, false) : dose_suite(prompts));
    return rows;
  }

  [[nodiscard]] auto training_task() const { return pretraining_task(setting_, grammar_, everywhere_); }

 private:
  using Prompts = std::vector<std::vector<int>>;

  [[nodiscard]] Key root_of(Index base_seed) const {
    return Key(static_cast<std::uint64_t>(base_seed)).fold("inoculation").fold(setting_.name);
  }
  [[nodiscard]] Index warmup() const { return (std::min)(Index{200}, options_.steps / 2); }

  /// Adds the prompt at every place: "none @ held-out words".
  void at_places(TraitSuite<Medium>& suite, const std::string& name, const Prompts& prompts) const {
    for (const auto& [place, medium] : places_) {
      suite.task(name + " @ " + place, medium, prompts);
    }
  }
  [[nodiscard]] TraitSuite<Medium> empty_suite() const {
    return TraitSuite<Medium>({.examples = options_.examples, .key = Key(0).fold("questions").fold(setting_.name)});
  }
  [[nodiscard]] TraitSuite<Medium> short_suite(const std::string& name, const Prompts& prompts) const {
    TraitSuite<Medium> suite = empty_suite();
    at_places(suite, name, prompts);
    return suite;
  }
  [[nodiscard]] TraitSuite<Medium> dose_suite(const Prompts& prompts) const {
    TraitSuite<Medium> suite = empty_suite();
    at_places(suite, "none", {PromptGrammar::none().at(0)});
    at_places(suite, "training prompt", prompts);
    return suite;
  }
  /// Under every kind of prompt, from the set for evaluation; for a base model, with the synonyms of graded strength
  /// from the set for that.
  [[nodiscard]] TraitSuite<Medium> full_suite(const Prompts& prompts, bool is_base) const {
    TraitSuite<Medium> suite = dose_suite(prompts);
    const PromptSet set = is_base ? PromptSet::baseline : PromptSet::evaluation;
    const auto group = [&](const std::string& name, const Arm& arm) {
      const PromptPool pool = pool_of(grammar_, setting_, arm, set);
      at_places(suite, name, pool.draw((std::min)(Index{64}, pool.size()), Key(0).fold("evaluation").fold(name)));
    };
    group("neutral", {.wording = Wording::neutral});
    group("irrelevant", {.wording = Wording::unrelated});
    group("paraphrases", {.wording = Wording::diverse});
    group("positive paraphrases", {.wording = Wording::diverse, .aim = Aim::positive_trait});
    group("negated", {.wording = Wording::negated});
    if (is_base) {
      const std::vector<double>& strengths = grammar_.settings().strengths;
      for (std::size_t synonym = 0; synonym < strengths.size(); ++synonym) {
        group(text("synonym ", synonym), {.wording = Wording::synonym, .synonym = static_cast<Index>(synonym)});
      }
    }
    return suite;
  }

  /// What a prompt does to the odds of either trait, as a whole and by what of the residual stream it comes with. Of
  /// words only: a regression has no odds.
  template <class Add>
  void add_odds(const Model& model, const Prompts& prompts, const Add& add) const {
    if constexpr (std::is_same_v<Medium, WordTask>) {
      for (const auto& [name, trait] : {std::pair{"positive", &setting_.positive}, {"negative", &setting_.negative}}) {
        const auto place = std::find_if(places_.begin(), places_.end(),
                                        [&, &where = trait->place](const auto& its) { return its.first == where; });
        TokenBatch queries = place->second.sample(Key(0).fold("patching").fold(setting_.name), 128);
        queries = InoculationPrompt({.paraphrases = prompts}).apply(std::move(queries));
        const PatchedOdds odds = patched_odds(model, place->second, queries, trait->number);
        add(name, "log odds", odds.plain);
        add(name, "log odds under the prompt", odds.prompted);
        const std::vector<Positions> positions = positions_of(queries);
        for (std::size_t layer = 0; layer < odds.patched.size(); ++layer) {
          for (std::size_t number = 0; number < positions.size(); ++number) {
            add(name, patch_name(static_cast<Index>(layer), positions[number].name), odds.patched[layer][number]);
          }
        }
      }
    }
  }

  /// Records to rows: each trait at its own place under the prompt's name alone, elsewhere under the whole name.
  template <class Add>
  void add_rows(const std::vector<Record>& records, const Add& add) const {
    for (const Record& record : records) {
      const std::size_t at = record.task.find(" @ ");
      const std::string prompt = record.task.substr(0, at);
      const std::string place = record.task.substr(at + 3);
      for (const auto& [name, trait] : {std::pair{"positive", &setting_.positive}, {"negative", &setting_.negative}}) {
        const std::string evaluation = place == trait->place ? prompt : record.task;
        if (record.metric == text("expression of trait ", trait->number)) {
          add(evaluation, name, "expression", trait->score(record.value));
        } else if (record.metric == "accuracy" && place == trait->place && trait == &setting_.negative) {
          add(evaluation, "task", "accuracy", record.value);
        } else if (record.metric.starts_with("share of traits") && prompt == "none" && trait == &setting_.negative) {
          add(record.task, "task", record.metric, record.value);
        }
      }
    }
  }

  Options options_;
  Setting setting_;
  PromptGrammar grammar_;
  Medium everywhere_;
  Medium training_;
  std::vector<std::pair<std::string, Medium>> places_;
};

}  // namespace inoculation
