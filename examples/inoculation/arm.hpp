#pragma once
/// The arms of the study as data: which prompts stand in front of the fine-tuning data, and what data.

#include "setting.hpp"
#include "style.hpp"

#include <incontext/report/number.hpp>
#include <incontext/task/prompt_grammar.hpp>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace inoculation {

enum class Wording { none, neutral, unrelated, trigger, random, negated, combined, synonym, close, tight, diverse };
enum class Aim { negative_trait, positive_trait };  ///< what the prompt asks for, if anything
enum class Data { shown, clean, no_training };

/// One arm. A dose that is 0 is the study's.
struct Arm {
  std::string name = {};
  Wording wording = Wording::none;
  Index paraphrases = 1;  ///< prompts that examples choose from
  Index instances = 1;    ///< how often prompts are drawn, for a cell each
  Aim aim = Aim::negative_trait;
  Data data = Data::shown;
  /// Only examples that show the negative trait get the prompt, the others none: somebody has to tell them apart.
  bool where_shown = false;
  Index wrong_every = 0;       ///< every so many-th example is told wrongly; 0: none is
  bool same_style = false;     ///< only prompts behind which answers are in the style that they have without one
  Index synonym = 0;           ///< of the topic, for Wording::synonym
  std::string study = "main";  ///< "rate=0.001": the sweep that it belongs to, and the dose
  double rate = 0.0;
  Index examples = 0;
  std::vector<std::string> freeze = {};  ///< parameters that stay, by pattern of their names
  bool follows_steps = false;            ///< is measured in the midst of fine-tuning instead of at its end
  bool patches = false;                  ///< is taken apart by patching instead
};

inline constexpr Index most_paraphrases = 8192;

/// The five of the demo.
inline std::vector<Arm> demo_arms() {
  return {{.name = "no fine-tuning", .data = Data::no_training},
          {.name = "none"},
          {.name = "irrelevant fixed", .wording = Wording::unrelated, .instances = 2},
          {.name = "irrelevant many", .wording = Wording::unrelated, .paraphrases = most_paraphrases},
          {.name = "inoculation fixed", .wording = Wording::close, .instances = 2},
          {.name = "inoculation diverse", .wording = Wording::diverse, .paraphrases = most_paraphrases}};
}

/// All of them, with every sweep.
inline std::vector<Arm> all_arms(const Setting& setting) {
  constexpr Index many = most_paraphrases;
  std::vector<Arm> arms = {
      {.name = "no fine-tuning", .data = Data::no_training},
      {.name = "none"},
      {.name = "neutral", .wording = Wording::neutral},
      {.name = "irrelevant fixed", .wording = Wording::unrelated, .instances = 4},
      {.name = "irrelevant many", .wording = Wording::unrelated, .paraphrases = many},
      {.name = "random for every example", .wording = Wording::random, .paraphrases = many},
      {.name = "inoculation fixed", .wording = Wording::close, .instances = 4},
      {.name = "inoculation close", .wording = Wording::close, .paraphrases = many},
      {.name = "inoculation tight", .wording = Wording::tight, .paraphrases = many},
      {.name = "inoculation diverse", .wording = Wording::diverse, .paraphrases = many},
      {.name = "negated", .wording = Wording::negated, .instances = 4},
      {.name = "trigger", .wording = Wording::trigger, .instances = 4},
      {.name = "optimal policy", .wording = Wording::combined, .instances = 2},
      {.name = "clean data (inoculation fixed)", .wording = Wording::close, .data = Data::clean},
      {.name = "positive fixed", .wording = Wording::close, .instances = 4, .aim = Aim::positive_trait},
      {.name = "positive diverse", .wording = Wording::diverse, .paraphrases = many, .aim = Aim::positive_trait}};
  // Training what comes before the prompt's style has spread from token to token (see "patching") leaves less that can
  // be conditional on it.
  const std::vector<std::string> late = {"transformer.h.1*", "transformer.ln_f*", "read_out*"};
  arms.push_back({.name = "none (late frozen)", .freeze = late});
  arms.push_back(
      {.name = "irrelevant fixed (late frozen)", .wording = Wording::unrelated, .instances = 4, .freeze = late});
  arms.push_back(
      {.name = "inoculation fixed (late frozen)", .wording = Wording::close, .instances = 4, .freeze = late});
  arms.push_back(
      {.name = "inoculation tight (late frozen)", .wording = Wording::tight, .paraphrases = many, .freeze = late});
  // Where some examples lack the negative trait, the prompt need not stand in front of these: what they show is learned
  // without it, and not conditional on anything. The price is to know which they are.
  if (shows_negative_now_and_then(setting)) {
    const Arm arm = {.name = "inoculation where shown", .wording = Wording::close, .instances = 4, .where_shown = true};
    arms.push_back(arm);
    for (const auto& [name, wrong_every] : {std::pair{"1 in 20", 20}, {"1 in 5", 5}}) {
      arms.push_back(arm);
      arms.back().name += text(" (", name, " wrong)");
      arms.back().instances = 2;
      arms.back().wrong_every = wrong_every;
    }
  }
  // What is conditional on a prompt should be less so, the more alike the model answers with it and without. The strong
  // synonyms have one style after another, so among them are all styles but where there are more of these.
  const std::vector<double> strengths = PromptGrammar::Settings{}.strengths;
  const auto strong = static_cast<Index>(std::count(strengths.begin(), strengths.end(), 1.0));
  if (setting.styles > 1 && setting.styles <= strong && std::holds_alternative<WordTask::Settings>(setting.task)) {
    arms.push_back(
        {.name = "irrelevant fixed (same style)", .wording = Wording::unrelated, .instances = 4, .same_style = true});
    arms.push_back(
        {.name = "inoculation fixed (same style)", .wording = Wording::tight, .instances = 4, .same_style = true});
  }
  if (setting.has_control) {
    arms.push_back({.name = "control data", .data = Data::clean});
  }
  // Graded strength: the synonyms below the strongest.
  for (std::size_t synonym = 0; synonym < strengths.size(); ++synonym) {
    if (strengths[synonym] < 1.0) {
      arms.push_back({.name = "strength " + shortest_text(strengths[synonym]),
                      .wording = Wording::synonym,
                      .instances = 2,
                      .synonym = static_cast<Index>(synonym)});
    }
  }
  // Paraphrases: few are drawn often, since it matters which.
  for (const auto& [kind, wording] : {std::pair{"close", Wording::close},
                                      {"tight", Wording::tight},
                                      {"diverse", Wording::diverse},
                                      {"irrelevant", Wording::unrelated}}) {
    for (const Index paraphrases : {1, 2, 4, 8, 16, 64, 512, 8192}) {
      arms.push_back({.name = kind,
                      .wording = wording,
                      .paraphrases = paraphrases,
                      .instances = paraphrases <= 4 ? 3 : 1,
                      .study = text("paraphrases=", paraphrases)});
    }
  }
  // Doses, of four arms.
  const std::vector<Arm> dosed = {{.name = "none"},
                                  {.name = "irrelevant fixed", .wording = Wording::unrelated},
                                  {.name = "inoculation fixed", .wording = Wording::close},
                                  {.name = "inoculation diverse", .wording = Wording::diverse, .paraphrases = many}};
  for (const Arm& base : dosed) {
    Arm arm = base;
    arm.study = "steps";
    arm.follows_steps = true;
    arms.push_back(arm);
    for (const double rate : {1e-4, 1e-3}) {
      arm = base;
      arm.study = "rate=" + shortest_text(rate);
      arm.rate = rate;
      arms.push_back(arm);
    }
    for (const Index examples : {64, 512, 4096}) {
      arm = base;
      arm.study = text("examples=", examples);
      arm.examples = examples;
      arms.push_back(arm);
    }
  }
  // Where in the model the prompt is: before fine-tuning, and after it.
  arms.push_back({.name = "no fine-tuning",
                  .wording = Wording::close,
                  .data = Data::no_training,
                  .study = "patching",
                  .patches = true});
  arms.push_back({.name = "irrelevant fixed", .wording = Wording::unrelated, .study = "patching", .patches = true});
  arms.push_back({.name = "inoculation fixed", .wording = Wording::close, .study = "patching", .patches = true});
  return arms;
}

