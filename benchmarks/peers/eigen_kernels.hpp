#pragma once
// The kernels of a training step as Eigen has them: whole expressions on row-major matrices, with temporaries that the
// caller keeps. What kernels.cpp compares ours with, in result and time.

#include <Eigen/Dense>

#include <cmath>
#include <cstddef>
#include <vector>

namespace eigen_kernels {

using Eigen::Index;
using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Row = Eigen::RowVectorXf;
using Column = Eigen::VectorXf;
// Contiguous rows; a block of columns is one, too.
using Input = const Eigen::Ref<const Matrix, 0, Eigen::OuterStride<>>&;
using Output = Eigen::Ref<Matrix, 0, Eigen::OuterStride<>>;
using RowInput = const Eigen::Ref<const Row>&;
using RowOutput = Eigen::Ref<Row>;

// C = A B.
inline void multiply(Input a, Input b, Output c) { c.noalias() = a * b; }

// C += A'B.
inline void add_transposed_product(Input a, Input b, Output c) { c.noalias() += a.transpose() * b; }

inline constexpr float root_two_over_pi = 0.797884560802865356F;
inline constexpr float cubic = 0.044715F;

// GELU by its tanh approximation.
inline void gelu(Input x, Output y) {
  const auto u = root_two_over_pi * (x.array() + cubic * x.array().cube());
  y.array() = 0.5F * x.array() * (1.0F + u.tanh());
}

// GELU times its derivative; `gate` has the shape of x.
inline void gelu_times_derivative(Input x, Output gate, Output y) {
  const auto u = root_two_over_pi * (x.array() + cubic * x.array().cube());
  const auto slope = root_two_over_pi * (1.0F + 3.0F * cubic * x.array().square());
  gate.array() = u.tanh();
  const auto both = 0.5F * (1.0F + gate.array());
  y.array() = x.array() * both * (both + 0.5F * x.array() * (1.0F - gate.array().square()) * slope);
}

// Row r of the scores, [tokens, tokens or more], becomes softmax(scale * its first r + 1 numbers), then zeros.
inline void causal_softmax(float scale, Output scores) {
  for (Index row = 0; row < scores.rows(); ++row) {
    auto seen = scores.row(row).head(row + 1).array();
    seen = (scale * (seen - seen.maxCoeff())).exp();
    seen /= seen.sum();
    scores.row(row).tail(scores.cols() - row - 1).setZero();
  }
}

// The gradient of the weights becomes that of the scores, in place.
inline void causal_softmax_backward(float scale, Input weights, Output d_weights) {
  for (Index row = 0; row < weights.rows(); ++row) {
    const auto seen = weights.row(row).head(row + 1).array();
    auto d_seen = d_weights.row(row).head(row + 1).array();
    const float mean = (d_seen * seen).sum();
    d_seen = scale * seen * (d_seen - mean);
    d_weights.row(row).tail(weights.cols() - row - 1).setZero();
  }
}

// y = gain * (x - mean) / sqrt(variance + epsilon) + bias for every row, and its backward.
struct LayerNorm {
  Matrix normalised;  // [rows, width]
  Matrix d_normalised;
  Column mean;
  Column inverse;  // 1 / deviation
  Column mean_of_product;

  LayerNorm(Index rows, Index width)
      : normalised(rows, width), d_normalised(rows, width), mean(rows), inverse(rows), mean_of_product(rows) {}

  void forward(Input x, RowInput gain, RowInput bias, Output y) {
    constexpr float epsilon = 1e-5F;
    mean = x.rowwise().mean();
    normalised = x.colwise() - mean;
    inverse = (normalised.array().square().rowwise().mean() + epsilon).rsqrt();
    normalised.array().colwise() *= inverse.array();
    y = (normalised.array().rowwise() * gain.array()).matrix().rowwise() + bias;
  }
  void backward(Input d_y, RowInput gain, Output d_x, RowOutput d_gain, RowOutput d_bias) {
    d_gain += d_y.cwiseProduct(normalised).colwise().sum();
    d_bias += d_y.colwise().sum();
    d_normalised = d_y.array().rowwise() * gain.array();
    mean = d_normalised.rowwise().mean();
    mean_of_product = d_normalised.cwiseProduct(normalised).rowwise().mean();
    d_x = ((d_normalised.colwise() - mean).array() - normalised.array().colwise() * mean_of_product.array()).colwise() *
          inverse.array();
  }
};

// Both moments and the direction of Adam (Kingma and Ba 2015), in place of the gradients.
inline void adam(Index step, RowOutput first, RowOutput second, RowOutput gradients) {
  constexpr float first_decay = 0.9F;
  constexpr float second_decay = 0.999F;
  constexpr float epsilon = 1e-8F;
  const auto corrected = [step](double decay) {
    return static_cast<float>(1.0 / (1.0 - std::pow(decay, static_cast<double>(step + 1))));
  };
  const float first_correction = corrected(0.9);
  const float second_correction = corrected(0.999);
  auto g = gradients.array();
  auto m = first.array();
  auto v = second.array();
  m = first_decay * m + (1.0F - first_decay) * g;
  v = second_decay * v + (1.0F - second_decay) * g.square();
  g = first_correction * m / ((second_correction * v).sqrt() + epsilon);
}

// An affine layer, y = x W + b: views of its parameters, and their gradients.
struct Affine {
  Eigen::Map<const Matrix> weight;
  Eigen::Map<const Row> bias;
  Eigen::Map<Matrix> d_weight;
  Eigen::Map<Row> d_bias;

