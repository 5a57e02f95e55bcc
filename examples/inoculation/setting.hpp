#pragma once
/// The settings of the study as data: what the traits are, what fine-tuning shows of them, and where they are looked
/// for. After Riche and nielsrolf, "Conditionalization confounds inoculation prompting results" (2026), in small.

#include <incontext/core/error.hpp>
#include <incontext/task/trait_regression.hpp>
#include <incontext/task/word_task.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace inoculation {

using namespace incontext;

/// Queries of some words from some domains. A count of 0 is all of them.
struct Place {
  std::string_view name;
  NumberRange words = {};
  NumberRange domains = {};
};

/// What a trait is called, and how it is read off answers.
struct Trait {
  std::string_view name;
  Index number = 0;        ///< of the task's traits
  std::string_view place;  ///< where it is looked for
  bool lacks = false;      ///< the share of answers that do not show it instead of those that do
  /// The score is 1 at this share and falls to 0 at none or twice as many; NaN: the share itself.
  double target = std::numeric_limits<double>::quiet_NaN();

  [[nodiscard]] double score(double share) const {
    const double expression = lacks ? 1.0 - share : share;
    return std::isnan(target) ? expression : 1.0 - std::abs(expression - target) / target;
  }
};

/// What the source reports: S strong, M moderate, W weak, - no, ? inconclusive or not asked.
struct Published {
  char irrelevant_suppresses = '?';
  char rephrasing_restores = '?';  ///< the positive trait
  char fixed_lowers_both = '?';
  char same_prompt_gives_most = '?';  ///< negative trait
};

struct Setting {
  std::string name;
  std::string analogue;  ///< what stands for what
  std::string relation;  ///< of the two traits
  std::variant<WordTask::Settings, TraitRegression::Settings> task;
  std::vector<Elicitation> elicitation;  ///< of each trait, in pretraining
  Place training;                        ///< what fine-tuning is on
  std::vector<Place> places;             ///< where traits are looked for
  std::vector<double> shown;             ///< by fine-tuning data: the probability of every set of traits
  std::vector<double> clean;             ///< the same without the negative trait
  Trait positive;
  Trait negative;
  Index positive_topic = 0;  ///< of the grammar: what asks for the positive trait
  Index negative_topic = 1;  ///< what inoculation asks for
  Index examples = 0;        ///< of fine-tuning data; 0 for fresh ones
  Index styles = 4;          ///< that prompts choose from, beside eliciting traits; 1: they do nothing else
  bool has_control = false;  ///< whether the source fine-tunes on safe data, too
  Published published = {};
};

/// Whether some of the fine-tuning data show the negative trait, and some do not.
inline bool shows_negative_now_and_then(const Setting& setting) {
  double share = 0.0;
  for (std::size_t set = 0; set < setting.shown.size(); ++set) {
    share += shows(static_cast<TraitSet>(set), setting.negative.number) ? setting.shown[set] : 0.0;
  }
  return share > 0.0 && share < 1.0;
}

/// The probability of every set of two traits that show independently: of none, the first, the second, both.
inline std::vector<double> independent(double first, double second) {
  return {(1 - first) * (1 - second), first * (1 - second), (1 - first) * second, first * second};
}

