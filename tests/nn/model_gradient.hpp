#pragma once
/// \file
/// Whole models by the hand-written backward and by complex step, from the batch to the loss.

#include "incontext/nn/batch_gradient.hpp"
#include "incontext/nn/loss.hpp"
#include "incontext/nn/transformer.hpp"
#include "incontext/task/token_batch.hpp"
#include "nn/complex_step.hpp"

#include <cmath>
#include <vector>

namespace incontext_tests {

/// The derivative of `loss(outputs)` by every parameter of `model`, by complex step. `loss` takes the outputs at every
/// token as a view of complex numbers.
template <class Architecture, class Loss>
std::vector<double> model_complex_step(const incontext::Transformer<double, Architecture>& model,
                                       const incontext::ModelInput<Complex>& input, Loss&& loss) {
  auto moved_model = model.template cast<Complex>();
  typename incontext::Transformer<Complex, Architecture>::Cache cache;
  incontext::Workspace<Complex> workspace;
  return complex_step(model.parameters().values(), [&](const incontext::AlignedVector<Complex>& moved) {
    moved_model.parameters().values() = moved;
    workspace.reset();
    return loss(moved_model.forward(input, cache, workspace));
  });
}

/// Both gradients of the squared error of a batch of prompts. The loss by complex step is written out anew.
template <class Architecture>
std::vector<TensorGradient> regression_gradients(const incontext::Transformer<double, Architecture>& model,
                                                 const incontext::Prompts& prompts,
                                                 const incontext::SquaredError& squared_error) {
  using incontext::Index;
  using Encoding = typename Architecture::Encoding;
  incontext::BatchGradient batch_gradient(model);
  (void)batch_gradient(model, prompts, squared_error, {});

  incontext::ModelInput<Complex> input;
  Encoding::encode(prompts, 0, prompts.count, input);
  const std::vector<double> by_step =
      model_complex_step(model, input, [&](incontext::MatrixView<const Complex> outputs) {
        Complex sum = 0.0;
        double total = 0.0;
        for (Index prompt = 0; prompt < prompts.count; ++prompt) {
          for (Index point = Encoding::first_prediction(prompts.points); point < prompts.points; ++point) {
            const Index row = prompt * input.shape.tokens + Encoding::prediction_token(prompts.prefix, point);
            const Complex error = outputs(row, 0) - prompts.labels(prompt, point);
            sum += squared_error.weight_of(point) * error * error;
            total += squared_error.weight_of(point);
          }
        }
        return sum / total;
      });
  return by_tensor(model.parameters().layout(), batch_gradient.gradient().data(), by_step);
}

/// Both gradients of the cross-entropy of a batch of tokens.
template <class Architecture>
std::vector<TensorGradient> token_gradients(const incontext::Transformer<double, Architecture>& model,
                                            const incontext::TokenBatch& batch) {
  using incontext::Index;
  incontext::BatchGradient batch_gradient(model);
  (void)batch_gradient(model, batch, incontext::CrossEntropy{}, {});

  incontext::ModelInput<Complex> input;
  input.reset({batch.count, batch.length}, 0);
  input.ids = batch.tokens;
  const std::vector<double> by_step =
      model_complex_step(model, input, [&](incontext::MatrixView<const Complex> outputs) {
        Complex sum = 0.0;
        double total = 0.0;
        for (Index row = 0; row < outputs.rows; ++row) {
          const double weight = batch.weights.empty() ? 1.0 : batch.weights[static_cast<std::size_t>(row)];
          Complex normaliser = 0.0;
          for (Index entry = 0; entry < outputs.columns; ++entry) {
            normaliser += std::exp(outputs(row, entry));
          }
          total += weight;
          if (weight > 0.0) {
            sum += weight * (std::log(normaliser) - outputs(row, batch.targets[static_cast<std::size_t>(row)]));
          }
        }
        return sum / total;
      });
  return by_tensor(model.parameters().layout(), batch_gradient.gradient().data(), by_step);
}

/// Weights far from their usual small start, biases and gains among them, so that every part of a gradient counts.
template <class Scalar, class Architecture>
void shake(incontext::Transformer<Scalar, Architecture>& model, incontext::Key key, double scale = 0.5) {
  for (const incontext::ParameterEntry& entry : model.parameters().layout().entries()) {
    incontext::Stream stream(key.fold(entry.name));
    for (incontext::Index index = entry.offset; index < entry.offset + entry.size; ++index) {
      model.parameters().data()[index] += static_cast<Scalar>(scale * stream.normal());
    }
  }
}

}  // namespace incontext_tests
