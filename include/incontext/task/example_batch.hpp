#pragma once
/// \file
/// The media: what tasks sample, maps transform and models train on.

#include "incontext/task/prompts.hpp"
#include "incontext/task/token_batch.hpp"

#include <concepts>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// A batch of examples of one medium: `Prompts` for in-context regression, `TokenBatch` for sequences over a
/// vocabulary. Instruction tokens go in front of either, examples are copied from batch to batch, and there is a kind
/// of prediction that belongs to it.
template <class Type>
concept ExampleBatch = std::copyable<Type> &&
    requires(const Type& batch, Type& changed, const std::vector<int>& instructions, Index number) {
  typename Type::predictions_type;
  { batch.count } -> std::convertible_to<Index>;
  { batch.prefix } -> std::convertible_to<Index>;
  { batch.key } -> std::convertible_to<Key>;
  { batch.instruction(number) } -> std::same_as<const int*>;
  { batch.resized(number) } -> std::same_as<Type>;
  { batch.slice(number, number) } -> std::same_as<Type>;
  {batch.check_mixable(batch)};
  {changed.replace(number, batch, number)};
  {changed.put_in_front(instructions, number)};
  {changed.drop_front(number)};
};
static_assert(ExampleBatch<Prompts> && ExampleBatch<TokenBatch>);

/// What a predictor says to a batch.
template <ExampleBatch Kind>
using PredictionsOf = typename Kind::predictions_type;

INCONTEXT_NAMESPACE_END