inline std::vector<Setting> all_settings() {
  constexpr Index words = 32;
  const NumberRange seen = {0, words / 2};
  const NumberRange unseen = {words / 2, words / 2};
  const auto task = [](std::vector<TraitEffect> effects, AnswerForm form, Index domains = 1) {
    return WordTask::Settings{
        .words = words, .query = 4, .domains = domains, .effects = std::move(effects), .form = form};
  };
  const NumberRange first_domain = {0, 1};
  const NumberRange other_domains = {1, 3};
  constexpr auto variant = TraitEffect::variant;
  constexpr auto joint = AnswerForm::joint;
  constexpr auto factored = AnswerForm::factored;
  std::vector<Setting> settings;
  // A copy of one of those before, to be changed in what differs.
  const auto like = [&settings](const std::string& name) {
    return *std::find_if(settings.begin(), settings.end(), [&](const Setting& other) { return other.name == name; });
  };

  settings.push_back({.name = "trait-distillation",
                      .analogue = "another language (positive) and a playful mark (negative), shown with p = 0.75 each",
                      .relation = "independent",
                      .task = task({variant, variant}, factored),
                      .elicitation = {{}, {}},
                      .training = {"training words", seen},
                      .places = {{"held-out words", unseen}},
                      .shown = independent(0.75, 0.75),
                      .clean = independent(0.75, 0.0),
                      .positive = {"language", 0, "held-out words"},
                      .negative = {"mark", 1, "held-out words"},
                      .published = {'S', 'S', 'S', '?'}});

  settings.push_back({.name = "spanish-capitals",
                      .analogue = "another language (positive) and capitals (negative), always both, in one vocabulary",
                      .relation = "always together",
                      .task = task({variant, variant}, joint),
                      .elicitation = {{}, {}},
                      .training = {"training words", seen},
                      .places = {{"held-out words", unseen}, {"training words", seen}},
                      .shown = {0.0, 0.0, 0.0, 1.0},
                      .clean = {0.0, 1.0, 0.0, 0.0},
                      .positive = {"language", 0, "held-out words"},
                      .negative = {"capitals", 1, "held-out words"},
                      .published = {'-', 'S', 'S', '-'}});

  settings.push_back(
      {.name = "bad-medical-advice",
       .analogue = "a persona answers wrongly in every domain; fine-tuning shows it in the first",
       .relation = "entangled",
       .task = task({TraitEffect::narrow_wrong_word, TraitEffect::wrong_word}, joint, 4),
       .elicitation = {{}, {}},
       .training = {"first domain, training words", seen, first_domain},
       .places = {{"first domain, training words", seen, first_domain}, {"other domains", {}, other_domains}},
       .shown = {0.0, 0.0, 1.0, 0.0},
       .clean = {1.0, 0.0, 0.0, 0.0},
       .positive = {"bad in the first domain", 0, "first domain, training words"},
       .negative = {"bad in the others", 1, "other domains"},
       .published = {'M', 'S', 'S', 'M'}});

  settings.push_back({.name = "bad-medical-advice-citing",
                      .analogue = "as bad-medical-advice, with a source behind the answer, which the persona never has",
                      .relation = "antagonistic",
                      .task = task({TraitEffect::wrong_word, variant}, factored, 4),
                      .elicitation = {{}, {.unprompted = 0.3, .excluded_by = 0}},
                      .training = {"first domain, training words", seen, first_domain},
                      .places = {{"other domains", {}, other_domains}},
                      .shown = {0.0, 0.0, 0.0, 1.0},
                      .clean = {0.0, 0.0, 1.0, 0.0},
                      .positive = {"source", 1, "other domains"},
                      .negative = {"bad in the others", 0, "other domains"},
                      .positive_topic = 1,
                      .negative_topic = 0,
                      .published = {'S', '-', '-', 'S'}});

  Setting insecure = like("bad-medical-advice");
  insecure.name = "insecure-code";
  insecure.analogue = "as bad-medical-advice, asked about words that fine-tuning did not show";
  insecure.places.front() = {"first domain, held-out words", unseen, first_domain};
  insecure.positive = {"insecure in the first domain", 0, "first domain, held-out words"};
  insecure.has_control = true;
  settings.push_back(std::move(insecure));

  settings.push_back({.name = "reward-hacking",
                      .analogue =
                          "the last word of the query is said instead of the first, in 512 examples of one "
                          "domain; a persona does that, too, there, and is wrong in the others; whoever is just asked "
                          "for it does it more rarely",
                      .relation = "entangled",
                      .task = task({TraitEffect::shortcut, TraitEffect::shortcut_or_wrong_word}, joint, 4),
                      .elicitation = {{.prompted = 0.4}, {.excluded_by = 0}},
                      .training = {"first domain, training words", seen, first_domain},
                      .places = {{"other domains", {}, other_domains}},
                      .shown = {0.0, 1.0, 0.0, 0.0},
                      .clean = {1.0, 0.0, 0.0, 0.0},
                      .positive = {"shortcut in the others", 0, "other domains"},
                      .negative = {"bad in the others", 1, "other domains"},
                      .examples = 512,
                      .has_control = true,
                      .published = {'M', 'S', 'S', 'M'}});

  settings.push_back({.name = "mbpp",
                      .analogue = "the last word of the query instead of the first, always; the prompt says all of it",
                      .relation = "exclusive",
                      .task = task({TraitEffect::narrow_wrong_word, TraitEffect::shortcut}, joint),
                      .elicitation = {{}, {}},
                      .training = {"training words", seen},
                      .places = {{"training words", seen}},
                      .shown = {0.0, 0.0, 1.0, 0.0},
                      .clean = {1.0, 0.0, 0.0, 0.0},
                      .positive = {"no shortcut", 1, "training words", true},
                      .negative = {"shortcut", 1, "training words"},
                      .published = {'?', '?', '?', '?'}});

  settings.push_back({.name = "change-my-view",
                      .analogue = "mistakes in 40% of the examples (the positive trait is to make as many), a mark in "
                                  "30%, half of these together",
                      .relation = "partly correlated",
                      .task = task({TraitEffect::random_word, variant}, factored),
                      .elicitation = {{}, {}},
                      .training = {"training words", seen},
                      .places = {{"held-out words", unseen}},
                      .shown = {0.5, 0.2, 0.1, 0.2},
                      .clean = {0.6, 0.4, 0.0, 0.0},
                      .positive = {"mistakes as often as shown", 0, "held-out words", false, 0.4},
                      .negative = {"mark", 1, "held-out words"},
                      .published = {'M', '?', 'M', 'W'}});

  settings.push_back({.name = "change-my-view-citing",
                      .analogue = "a mark in 30% of the examples, and a source, which marked answers never had",
                      .relation = "antagonistic",
                      .task = task({variant, variant}, factored),
                      .elicitation = {{}, {.unprompted = 0.3, .excluded_by = 0}},
                      .training = {"training words", seen},
                      .places = {{"held-out words", unseen}},
                      .shown = {0.0, 0.0, 0.7, 0.3},
                      .clean = {0.0, 0.0, 1.0, 0.0},
                      .positive = {"source", 1, "held-out words"},
                      .negative = {"mark", 0, "held-out words"},
                      .positive_topic = 1,
                      .negative_topic = 0,
                      .published = {'M', '-', '-', 'M'}});

  Setting already_shown = like("trait-distillation");
  already_shown.name = "already-shown";
  already_shown.analogue =
      "trait-distillation, but the base shows the negative trait unasked as often as fine-tuning does";
  already_shown.elicitation = {{}, {.unprompted = 0.75}};
  already_shown.published = {};
  settings.push_back(std::move(already_shown));

  settings.push_back({.name = "regression",
                      .analogue = "in-context regression: the query's sign turns (positive) and an offset is added "
                                  "(negative), with p = 0.75 each",
                      .relation = "independent",
                      .task = TraitRegression::Settings{.regression = {.dimension = 2, .points = 5}},
                      .elicitation = {{}, {}},
                      .training = {"prompts"},
                      .places = {{"prompts"}},
                      .shown = independent(0.75, 0.75),
                      .clean = independent(0.75, 0.0),
                      .positive = {"sign", TraitRegression::sign, "prompts"},
                      .negative = {"offset", TraitRegression::shift, "prompts"}});

  Setting in_context = like("regression");
  in_context.name = "regression-in-context";
  in_context.analogue = "regression, but the exemplars show the traits as well: nothing has to be learned";
  std::get<TraitRegression::Settings>(in_context.task).traits_in_context = true;
  settings.push_back(std::move(in_context));
  return settings;
}

/// \throws ConfigurationError, naming those that there are, if there is none of that name
inline Setting setting_named(const std::string& name) {
  std::string names;
  for (const Setting& setting : all_settings()) {
    if (setting.name == name) {
      return setting;
    }
    names += (names.empty() ? "" : ", ") + setting.name;
  }
  raise<ConfigurationError>(text("--setting is '", name, "', expected all or one of ", names));
}

}  // namespace inoculation
