#pragma once
/// The claims of the study: each with the sign that was expected before the run, and how it is read off the table.

#include "../shared/claim.hpp"
#include "settings.hpp"
#include "table.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace translation {

using namespace studies;

/// The share of right answers, drawn with the model's probabilities, of a predictor that knows the pretraining
/// distribution. Only where the exemplars answer the query is there a doubt, and nothing but the shares of the skills
/// decides it; that a few words may leave the language open, too, is not in it.
struct BayesAccuracy {
  explicit BayesAccuracy(const Settings& settings) {
    const double doubtful = settings.dictionary_weight * settings.conflict;
    exemplars = (1.0 - settings.dictionary_weight) / (1.0 - settings.dictionary_weight + doubtful);
    dictionary = 1.0 - settings.conflict + settings.conflict * (1.0 - exemplars);
  }
  double exemplars = 0.0;   ///< on prompts whose exemplars are right
  double dictionary = 0.0;  ///< on prompts whose dictionary is right
};

/// The claims 1 to 7 of the study, for the settings that it ran with. Accuracies are shares of 0 to 1.
inline std::vector<Claim> claims_of(const Settings& settings, const Table& table) {
  std::vector<Claim> claims;
  const auto add = [&](std::string number, std::string statement, Expected expected,
                       std::function<double(std::uint64_t)> estimate, double bound = 0.0) {
    claims.push_back({std::move(number), std::move(statement), expected, "", std::move(estimate), bound});
  };
  const std::string pretrained = "pretrained";
  const std::string tuned = "fine-tuned";
  const std::string tuned_in_all = "fine-tuned in all";
  const std::string tuned_in_distant = "fine-tuned in the most distant";
  const std::vector<double> others = settings.similarities;
  const std::vector<double> partly = settings.partly_similar();
  const double distant = settings.most_distant();

  const auto accuracy = [&table](std::uint64_t seed, const std::string& stage, const std::string& skill,
                                 double language, const std::string& translation = no_translation) {
    return table.at({seed, stage, skill, language, translation, "accuracy"});
  };
  // What fine-tuning took from the answers by exemplars.
  const auto drop = [accuracy, pretrained, tuned](std::uint64_t seed, double language) {
    return accuracy(seed, pretrained, "exemplars", language) - accuracy(seed, tuned, "exemplars", language);
  };
  // What a translation of prompts of language 1 adds to the answers by exemplars.
  const auto gain = [accuracy](std::uint64_t seed, const std::string& stage, const std::string& translation) {
    return accuracy(seed, stage, "exemplars", 1.0, translation) - accuracy(seed, stage, "exemplars", 1.0);
  };

  // 1: what pretraining has to reach before a number on forgetting means anything.
  const BayesAccuracy bayes(settings);
  const auto shortfall = [accuracy, pretrained, others](std::string skill, double best) {
    return [=](std::uint64_t seed) {
      double largest = best - accuracy(seed, pretrained, skill, 1.0);
      for (const double language : others) {
        largest = (std::max)(largest, best - accuracy(seed, pretrained, skill, language));
      }
      return largest;
    };
  };
  add("1a", "Pretrained, answers by exemplars: the largest shortfall from the Bayes-optimal accuracy, of all languages",
      Expected::small, shortfall("exemplars", bayes.exemplars), 0.05);
  add("1b", "... and answers by the dictionary", Expected::small, shortfall("dictionary", bayes.dictionary), 0.05);

  // 2: forgetting in the language of fine-tuning.
  add("2a", "Fine-tuning on the dictionary in language 1 raises the accuracy of its answers there", Expected::positive,
      [=](std::uint64_t seed) {
        return accuracy(seed, tuned, "dictionary", 1.0) - accuracy(seed, pretrained, "dictionary", 1.0);
      });
  add("2b", "Forgetting: it lowers the accuracy of answers by exemplars in language 1", Expected::negative,
      [=](std::uint64_t seed) { return -drop(seed, 1.0); });
  add("2c", "... where answers of the dictionary take their place (rise of their share)", Expected::positive,
      [=, &table](std::uint64_t seed) {
        const auto share = [&](const std::string& stage) {
          return table.at({seed, stage, "exemplars", 1.0, no_translation, "answers by dictionary"});
        };
        return share(tuned) - share(pretrained);
      });

  // 3: forgetting by similarity to the language of fine-tuning.
  add("3a", "The accuracy drops by more in language 1 than in the most distant language", Expected::positive,
      [=](std::uint64_t seed) { return drop(seed, 1.0) - drop(seed, distant); });
  add("3b", "Among the other languages the drop rises with similarity to language 1 (slope)", Expected::positive,
      [=](std::uint64_t seed) {
        std::vector<double> drops;
        for (const double language : others) {
          drops.push_back(drop(seed, language));
        }
        return fit_line(others, drops).slope;
      });
  const auto over_partly = [&table, partly, tuned](std::string metric) {
    return [=, &table](std::uint64_t seed) {
      std::vector<double> values;
      for (const double language : partly) {
        values.push_back(table.at({seed, tuned, "exemplars", language, no_translation, metric}));
      }
      return mean(values);
    };
  };
  add("3c", "In one language, prompts with more words of language 1 lose more (rank correlation, mean over languages)",
      Expected::positive, over_partly("rank correlation of drop and shared words"));
  add("3d", "... and prompts whose query is a word of language 1 more than others (difference of probability drops)",
      Expected::positive, over_partly("probability drop by a shared query"));

  // 4: recovery.
  for (const double language : others) {
    add("4a", "Recovery: translating " + translation_to(language) + " raises the accuracy of answers by exemplars",
        Expected::positive, [=](std::uint64_t seed) { return gain(seed, tuned, translation_to(language)); });
  }
  add("4b", "... the share of the drop that translating to the most distant language brings back", Expected::open,
      [=](std::uint64_t seed) { return gain(seed, tuned, translation_to(distant)) / drop(seed, 1.0); });
  add("4c", "The price: that translation lowers the fine-tuned model's accuracy of answers by the dictionary",
      Expected::negative, [=](std::uint64_t seed) {
        return accuracy(seed, tuned, "dictionary", 1.0, translation_to(distant)) -
               accuracy(seed, tuned, "dictionary", 1.0);
      });

  // 5: controls of the translation.
  add(
      "5a", "Control: the round trip costs the pretrained model nothing (largest change, all languages, both skills)",
      Expected::small,
      [=](std::uint64_t seed) {
        double largest = 0.0;
        for (const double language : others) {
          for (const std::string skill : {"exemplars", "dictionary"}) {
            largest = (std::max)(largest, std::abs(accuracy(seed, pretrained, skill, 1.0, translation_to(language)) -
                                                   accuracy(seed, pretrained, skill, 1.0)));
          }
        }
        return largest;
      },
      0.05);
  add("5b", "Control: translating to the most distant language gains less on the pretrained model (difference)",
      Expected::positive, [=](std::uint64_t seed) {
        return gain(seed, tuned, translation_to(distant)) - gain(seed, pretrained, translation_to(distant));
      });
  add(
      "5c", "Control: asked in translation is asked in that language (largest difference of accuracies)",
      Expected::small,
      [=](std::uint64_t seed) {
        double largest = 0.0;
        for (const double language : others) {
          for (const std::string skill : {"exemplars", "dictionary"}) {
            largest = (std::max)(largest, std::abs(accuracy(seed, tuned, skill, 1.0, translation_to(language)) -
                                                   accuracy(seed, tuned, skill, language)));
          }
        }
        return largest;
      },
      1e-12);

  // 6: controls of what is translated to, and of what was fine-tuned.
  add(
      "6a", "Control: permuting the words of language 1 recovers nothing (change of accuracy)", Expected::small,
      [=](std::uint64_t seed) { return gain(seed, tuned, permutation_of_words); }, 0.05);
  add("6b", "Control: translating to a language without pretraining lowers the pretrained model's accuracy",
      Expected::negative, [=](std::uint64_t seed) { return gain(seed, pretrained, unknown_language); });
  add("6c", "Control: fine-tuned in all languages, translating to the most distant gains less (difference of gains)",
      Expected::positive, [=](std::uint64_t seed) {
        return gain(seed, tuned, translation_to(distant)) - gain(seed, tuned_in_all, translation_to(distant));
      });

  // Added when a trial (seed 100, whose numbers are in no result) had shown what is wrong with the control 6a: where a
  // random permutation turns the exemplars' answer into the dictionary's, which happens once in as many prompts as
  // there are words, the dictionary is right. Taking every word for the dictionary's answer to it avoids that: it
  // leaves the distribution of prompts as it is, and both answers right.
  add(
      "6d", "Control: taking every word of language 1 for the dictionary's answer to it recovers nothing (change)",
      Expected::small, [=](std::uint64_t seed) { return gain(seed, tuned, dictionary_of_words); }, 0.05);

  // Added with 6d: pretraining shows the words of language 1 more often, since others share them, so it must not be
  // that its accuracy falls most whatever is fine-tuned.
  add("6e", "Control: fine-tuned in the most distant language instead, the accuracy drops by more there",
      Expected::positive, [=](std::uint64_t seed) {
        const auto drop_there = [&](double language) {
          return accuracy(seed, pretrained, "exemplars", language) -
                 accuracy(seed, tuned_in_distant, "exemplars", language);
        };
        return drop_there(distant) - drop_there(1.0);
      });

  // 7: a translator that knows only some of the words.
  add("7a", "Recovery rises with the share of words that are translated (slope, none and all included)",
      Expected::positive, [=](std::uint64_t seed) {
        std::vector<double> shares = {0.0, 1.0};
        std::vector<double> gains = {0.0, gain(seed, tuned, translation_to(distant))};
        for (const double language : partly) {
          shares.push_back(1.0 - language);
          gains.push_back(gain(seed, tuned, partial_translation(1.0 - language)));
        }
        return fit_line(shares, gains).slope;
      });
  add("7b", "With as many words of language 1 left, a language seen in pretraining recovers more than mixed words",
      Expected::open, [=](std::uint64_t seed) {
        std::vector<double> differences;
        for (const double language : partly) {
          differences.push_back(gain(seed, tuned, translation_to(language)) -
                                gain(seed, tuned, partial_translation(1.0 - language)));
        }
        return mean(differences);
      });
  return claims;
}

}  // namespace translation
