#include "../../examples/inoculation/world.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

using namespace inoculation;

namespace {

constexpr Index count = 400;
const Options options;

// Five standard errors of a frequency.
double tolerance(double probability, double draws) {
  return 5.0 * std::sqrt(probability * (1.0 - probability) / draws) + 1e-12;
}

std::vector<int> prompt_of(const TokenBatch& batch, Index sequence) {
  return {batch.instruction(sequence), batch.instruction(sequence) + prompt_slots};
}

// What the targets of one example are, as the task reads them.
WordTask::Reading answer_of(const WordTask& task, const TokenBatch& batch, Index sequence) {
  const auto start = static_cast<std::size_t>(sequence * batch.length + batch.answer_start());
  return task.read(task.query_of(batch, sequence), &batch.targets[start]);
}

// Calls the function with every setting of words, its task and its world.
template <class Function>
void for_each_world(const Function& function) {
  for (const Setting& setting : all_settings()) {
    if (const auto* task = std::get_if<WordTask::Settings>(&setting.task)) {
      CAPTURE(setting.name);
      function(setting, World<WordTask>(options, setting, *task));
    }
  }
}

}  // namespace

TEST_CASE("every arm's prompts are of the kind that it is named for, and from the set for interventions") {
  for_each_world([](const Setting& setting, const World<WordTask>& world) {
    for (const Arm& arm : all_arms(setting)) {
      if (arm.paraphrases == most_paraphrases && setting.name != "trait-distillation") {
        continue;  // of many prompts one setting shows enough
      }
      CAPTURE(arm.name);
      const PromptPool pool = pool_of(world.grammar(), setting, arm, PromptSet::intervention);
      std::set<std::vector<int>> fixed;
      for (Index instance = 0; instance < arm.instances; ++instance) {
        const auto prompts = prompts_of(world.grammar(), setting, arm, instance);
        const std::set<std::vector<int>> distinct(prompts.begin(), prompts.end());
        CHECK(static_cast<Index>(distinct.size()) == (std::min)(arm.paraphrases, pool.size()));
        const std::vector<int>& prompt = prompts.back();
        CHECK(pool.contains(prompt));
        fixed.insert(prompt);
        const double negative = world.grammar().strength(prompt, setting.negative_topic);
        const double positive = world.grammar().strength(prompt, setting.positive_topic);
        const bool is_inoculation = arm.wording == Wording::close || arm.wording == Wording::tight;
        CHECK((negative == 1.0) ==
              ((is_inoculation && arm.aim == Aim::negative_trait) || arm.wording == Wording::combined ||
               (arm.wording == Wording::diverse && negative == 1.0)));
        CHECK((positive > 0.0) ==
              ((arm.aim == Aim::positive_trait && arm.wording != Wording::none) || arm.wording == Wording::combined));
        if (arm.same_style) {
          CHECK(world.training().style_of(prompt.data()) ==
                world.training().style_of(PromptGrammar::none().at(0).data()));
        }
        if (arm.name.starts_with("strength")) {
          CHECK(arm.name == "strength " + shortest_text(negative));
        }
      }
      CHECK(static_cast<Index>(fixed.size()) == (std::min)(arm.instances, pool.size()));
    }
  });
}

TEST_CASE("every arm has its prompts, however many styles there are") {
  for (const Index styles : {1, 2, 3, 6, 7, 8}) {
    CAPTURE(styles);
    for (Setting setting : all_settings()) {
      CAPTURE(setting.name);
      setting.styles = styles;
      const PromptGrammar grammar = grammar_of(setting);
      for (const Arm& arm : all_arms(setting)) {
        CAPTURE(arm.name);
        for (Index instance = 0; instance < (arm.paraphrases > 1 ? 0 : arm.instances); ++instance) {
          CHECK(prompts_of(grammar, setting, arm, instance).size() == 1);
        }
      }
    }
  }
}

