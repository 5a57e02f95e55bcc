#pragma once
/// \file
/// The elementwise and rowwise kernels of a transformer. Each works on one contiguous row; each is analytic in its
/// inputs, so that the complex-step derivative passes through it.

#include "incontext/core/matrix.hpp"
#include "incontext/simd/batch.hpp"
#include "incontext/simd/exponential.hpp"
#include "incontext/simd/registers.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <cstddef>
#include <limits>

INCONTEXT_NAMESPACE_BEGIN

/// The real part, for comparisons that complex numbers do not have.
template <class Scalar>
[[nodiscard]] inline auto real_part(const Scalar& value) {
  if constexpr (std::is_floating_point_v<Scalar>) {
    return value;
  } else {
    return value.real();
  }
}

/// target += source.
template <class Scalar>
inline void add_row(Index count, const Scalar* source, Scalar* target) {
  transform_row(
      count, target, [](const auto& left, const auto& right) { return left + right; },
      static_cast<const Scalar*>(target), source);
}

/// target *= factor.
template <class Scalar>
inline void scale_row(Index count, Scalar factor, Scalar* target) {
  transform_row(
      count, target, [factor](const auto& value) { return value * factor; }, static_cast<const Scalar*>(target));
}

/// left = right, matrix by matrix of one shape.
template <class Scalar>
inline void copy_matrix(const MatrixView<const Scalar>& right, MatrixView<Scalar> left) {
  for (Index row = 0; row < left.rows; ++row) {
    copy_row<Scalar>(left.columns, right.row(row), left.row(row));
  }
}

/// left += right, matrix by matrix of one shape.
template <class Scalar>
inline void add_matrix(const MatrixView<const Scalar>& right, MatrixView<Scalar> left) {
  for (Index row = 0; row < left.rows; ++row) {
    add_row(left.columns, right.row(row), left.row(row));
  }
}

/// Adds a row vector, [columns], to every row.
template <class Scalar>
inline void add_bias(const Scalar* bias, const MatrixView<Scalar>& matrix) {
  for (Index row = 0; row < matrix.rows; ++row) {
    add_row(matrix.columns, bias, matrix.row(row));
  }
}

/// Adds the column sums of a matrix to a row vector: the backward of `add_bias`. The sums of several registers of
/// columns stay in registers while the rows run by, and do not wait for each other.
template <class Scalar>
inline void add_column_sums(const MatrixView<const Scalar>& matrix, Scalar* sums) {
  for_each_registers<Scalar, 8>(matrix.columns, [&](const auto& lanes, Index column) {
    auto total = lanes.load(sums + column);
    for (Index row = 0; row < matrix.rows; ++row) {
      total = total + lanes.load(matrix.row(row) + column);
    }
    lanes.store(total, sums + column);
  });
}

/// Rows whose sums are taken together: as many as a register has lanes. In a sum over the lanes every step waits for
/// the one before; these rows share the steps, and their sums come out in one register.
template <class Scalar>
inline constexpr Index rows_together = batch_size<Scalar>;

/// A number for each of the rows that go together.
template <class Scalar>
using ScalarOfRows = std::array<Scalar, static_cast<std::size_t>(rows_together<Scalar>)>;

/// Sums over the columns of every row of `first`, of any number of rows, and of the others, which have its shape:
/// sums[n][row] is the n-th of the totals to which `accumulate(row, totals, value...)` adds, in the order of `sum_row`.
/// The lanes of a group of rows are summed while the next group runs.
template <class Scalar, std::size_t Sums, class Accumulate, class... Matrices>
inline void sum_rows(const std::array<Scalar*, Sums>& sums, const Accumulate& accumulate,
                     const MatrixView<const Scalar>& first, const Matrices&... others) {
  Index column = 0;
  if constexpr (is_vectorised<Scalar>) {
    constexpr Index lanes = batch_size<Scalar>;
    const Index whole = first.columns / lanes * lanes;
    for (Index start = 0; start < first.rows; start += rows_together<Scalar>) {
      const Index rows = (std::min)(rows_together<Scalar>, first.rows - start);
      Batch<Scalar> of_rows[Sums][static_cast<std::size_t>(rows_together<Scalar>)];
      for (Index row = 0; row < rows_together<Scalar>; ++row) {
        std::array<Batch<Scalar>, Sums> totals{};
        totals.fill(Batch<Scalar>(Scalar{}));
        for (column = 0; column < whole && row < rows; column += lanes) {
          accumulate(start + row, totals, load(first.row(start + row) + column),
                     load(others.row(start + row) + column)...);
        }
        for (std::size_t sum = 0; sum < Sums; ++sum) {
          of_rows[sum][row] = totals[sum];
        }
      }
      for (std::size_t sum = 0; sum < Sums; ++sum) {
        const Batch<Scalar> reduced = reduce_add_each<Scalar>(of_rows[sum]);
        for_each_register<Scalar>(rows, [&](const auto& part, Index) { part.store(reduced, sums[sum] + start); });
      }
    }
    column = whole;
  } else {
    for (Scalar* const of_rows : sums) {
      std::fill_n(of_rows, first.rows, Scalar{});
    }
  }
  for (; column < first.columns; ++column) {
    for (Index row = 0; row < first.rows; ++row) {
      std::array<Scalar, Sums> totals{};
      for (std::size_t sum = 0; sum < Sums; ++sum) {
        totals[sum] = sums[sum][row];
      }
      accumulate(row, totals, first(row, column), others(row, column)...);
      for (std::size_t sum = 0; sum < Sums; ++sum) {
        sums[sum][row] = totals[sum];
      }
    }
  }
}