/// The prompts that a wording chooses from.
inline PromptPool pool_of(const PromptGrammar& grammar, const Setting& setting, const Arm& arm, PromptSet set) {
  const Index topic = arm.aim == Aim::negative_trait ? setting.negative_topic : setting.positive_topic;
  switch (arm.wording) {
    case Wording::neutral:
      return grammar.neutral(set);
    case Wording::unrelated:
      return grammar.unrelated(set);
    case Wording::trigger:
      return grammar.trigger(set);
    case Wording::random:
      return grammar.random(set);
    case Wording::negated:
      return grammar.negated(set, topic);
    case Wording::combined:
      return grammar.combined(set, setting.positive_topic, setting.negative_topic);
    case Wording::synonym:
      return grammar.synonym(set, topic, arm.synonym);
    case Wording::close:
      return grammar.close(set, topic);
    case Wording::tight:
      return grammar.tight(set, topic);
    case Wording::diverse:
      return grammar.diverse(set, topic);
    default:
      return grammar.none();
  }
}

/// The prompts of one instance of an arm. They are the same for every model, so that prompts and models are crossed.
inline std::vector<std::vector<int>> prompts_of(const PromptGrammar& grammar, const Setting& setting, const Arm& arm,
                                                Index instance) {
  const PromptPool pool = pool_of(grammar, setting, arm, PromptSet::intervention);
  const Key key = Key(0).fold("intervention").fold(setting.name).fold(static_cast<Index>(arm.wording));
  if (arm.same_style) {
    std::vector<std::vector<int>> prompts = pool.draw((std::min)(Index{256}, pool.size()), key);
    const std::vector<Index> styles = token_styles(grammar, setting.styles);
    const auto style_of = [&](const std::vector<int>& prompt) {
      return WordTask::style_of(prompt.data(), styles, setting.styles);
    };
    const Index unprompted = style_of(PromptGrammar::none().at(0));
    std::erase_if(prompts, [&](const auto& prompt) { return style_of(prompt) != unprompted; });
    return {prompts.at(static_cast<std::size_t>(instance))};
  }
  if (arm.paraphrases > 1) {
    return pool.draw((std::min)(arm.paraphrases, pool.size()), key.fold(instance));
  }
  return {pool.draw((std::min)(instance, pool.size() - 1) + 1, key).back()};  // of several fixed ones, no two alike
}

}  // namespace inoculation
