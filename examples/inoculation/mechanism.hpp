#pragma once
/// What a prompt does inside a model: how much of it comes along when the residual stream of a prompted run is put, at
/// one layer and some positions, in the place of an unprompted one's.

#include <incontext/nn/transformer.hpp>
#include <incontext/probe/patching.hpp>
#include <incontext/task/prompt_grammar.hpp>
#include <incontext/task/word_task.hpp>

#include <cmath>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace inoculation {

using namespace incontext;

/// Positions that are patched together.
struct Positions {
  std::string name;
  std::vector<Index> tokens;
};

/// The instructions; the query but for its last word; the last word, which is where an answer is said, and the answer.
inline std::vector<Positions> positions_of(const TokenBatch& batch) {
  const auto range = [](Index first, Index last) {
    std::vector<Index> tokens(static_cast<std::size_t>(last - first));
    std::iota(tokens.begin(), tokens.end(), first);
    return tokens;
  };
  const Index start = batch.answer_start();
  return {{"prompt", range(0, batch.prefix)},
          {"query", range(batch.prefix, start)},
          {"answer", range(start, batch.length)}};
}

/// Mean log odds of a trait over queries: log p(answers that show it) - log p(answers that show nothing), each summed
/// over styles.
struct PatchedOdds {
  double plain = 0.0;     ///< without a prompt
  double prompted = 0.0;  ///< with it
  /// Without it, but with the prompted run's residual stream at these positions of this layer, [layers + 1][positions].
  std::vector<std::vector<double>> patched;
};

/// \param queries  queries behind a prompt each, [prompt_slots] tokens
template <class Model>
[[nodiscard]] PatchedOdds patched_odds(const Model& model, const WordTask& task, const TokenBatch& queries,
                                       Index trait) {
  using Scalar = typename Model::scalar_type;
  const std::vector<Positions> positions = positions_of(queries);
  const Index layers = model.settings().layers + 1;
  const auto count = static_cast<std::size_t>(queries.count);
  TokenBatch plain = queries;
  plain.drop_front(static_cast<Index>(prompt_slots));
  plain.put_in_front(std::vector<int>(count * prompt_slots, PromptGrammar::padding), static_cast<Index>(prompt_slots));

  // Likelihoods of answers without [0] and with [1] the trait, of every query, under every way to look at it.
  const std::size_t ways = 2 + static_cast<std::size_t>(layers) * positions.size();
  std::vector<std::vector<double>> likelihoods[2];
  for (auto& its_likelihoods : likelihoods) {
    its_likelihoods.assign(ways, std::vector<double>(count));
  }
  for (Index style = 0; style < task.settings().styles; ++style) {
    for (TraitSet shown = 0; shown < 2; ++shown) {
      TokenBatch with = queries;
      TokenBatch without = plain;
      for (Index sequence = 0; sequence < queries.count; ++sequence) {
        WordTask::Query query = task.query_of(queries, sequence);
        query.style = style;
        const std::vector<int> answer = task.answer_to(query, shown << trait);
        task.write(with, sequence, answer);
        task.write(without, sequence, answer);
      }
      std::size_t way = 0;
      const auto add = [&](const std::vector<double>& logs) {
        for (std::size_t sequence = 0; sequence < count; ++sequence) {
          likelihoods[shown][way][sequence] += std::exp(logs[sequence]);
        }
        ++way;
      };
      ResidualStream<Scalar> stream;
      add(log_likelihoods(model, without));
      add(log_likelihoods(model, with, stream));
      for (Index layer = 0; layer < layers; ++layer) {
        for (const Positions& where : positions) {
          add(log_likelihoods(model, without, Patch(stream, layer, where.tokens)));
        }
      }
    }
  }
  std::vector<double> odds;
  for (std::size_t way = 0; way < ways; ++way) {
    double sum = 0.0;
    for (std::size_t sequence = 0; sequence < count; ++sequence) {
      sum += std::log(likelihoods[1][way][sequence] / likelihoods[0][way][sequence]);
    }
    odds.push_back(sum / static_cast<double>(count));
  }
  PatchedOdds result{odds[0], odds[1], {}};
  for (std::size_t way = 2; way < ways; way += positions.size()) {
    result.patched.emplace_back(odds.begin() + static_cast<std::ptrdiff_t>(way),
                                odds.begin() + static_cast<std::ptrdiff_t>(way + positions.size()));
  }
  return result;
}

}  // namespace inoculation
