#pragma once
/// \file
/// Several registers in step.
///
/// A formula is a chain: every operation waits for the one before. A processor holds some two hundred operations that
/// wait, which are the chains of a few registers only, if these follow each other. In step, the same operation on all
/// registers comes before the next, and none waits for long.

#include "incontext/core/matrix.hpp"
#include "incontext/simd/batch.hpp"

#include <cstddef>
#include <type_traits>

INCONTEXT_NAMESPACE_BEGIN

template <class Scalar, int Count>
struct Registers;

template <class Value>
inline constexpr bool is_registers = false;
template <class Scalar, int Count>
inline constexpr bool is_registers<Registers<Scalar, Count>> = true;

/// `operation(part...)` of each of the registers, one after the other; of single registers, `operation(register...)`.
template <class Operation, class Value, class... Others>
[[nodiscard]] INCONTEXT_ALWAYS_INLINE inline Value in_step(const Operation& operation, const Value& first,
                                                           const Others&... others) {
  if constexpr (is_registers<Value>) {
    Value results{};
    INCONTEXT_UNROLL
    for (int place = 0; place < Value::count; ++place) {
      results.parts[place] = operation(first.parts[place], others.parts[place]...);
    }
    return results;
  } else {
    return operation(first, others...);
  }
}

/// Registers that go through a formula in step: a value with arithmetic, as one register is.
template <class Scalar, int Count>
struct Registers {
  using value_type = Scalar;
  static constexpr int count = Count;

  Registers() = default;
  /// Copies of a number in all lanes.
  INCONTEXT_ALWAYS_INLINE explicit Registers(const Scalar& value) {
    INCONTEXT_UNROLL
    for (int place = 0; place < Count; ++place) {
      parts[place] = Register<Scalar>(value);
    }
  }
  INCONTEXT_ALWAYS_INLINE friend Registers operator+(const Registers& left, const Registers& right) {
    return in_step([](const auto& one, const auto& other) { return one + other; }, left, right);
  }
  INCONTEXT_ALWAYS_INLINE friend Registers operator-(const Registers& left, const Registers& right) {
    return in_step([](const auto& one, const auto& other) { return one - other; }, left, right);
  }
  INCONTEXT_ALWAYS_INLINE friend Registers operator*(const Registers& left, const Registers& right) {
    return in_step([](const auto& one, const auto& other) { return one * other; }, left, right);
  }
  INCONTEXT_ALWAYS_INLINE friend Registers operator/(const Registers& left, const Registers& right) {
    return in_step([](const auto& one, const auto& other) { return one / other; }, left, right);
  }
  INCONTEXT_ALWAYS_INLINE friend Registers fused_multiply_add(const Registers& left, const Registers& right,
                                                              const Registers& addend) {
    return in_step([](const auto& one, const auto& other,
                      const auto& third) { return incontext::fused_multiply_add(one, other, third); },
                   left, right, addend);
  }

  Register<Scalar> parts[static_cast<std::size_t>(Count)];
};

/// Loads and stores of registers side by side.
template <class Scalar, int Count>
struct SideBySide {
  [[nodiscard]] INCONTEXT_ALWAYS_INLINE static Registers<Scalar, Count> load(const Scalar* source) {
    Registers<Scalar, Count> values{};
    INCONTEXT_UNROLL
    for (int place = 0; place < Count; ++place) {
      values.parts[place] = incontext::load(source + place * batch_size<Scalar>);
    }
    return values;
  }
  INCONTEXT_ALWAYS_INLINE static void store(const Registers<Scalar, Count>& values, Scalar* target) {
    INCONTEXT_UNROLL
    for (int place = 0; place < Count; ++place) {
      incontext::store<Scalar>(values.parts[place], target + place * batch_size<Scalar>);
    }
  }
};

/// `for_each_register` with up to `Most` registers at a time, a power of two: `body(lanes, index)` loads and stores
/// `Registers`, or in the end a register and the part of one.
template <class Scalar, int Most, class Body>
INCONTEXT_ALWAYS_INLINE inline void for_each_registers(Index count, const Body& body) {
  if constexpr (Most == 1) {
    for_each_register<Scalar>(count, body);
  } else {
    constexpr Index width = Most * batch_size<Scalar>;
    Index index = 0;
    for (; index + width <= count; index += width) {
      body(SideBySide<Scalar, Most>{}, index);
    }
    for_each_registers<Scalar, Most / 2>(count - index,
                                         [&](const auto& lanes, Index place) { body(lanes, index + place); });
  }
}

namespace detail {

/// Of matrices of one shape, a register of one row or a part of it.
template <class Scalar, class Lanes>
struct RegisterPlace {
  Lanes lanes;
  Index row;
  Index column;

  [[nodiscard]] Register<Scalar> load(const MatrixView<const Scalar>& matrix) const {
    return lanes.load(matrix.row(row) + column);
  }
  void store(const Register<Scalar>& values, const MatrixView<Scalar>& matrix) const {
    lanes.store(values, matrix.row(row) + column);
  }
};

/// Of matrices of one shape, registers of some rows, side by side in each.
template <class Scalar, int Rows, int Columns>
struct RegistersPlace {
  Index row;
  Index column;

  [[nodiscard]] INCONTEXT_ALWAYS_INLINE Registers<Scalar, Rows * Columns> load(
      const MatrixView<const Scalar>& matrix) const {
    Registers<Scalar, Rows * Columns> values{};
    INCONTEXT_UNROLL
    for (int place = 0; place < Rows * Columns; ++place) {
      values.parts[place] = incontext::load(address(matrix, place));
    }
    return values;
  }
  INCONTEXT_ALWAYS_INLINE void store(const Registers<Scalar, Rows * Columns>& values,
                                     const MatrixView<Scalar>& matrix) const {
    INCONTEXT_UNROLL
    for (int place = 0; place < Rows * Columns; ++place) {
      incontext::store<Scalar>(values.parts[place], address(matrix, place));
    }
  }

 private:
  template <class Element>
  [[nodiscard]] INCONTEXT_ALWAYS_INLINE Element* address(const MatrixView<Element>& matrix, int place) const {
    return matrix.row(row + place / Columns) + column + place % Columns * batch_size<Scalar>;
  }
};

}  // namespace detail

/// Calls `body(place)` for places that together are all elements of matrices of a shape, each once. A place loads from
/// such matrices and stores to them: `Registers` of several rows where there are as many, a register elsewhere.
template <class Scalar, class Body>
INCONTEXT_ALWAYS_INLINE inline void for_each_place(Index rows, Index columns, const Body& body) {
  constexpr int side_by_side = 2;  // a panel of a product
  constexpr int together = 2;
  constexpr Index width = side_by_side * batch_size<Scalar>;
  Index column = 0;
  for (; column + width <= columns; column += width) {
    Index row = 0;
    for (; row + together <= rows; row += together) {
      body(detail::RegistersPlace<Scalar, together, side_by_side>{row, column});
    }
    for (; row < rows; ++row) {
      body(detail::RegistersPlace<Scalar, 1, side_by_side>{row, column});
    }
  }
  for (Index row = 0; row < rows; ++row) {
    for_each_register<Scalar>(columns - column, [&](const auto& lanes, Index index) {
      body(detail::RegisterPlace<Scalar, std::decay_t<decltype(lanes)>>{lanes, row, column + index});
    });
  }
}

INCONTEXT_NAMESPACE_END
