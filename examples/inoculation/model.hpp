#pragma once
/// The model of the study. Its code, the larger part of what a training program consists of, is compiled once, in a
/// translation unit of its own.

#include <incontext/nn/batch_gradient.hpp>

namespace inoculation {

using Model = incontext::Transformer<float>;
using ModelGradient = incontext::BatchGradient<float, incontext::Gpt2>;

}  // namespace inoculation

extern template class incontext::Transformer<float>;
extern template class incontext::BatchGradient<float, incontext::Gpt2>;
extern template double inoculation::ModelGradient::operator()(const inoculation::Model& model,
                                                              const incontext::Prompts& batch,
                                                              const incontext::SquaredError& loss,
                                                              incontext::ExecutorReference executor);
extern template double inoculation::ModelGradient::operator()(const inoculation::Model& model,
                                                              const incontext::TokenBatch& batch,
                                                              const incontext::CrossEntropy& loss,
                                                              incontext::ExecutorReference executor);
