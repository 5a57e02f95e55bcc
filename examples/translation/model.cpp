#include "model.hpp"

template class incontext::Transformer<float>;
template class incontext::BatchGradient<float, incontext::Gpt2>;
template double incontext::BatchGradient<float, incontext::Gpt2>::operator()(const translation::Model& model,
                                                                             const incontext::TokenBatch& batch,
                                                                             const incontext::CrossEntropy& loss,
                                                                             incontext::ExecutorReference executor);
