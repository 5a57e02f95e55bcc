#include "model.hpp"

template class incontext::Transformer<float>;
template class incontext::BatchGradient<float, incontext::Gpt2>;
template double incontext::BatchGradient<float, incontext::Gpt2>::operator()(const forgetting::Model& model,
                                                                             const incontext::Prompts& batch,
                                                                             const incontext::SquaredError& loss,
                                                                             incontext::ExecutorReference executor);
