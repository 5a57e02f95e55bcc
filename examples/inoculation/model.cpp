#include "model.hpp"

template class incontext::Transformer<float>;
template class incontext::BatchGradient<float, incontext::Gpt2>;
template double inoculation::ModelGradient::operator()(const inoculation::Model& model, const incontext::Prompts& batch,
                                                       const incontext::SquaredError& loss,
                                                       incontext::ExecutorReference executor);
template double inoculation::ModelGradient::operator()(const inoculation::Model& model,
                                                       const incontext::TokenBatch& batch,
                                                       const incontext::CrossEntropy& loss,
                                                       incontext::ExecutorReference executor);