TEST_CASE("every arm can be asked for by its name: none has a comma in it") {
  for (const Setting& setting : all_settings()) {
    for (const Arm& arm : all_arms(setting)) {
      CHECK(arm.name.find(',') == std::string::npos);
    }
  }
}

TEST_CASE("every arm's data show the traits as often, and as often together, as the setting says") {
  for_each_world([](const Setting& setting, const World<WordTask>& world) {
    for (const Arm& arm : all_arms(setting)) {
      const bool is_large = arm.paraphrases == most_paraphrases && setting.name != "trait-distillation";
      if (arm.study != "main" || arm.data == Data::no_training || is_large) {
        continue;
      }
      CAPTURE(arm.name);
      const auto prompts = prompts_of(world.grammar(), setting, arm, 0);
      const std::set<std::vector<int>> wanted(prompts.begin(), prompts.end());
      const TokenBatch batch = world.data_of(arm, prompts).sample(Key(1), count);
      const std::vector<double>& expected = arm.data == Data::clean ? setting.clean : setting.shown;
      std::vector<double> negative(2);
      std::vector<double> expected_negative(2);
      Index right = 0;  // examples of which all holds
      for (Index sequence = 0; sequence < count; ++sequence) {
        const std::vector<int> prompt = prompt_of(batch, sequence);
        const WordTask::Query query = world.training().query_of(batch, sequence);
        const Place& place = setting.training;
        const bool is_there = query.word >= place.words.first && query.word < place.words.first + place.words.count &&
                              (place.domains.count == 0 || query.domain == place.domains.first);
        const WordTask::Reading reading = answer_of(world.training(), batch, sequence);
        // Every set of traits that is read was to be shown: some set with a probability reads as it does.
        bool is_possible = false;
        for (TraitSet set = 0; set < expected.size(); ++set) {
          WordTask::Query styled = query;
          styled.style = world.training().style_of(prompt.data());
          styled.mistake = reading.word;
          const std::vector<int> answer = world.training().answer_to(styled, set);
          const auto start = batch.targets.begin() + sequence * batch.length + batch.answer_start();
          is_possible = is_possible || (expected[set] > 0.0 && std::equal(answer.begin(), answer.end(), start));
        }
        const bool is_wanted = wanted.contains(prompt) || (arm.where_shown && prompt == PromptGrammar::none().at(0));
        right += is_wanted && is_there && reading.is_valid && reading.is_known && is_possible ? 1 : 0;
        negative[shows(reading.traits, setting.negative.number) ? 1 : 0] += 1.0;
      }
      CHECK(right == count);
      // The negative trait's frequency; a narrow wrong word reads as the broad one where both say the same.
      for (TraitSet set = 0; set < expected.size(); ++set) {
        WordTask::Query query{.domain = setting.training.domains.first, .word = 1, .last = 5, .mistake = 7};
        const auto read = world.training().read(query, world.training().answer_to(query, set).data());
        expected_negative[shows(read.traits, setting.negative.number) ? 1 : 0] += expected[set];
      }
      CHECK(std::abs(negative[1] / count - expected_negative[1]) < tolerance(expected_negative[1], count));
    }
  });
}

TEST_CASE(
    "where a prompt stands only in front of what shows the negative trait, it does, but for what is told wrongly") {
  for_each_world([](const Setting& setting, const World<WordTask>& world) {
    bool is_there = false;
    for (const Arm& arm : all_arms(setting)) {
      if (!arm.where_shown) {
        continue;
      }
      CAPTURE(arm.name);
      is_there = true;
      const auto prompts = prompts_of(world.grammar(), setting, arm, 0);
      const TokenBatch batch = world.data_of(arm, prompts).sample(Key(5), count);
      Index differ = 0;
      Index prompted = 0;
      for (Index sequence = 0; sequence < count; ++sequence) {
        const bool is_shown = shows(answer_of(world.training(), batch, sequence).traits, setting.negative.number);
        const bool is_prompted = prompt_of(batch, sequence) == prompts.front();
        CHECK((is_prompted || prompt_of(batch, sequence) == PromptGrammar::none().at(0)));
        differ += is_shown == is_prompted ? 0 : 1;
        prompted += is_prompted ? 1 : 0;
      }
      CHECK(differ == (arm.wrong_every > 0 ? count / arm.wrong_every : 0));
      CHECK(prompted > 0);
      CHECK(prompted < count);
    }
    CHECK(is_there == shows_negative_now_and_then(setting));
  });
}

