#include "study.hpp"

#include "languages.hpp"
#include "model.hpp"

#include <incontext/incontext.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

namespace translation {

namespace {

/// The two skills of one seed. Prompts are in language 1; whose answer is right is told apart by nothing but whether
/// the exemplars have the query, and where they have it, not at all: `Settings::conflict` of the dictionary's prompts
/// are like those of the other skill. That is what fine-tuning can change.
struct Skills {
  Skills(const Settings& settings, Key root)
      : words(random_dictionary(settings.words, root)),
        exemplars({.dictionary = words, .exemplars = settings.exemplars}),
        dictionary({.dictionary = words,
                    .exemplars = settings.exemplars,
                    .source = AnswerSource::dictionary,
                    .conflict = settings.conflict}) {}

  std::vector<int> words;  ///< the dictionary itself
  WordPairs exemplars;
  WordPairs dictionary;
};

/// Measures a run at several moments, always on the same prompts.
class Measure {
 public:
  Measure(const Settings& settings, const Languages& languages, const Skills& skills, Key root, Results& results)
      : settings_(&settings), languages_(&languages), skills_(&skills), results_(&results) {
    prompts_.emplace("exemplars", skills.exemplars.sample(root.fold("exemplars"), settings.prompts));
    prompts_.emplace("dictionary", skills.dictionary.sample(root.fold("dictionary"), settings.prompts));
  }

  /// Both skills in every language, and in language 1 through every translation.
  template <StudyRun Run>
  void operator()(const Run& run, const std::string& stage) {
    for (const auto& [skill, prompts] : prompts_) {
      in_language(run, stage, skill, prompts, 1.0);
      for (const double language : settings_->similarities) {
        in_language(run, stage, skill, prompts, language);
        through(run, stage, skill, prompts, translation_to(language), languages_->to(language));
      }
      for (const double language : settings_->partly_similar()) {
        const double share = 1.0 - language;
        through(run, stage, skill, prompts, partial_translation(share), languages_->partly_to_distant(share));
      }
      through(run, stage, skill, prompts, permutation_of_words, languages_->permutation());
      through(run, stage, skill, prompts, dictionary_of_words, languages_->renaming(skills_->words));
      through(run, stage, skill, prompts, unknown_language, languages_->to_unknown());
    }
  }

 private:
  /// What the run's predictor answers, through its view.
  template <StudyRun Run>
  static TokenPredictions answers(const Run& run, const TokenBatch& prompts) {
    return run.view().invert_predictions(run.model().predict(run.view().apply(prompts), run.executor()), prompts);
  }
  static int answer_to(const TokenBatch& prompts, Index prompt) {
    return prompts.targets[static_cast<std::size_t>((prompt + 1) * prompts.length - 1)];
  }

  template <StudyRun Run>
  void add(const Run& run, const std::string& stage, const std::string& skill, double language,
           const std::string& translation, const std::string& metric, double value) {
    results_->measurements.push_back({{run.settings().seed, stage, skill, language, translation, metric}, value});
  }

  /// Asks about prompts of language 1 through a translation: translate, predict, translate back.
  template <StudyRun Run>
  void through(const Run& run, const std::string& stage, const std::string& skill, const TokenBatch& prompts,
               const std::string& name, const Translate& translation) {
    static_cast<void>(ask(run_stage(ConjugatePrompt{translation}, run), stage, skill, prompts, 1.0, name));
  }

  /// Asks in a language, and remembers what the pretrained model made of every prompt.
  template <StudyRun Run>
  void in_language(const Run& run, const std::string& stage, const std::string& skill, const TokenBatch& prompts,
                   double language) {
    const std::vector<double> probabilities =
        ask(run, stage, skill, languages_->to(language).apply(prompts), language, no_translation);
    if (skill != "exemplars") {
      return;
    }
    if (stage == "pretrained") {
      before_[language] = probabilities;
    } else {
      by_shared_words(run, stage, languages_->to(language).apply(prompts), language, probabilities);
    }
  }

  /// Measures one run on prompts of one language. Returns the probability of the right answer to each, [count].
  template <StudyRun Run>
  std::vector<double> ask(const Run& run, const std::string& stage, const std::string& skill, const TokenBatch& prompts,
                          double language, const std::string& translation) {
    const TokenPredictions predictions = answers(run, prompts);
    const std::vector<int>& names = languages_->to(language).image();
    const auto& asked = prompts_.at(skill);  // the same prompts in language 1, in which the dictionary is written
    std::vector<double> probabilities;
    double right = 0.0;
    double by_dictionary = 0.0;
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      const int token = predictions.tokens[static_cast<std::size_t>(prompt)];
      const int target = answer_to(prompts, prompt);
      const int query = asked.tokens[static_cast<std::size_t>((prompt + 1) * asked.length - 1)];
      const int known = names[static_cast<std::size_t>(skills_->exemplars.answer_by_dictionary(query))];
      right += token == target ? 1.0 : 0.0;
      by_dictionary += token == known ? 1.0 : 0.0;
      probabilities.push_back(std::exp(predictions.log_probabilities(prompt, target)));
    }
    const auto count = static_cast<double>(prompts.count);
    add(run, stage, skill, language, translation, "accuracy", right / count);
    add(run, stage, skill, language, translation, "answers by dictionary", by_dictionary / count);
    add(run, stage, skill, language, translation, "probability", mean(probabilities));
    return probabilities;
  }