/// A kernel that goes over its rows several times takes at most so many at once.
inline constexpr Index most_rows_of_sweep = 128;

/// A number for each of them.
template <class Scalar>
using ScalarOfSweep = std::array<Scalar, static_cast<std::size_t>(most_rows_of_sweep)>;

/// Rows that such a kernel takes at once: several groups of `rows_together` as long as all of them stay in the
/// first-level cache from one time to the next.
template <class Scalar>
[[nodiscard]] constexpr Index rows_of_sweep(Index columns) {
  constexpr Index scalars = (Index{1} << 14) / static_cast<Index>(sizeof(Scalar));
  const Index groups = scalars / ((std::max)(Index{1}, columns) * rows_together<Scalar>);
  return (std::clamp)(groups * rows_together<Scalar>, rows_together<Scalar>, most_rows_of_sweep);
}

/// Rows that go together, of which each is seen up to a column of its own. They go as far as the one that is seen
/// furthest, so that no branch depends on a row.
template <class Scalar>
class SeenRows {
 public:
  /// Row r of at most `rows` is seen in its first visible(r) columns of `columns`.
  template <class Visible>
  SeenRows(Index rows, Index columns, const Visible& visible)
      : rows_((std::min)(rows, rows_together<Scalar>)), columns_(columns) {
    Index furthest = 0;
    for (Index row = 0; row < rows_; ++row) {
      const Index count = visible(row);
      seen_[static_cast<std::size_t>(row)] = static_cast<Scalar>(count);
      furthest = (std::max)(furthest, count);
    }
    end_ = (std::min)(padded<Scalar>(furthest), columns);
  }

  /// Calls `body(lanes, column, row, is_seen)` for all registers of the rows, as far as any of them is seen.
  template <class Body>
  void for_each(const Body& body) const {
    const Batch<Scalar> number = lane_numbers<Scalar>();
    for_each_register<Scalar>(end_, [&](const auto& lanes, Index column) {
      const Batch<Scalar> place = number + Batch<Scalar>(static_cast<Scalar>(column));
      for (Index row = 0; row < rows_; ++row) {
        body(lanes, column, row, place < Batch<Scalar>(seen_[static_cast<std::size_t>(row)]));
      }
    });
  }

  /// Calls `body(lanes, column, row)` for the registers beyond.
  template <class Body>
  void for_each_unseen(const Body& body) const {
    for_each_register<Scalar>(columns_ - end_, [&](const auto& lanes, Index column) {
      for (Index row = 0; row < rows_; ++row) {
        body(lanes, end_ + column, row);
      }
    });
  }

 private:
  Index rows_;
  Index columns_;
  Index end_ = 0;
  ScalarOfRows<Scalar> seen_{};
};

namespace detail {

/// The addresses of a matrix from row `first` on, by row and column. From copies of what they are computed from: a view
/// that is referred to would be read again after every store.
template <class Scalar>
[[nodiscard]] inline auto places_from(const MatrixView<Scalar>& matrix, Index first) {
  return [start = matrix.row(first), stride = matrix.stride](Index row, Index column) {
    return start + row * stride + column;
  };
}

}  // namespace detail