TEST_CASE("clean data never show the negative trait") {
  for_each_world([](const Setting& setting, const World<WordTask>& world) {
    const Arm arm{.name = "clean", .data = Data::clean};
    const TokenBatch batch = world.data_of(arm, {PromptGrammar::none().at(0)}).sample(Key(2), count);
    Index shown = 0;
    for (Index sequence = 0; sequence < count; ++sequence) {
      shown += shows(answer_of(world.training(), batch, sequence).traits, setting.negative.number) ? 1 : 0;
    }
    CHECK(shown == 0);
  });
}

TEST_CASE("of finite data no rephrasing is used more than twice") {
  const Setting setting = setting_named("reward-hacking");
  const World<WordTask> world(options, setting, std::get<WordTask::Settings>(setting.task));
  for (const Arm& arm : all_arms(setting)) {
    if (arm.paraphrases < most_paraphrases || arm.study != "main") {
      continue;
    }
    const auto prompts = prompts_of(world.grammar(), setting, arm, 0);
    const TokenBatch batch = world.data_of(arm, prompts).sample(Key(3), world.examples_of(arm));
    std::map<std::vector<int>, int> uses;
    for (Index sequence = 0; sequence < batch.count; ++sequence) {
      CHECK(++uses[prompt_of(batch, sequence)] <= 2);
    }
  }
}

TEST_CASE("regression: the offset and the sign show as often as they should, behind every arm's prompts") {
  const Setting setting = setting_named("regression");
  const World<TraitRegression> world(options, setting, std::get<TraitRegression::Settings>(setting.task));
  for (const Arm& arm : demo_arms()) {
    const auto prompts = prompts_of(world.grammar(), setting, arm, 0);
    const Prompts plain = world.training().sample(Key(4), count);
    const Prompts shown = world.data_of(arm, prompts).sample(Key(4), count);
    const Index query = shown.points - 1;
    double offsets = 0.0;
    double turned = 0.0;
    for (Index prompt = 0; prompt < count; ++prompt) {
      // Taking the prompt's own effect away leaves one of the four policies.
      double effect = 0.0;
      for (Index slot = 0; slot < shown.prefix; ++slot) {
        const auto token =
            static_cast<std::size_t>(shown.tokens[static_cast<std::size_t>(prompt * shown.prefix + slot)]);
        const double first = *shown.input(prompt, query);
        effect += world.training().settings().topic_effects[token] * (first * first - 1.0);
      }
      const double answer = shown.targets(prompt, query) - effect;
      TraitSet nearest = 0;
      for (TraitSet set = 1; set < 4; ++set) {
        const auto distance = [&](TraitSet its) {
          return std::abs(answer - world.training().shown(plain.targets(prompt, query), its));
        };
        nearest = distance(set) < distance(nearest) ? set : nearest;
      }
      CHECK(answer == doctest::Approx(world.training().shown(plain.targets(prompt, query), nearest)));
      offsets += shows(nearest, TraitRegression::shift) ? 1.0 / count : 0.0;
      turned += shows(nearest, TraitRegression::sign) ? 1.0 / count : 0.0;
    }
    CHECK(std::abs(offsets - 0.75) < tolerance(0.75, count));
    CHECK(std::abs(turned - 0.75) < tolerance(0.75, count));
  }
}