  void forward(Input x, Output y) const {
    y.noalias() = x * weight;
    y.rowwise() += bias;
  }
  void backward(Input x, Input d_y, Output d_x) {
    d_weight.noalias() += x.transpose() * d_y;
    d_bias += d_y.colwise().sum();
    d_x.noalias() = d_y * weight.transpose();
  }
};

// Causal self-attention of several heads: a layer for queries, keys and values side by side, and a projection. Products
// with triangular views, which leave out what the mask hides, take no less time in Eigen.
struct Attention {
  Index tokens;
  Index heads;
  Affine joint;
  Affine projection;
  Matrix qkv;  // [rows, 3 * width]
  Matrix d_qkv;
  Matrix mixed;  // [rows, width]
  Matrix d_mixed;
  std::vector<Matrix> weights;  // of every head of every sequence, [tokens, tokens]
  Matrix d_weights;

  Attention(Index sequences, Index tokens_in, Index width, Index heads_in, const Affine& joint_in,
            const Affine& projection_in)
      : tokens(tokens_in),
        heads(heads_in),
        joint(joint_in),
        projection(projection_in),
        qkv(sequences * tokens, 3 * width),
        d_qkv(sequences * tokens, 3 * width),
        mixed(sequences * tokens, width),
        d_mixed(sequences * tokens, width),
        weights(static_cast<std::size_t>(sequences * heads), Matrix(tokens, tokens)),
        d_weights(tokens, tokens) {}

  void forward(Input x, Output y) {
    joint.forward(x, qkv);
    for_each_head([&](Matrix& attended, Index row, Index column) {
      attended.noalias() = part(qkv, row, column, 0) * part(qkv, row, column, 1).transpose();
      causal_softmax(scale(), attended);
      part(mixed, row, column, 0).noalias() = attended * part(qkv, row, column, 2);
    });
    projection.forward(mixed, y);
  }
  void backward(Input x, Input d_y, Output d_x) {
    projection.backward(mixed, d_y, d_mixed);
    for_each_head([&](const Matrix& attended, Index row, Index column) {
      const auto d_head = part(d_mixed, row, column, 0);
      part(d_qkv, row, column, 2).noalias() = attended.transpose() * d_head;
      d_weights.noalias() = d_head * part(qkv, row, column, 2).transpose();
      causal_softmax_backward(scale(), attended, d_weights);
      part(d_qkv, row, column, 0).noalias() = d_weights * part(qkv, row, column, 1);
      part(d_qkv, row, column, 1).noalias() = d_weights.transpose() * part(qkv, row, column, 0);
    });
    joint.backward(x, d_qkv, d_x);
  }

 private:
  [[nodiscard]] Index head_size() const { return mixed.cols() / heads; }
  [[nodiscard]] float scale() const { return 1.0F / std::sqrt(static_cast<float>(head_size())); }
  // Queries, keys or values, 0 to 2, of the head that begins at a column.
  [[nodiscard]] Eigen::Block<Matrix> part(Matrix& matrix, Index row, Index column, Index which) const {
    return matrix.block(row, which * mixed.cols() + column, tokens, head_size());
  }
  // Calls `function` with the weights of every head, its first row and its first column.
  template <class Function>
  void for_each_head(const Function& function) {
    std::size_t number = 0;
    for (Index row = 0; row < mixed.rows(); row += tokens) {
      for (Index column = 0; column < mixed.cols(); column += head_size()) {
        function(weights[number++], row, column);
      }
    }
  }
};

}  // namespace eigen_kernels