/// exp(scale values) / sum(exp(scale values)) in place over the first visible(row) columns of every row, with a scale
/// above 0; the other columns become zero. Fastest where rows fill whole registers.
template <class Scalar, class Visible>
inline void softmax_rows(Scalar scale, const MatrixView<Scalar>& values, const Visible& visible) {
  if constexpr (is_vectorised<Scalar>) {
    using Values = Batch<Scalar>;
    constexpr Index together = rows_together<Scalar>;
    // What a row does not see is minus infinity, whose exponential is zero. The largest of nothing is finite.
    const Values outside(-std::numeric_limits<Scalar>::infinity());
    const Values lowest((std::numeric_limits<Scalar>::lowest)());
    for (Index first = 0; first < values.rows; first += together) {
      const SeenRows<Scalar> rows(values.rows - first, values.columns, [&](Index row) { return visible(first + row); });
      const auto place = detail::places_from(values, first);
      Values of_rows[static_cast<std::size_t>(together)];
      ScalarOfRows<Scalar> of_row;
      std::fill_n(of_rows, together, lowest);
      rows.for_each([&](const auto& lanes, Index column, Index row, const auto& is_seen) {
        const Values score = xsimd::select(is_seen, lanes.load(place(row, column)), outside);
        of_rows[row] = xsimd::max(score, of_rows[row]);
      });
      store<Scalar>(reduce_max_each<Scalar>(of_rows), of_row.data());
      std::fill_n(of_rows, together, Values(Scalar{0}));
      rows.for_each([&](const auto& lanes, Index column, Index row, const auto& is_seen) {
        const Values largest(of_row[static_cast<std::size_t>(row)]);
        const Values score = xsimd::select(is_seen, lanes.load(place(row, column)), outside);
        const Values power = exponential(Values(scale) * (score - largest));
        lanes.store(power, place(row, column));
        of_rows[row] += power;
      });
      const Values total = reduce_add_each<Scalar>(of_rows);
      store<Scalar>(xsimd::select(total == Values(Scalar{0}), total, Values(Scalar(1)) / total), of_row.data());
      rows.for_each([&](const auto& lanes, Index column, Index row, const auto&) {
        const Values share(of_row[static_cast<std::size_t>(row)]);
        lanes.store(lanes.load(place(row, column)) * share, place(row, column));
      });
      rows.for_each_unseen(
          [&](const auto& lanes, Index column, Index row) { lanes.store(Values(Scalar{0}), place(row, column)); });
    }
  } else {
    for (Index row = 0; row < values.rows; ++row) {
      Scalar* const scores = values.row(row);
      Scalar* const end = scores + visible(row);
      // The largest is a constant shift: softmax does not change with it, and so neither does its derivative.
      auto largest = real_part(*scores);
      for (const Scalar* score = scores; score != end; ++score) {
        largest = (std::max)(largest, real_part(*score));
      }
      Scalar total{};
      for (Scalar* score = scores; score != end; ++score) {
        *score = exponential(scale * (*score - Scalar(largest)));
        total += *score;
      }
      std::for_each(scores, end, [total](Scalar& weight) { weight /= total; });
      std::fill(end, scores + values.columns, Scalar{});
    }
  }
}

/// The backward of `softmax_rows`, from its result, `weights`: d = scale * weights * (d - <d, weights>) in place over
/// what a row sees, and zero beyond.
template <class Scalar, class Visible>
inline void softmax_rows_backward(Scalar scale, const MatrixView<const Scalar>& weights, const MatrixView<Scalar>& d,
                                  const Visible& visible) {
  if constexpr (is_vectorised<Scalar>) {
    using Values = Batch<Scalar>;
    constexpr Index together = rows_together<Scalar>;
    const Values zero(Scalar{0});
    for (Index first = 0; first < d.rows; first += together) {
      const SeenRows<Scalar> rows(d.rows - first, d.columns, [&](Index row) { return visible(first + row); });
      const auto weight_at = detail::places_from(weights, first);
      const auto place = detail::places_from(d, first);
      Values of_rows[static_cast<std::size_t>(together)];
      ScalarOfRows<Scalar> inner;
      std::fill_n(of_rows, together, zero);
      // Beyond what a row sees, d may be anything.
      rows.for_each([&](const auto& lanes, Index column, Index row, const auto& is_seen) {
        const Values seen = xsimd::select(is_seen, lanes.load(place(row, column)), zero);
        of_rows[row] = fused_multiply_add(seen, lanes.load(weight_at(row, column)), of_rows[row]);
      });
      store<Scalar>(reduce_add_each<Scalar>(of_rows), inner.data());
      rows.for_each([&](const auto& lanes, Index column, Index row, const auto& is_seen) {
        const Values difference = lanes.load(place(row, column)) - Values(inner[static_cast<std::size_t>(row)]);
        const Values result = Values(scale) * lanes.load(weight_at(row, column)) * difference;
        lanes.store(xsimd::select(is_seen, result, zero), place(row, column));
      });
      rows.for_each_unseen([&](const auto& lanes, Index column, Index row) { lanes.store(zero, place(row, column)); });
    }
  } else {
    for (Index row = 0; row < d.rows; ++row) {
      const Index count = visible(row);
      Scalar inner{};
      for (Index column = 0; column < count; ++column) {
        inner += d(row, column) * weights(row, column);
      }
      for (Index column = 0; column < count; ++column) {
        d(row, column) = scale * weights(row, column) * (d(row, column) - inner);
      }
      std::fill(d.row(row) + count, d.row(row) + d.columns, Scalar{});
    }
  }
}

/// The logistic function 1 / (1 + exp(-value)).
template <class Value>
[[nodiscard]] inline Value logistic(const Value& value) {
  return constant<Value>(1) / (constant<Value>(1) + exponential(-value));
}

INCONTEXT_NAMESPACE_END