  /// Claims 3c and 3d: how forgetting depends on the prompt's words that language 1 has, too.
  template <StudyRun Run>
  void by_shared_words(const Run& run, const std::string& stage, const TokenBatch& prompts, double language,
                       const std::vector<double>& after) {
    const std::vector<double>& before = before_.at(language);
    std::map<Index, SharedWords> groups;
    std::vector<double> shared;
    std::vector<double> drops;
    std::vector<double> drops_by_query[2];  // of prompts whose query language 1 has not, and has
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      const auto place = static_cast<std::size_t>(prompt);
      const auto first = prompts.tokens.begin() + prompt * prompts.length;
      const auto is_shared = [&](int token) { return languages_->is_of_language_1(token); };
      const Index number = std::count_if(first, first + prompts.length, is_shared);
      SharedWords& group = groups[number];
      ++group.prompts;
      group.probability_before += before[place];
      group.probability_after += after[place];
      shared.push_back(static_cast<double>(number));
      drops.push_back(before[place] - after[place]);
      drops_by_query[is_shared(first[prompts.length - 1]) ? 1 : 0].push_back(drops.back());
    }
    for (auto& [number, group] : groups) {
      const auto size = static_cast<double>(group.prompts);
      results_->shared_words.push_back({run.settings().seed, stage, language, number, group.prompts,
                                        group.probability_before / size, group.probability_after / size});
    }
    if (language > 0.0 && language < 1.0) {  // where prompts differ in this
      add(run, stage, "exemplars", language, no_translation, "rank correlation of drop and shared words",
          spearman_correlation(shared, drops));
      const bool has_both = !drops_by_query[0].empty() && !drops_by_query[1].empty();
      add(run, stage, "exemplars", language, no_translation, "probability drop by a shared query",
          has_both ? mean(drops_by_query[1]) - mean(drops_by_query[0]) : std::numeric_limits<double>::quiet_NaN());
    }
  }

  const Settings* settings_;
  const Languages* languages_;
  const Skills* skills_;
  Results* results_;
  std::map<std::string, TokenBatch> prompts_;     // by skill, in language 1
  std::map<double, std::vector<double>> before_;  // by language: the probability of the exemplars' answer, pretrained
};

/// Pretraining draws from both skills in all languages.
auto pretraining_task(const Settings& settings, const Languages& languages, const Skills& skills) {
  return mix(skills.exemplars | languages.any(), settings.dictionary_weight, skills.dictionary | languages.any());
}

}  // namespace

void run_study(const Settings& settings, std::uint64_t seed, const Surroundings& surroundings, Results& results) {
  const Key root = Key(seed).fold("translation");
  const Languages languages(settings, root);
  const Skills skills(settings, root);
  Measure measure(settings, languages, skills, root.fold("evaluation"), results);
  const auto inspect = [&measure](const std::string& stage) {
    return Inspect{[&measure, stage](const auto& run) { measure(run, stage); }};
  };

  const auto adam_at = [](auto schedule) { return chain(clip_norm(1.0), adam(), rate(schedule)); };
  const auto fine_tune = [&](const auto& task, const std::string& stage) {
    return FineTune{task,
                    adam_at(settings.fine_tune_rate),
                    {.steps = settings.fine_tune_steps, .batch = settings.batch},
                    stage} |
           inspect(stage);
  };
  const auto study =
      Pretrain{pretraining_task(settings, languages, skills),
               adam_at(cosine(settings.learning_rate, settings.steps, settings.warmup)),
               {.steps = settings.steps, .batch = settings.batch}}  //
      | inspect("pretrained")                                       //
      | fork(fine_tune(skills.dictionary, "fine-tuned"),
             fine_tune(skills.dictionary | languages.any(), "fine-tuned in all"),
             fine_tune(skills.dictionary | languages.to(settings.most_distant()), "fine-tuned in the most distant"));

  const std::string place = text("seed-", seed);
  TrainingCurve curve{{.folder = settings.output / "training" / place, .every = 100}};
  Checkpoint checkpoint{{.folder = settings.output / "checkpoints" / place,
                         .every = settings.checkpoint_every,
                         .resume = settings.resume}};
  surroundings.progress.set_label(text("seed ", seed));
  static_cast<void>(study(start(Model{settings.model(languages.vocabulary()), root.fold("initialisation")},
                                root.fold("run"), {.seed = seed, .executor = surroundings.executor}),
                          surroundings.progress, curve, checkpoint));
}

double projected_seconds(const Settings& settings, ExecutorReference executor) {
  const Languages languages(settings, Key(0));
  const auto task = pretraining_task(settings, languages, Skills(settings, Key(0)));
  Model model{settings.model(languages.vocabulary()), Key(0)};
  Trainer trainer(model, chain(clip_norm(1.0), adam(), rate(1e-6)), CrossEntropy{});
  std::vector<double> seconds;
  for (Index number = 0; number < 6; ++number) {
    const double begin = steady_seconds();
    static_cast<void>(trainer.step(model, task.sample(Key(0).fold(number), settings.batch), number, executor));
    seconds.push_back(steady_seconds() - begin);
  }
  seconds.erase(seconds.begin());  // the first allocates
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2] * static_cast<double>(settings.steps + 3 * settings.fine_tune_steps);
}

}  // namespace translation
