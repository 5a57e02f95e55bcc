// Dense decompositions take long to compile: once, here, for all predictors.
#include "properties.hpp"

namespace predictor_properties {

DenseLeastSquares::DenseLeastSquares(const Prompts& prompts, Index prompt, Index exemplars, double regularisation) {
  const Index dimension = prompts.dimension;
  const Index rows = exemplars + dimension;
  Eigen::MatrixXd matrix = Eigen::MatrixXd::Zero(rows, dimension);
  matrix.topRows(exemplars) = prompts.inputs_of(prompt).topRows(exemplars);
  matrix.bottomRows(dimension).diagonal().setConstant(regularisation);
  Vector right = Vector::Zero(rows);
  right.head(exemplars) = prompts.labels.row(prompt).head(exemplars).transpose();
  if (matrix.cwiseAbs().maxCoeff() == 0.0) {
    weights = Vector::Zero(dimension);
    return;
  }
  const Eigen::CompleteOrthogonalDecomposition<Eigen::MatrixXd> decomposition(matrix);
  weights = decomposition.solve(right);

  // Wedin's bound on the solution under a relative perturbation eta of the matrix (Higham 2002, theorem 20.1; twice
  // the norm of w becomes three times where the rank is not full): eta kappa (3 ||w|| + (kappa + 1) ||r|| / ||A||).
  // Each entry passes at most rows + dimension rotations or reflections of 4 epsilon each; their errors add up over
  // the sqrt(dimension) between a spectral and a Frobenius norm; and there are two solvers.
  const Vector values = Eigen::JacobiSVD<Eigen::MatrixXd>(matrix).singularValues();
  const double condition = values[0] / values[decomposition.rank() - 1];
  const double eta = 2.0 * 4.0 * static_cast<double>(rows + dimension) * std::sqrt(dimension) * epsilon;
  const double residual = (right - matrix * weights).norm() + eta * right.norm();
  weight_error = eta * condition * (3.0 * weights.norm() + (condition + 1.0) * residual / values[0]);
}

}  // namespace predictor_properties
