#pragma once
/// The model of the study. Its code, the larger part of what a training program consists of, is compiled once, in a
/// translation unit of its own.

#include <incontext/nn/batch_gradient.hpp>

namespace translation {

using Model = incontext::Transformer<float>;

}  // namespace translation

extern template class incontext::Transformer<float>;
extern template class incontext::BatchGradient<float, incontext::Gpt2>;
extern template double incontext::BatchGradient<float, incontext::Gpt2>::operator()(
    const translation::Model& model, const incontext::TokenBatch& batch, const incontext::CrossEntropy& loss,
    incontext::ExecutorReference executor);
