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

  /// Every part from the address that `address_of(place)` says, and there.
  template <class AddressOf>
  [[nodiscard]] INCONTEXT_ALWAYS_INLINE static Registers load(const AddressOf& address_of) {
    Registers values{};
    INCONTEXT_UNROLL
    for (int place = 0; place < Count; ++place) {
      values.parts[place] = incontext::load<Scalar>(address_of(place));
    }
    return values;
  }
  template <class AddressOf>
  INCONTEXT_ALWAYS_INLINE void store(const AddressOf& address_of) const {
    INCONTEXT_UNROLL
    for (int place = 0; place < Count; ++place) {
      incontext::store<Scalar>(parts[place], address_of(place));
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
    return Registers<Scalar, Count>::load([source](int place) { return source + place * batch_size<Scalar>; });
  }
  INCONTEXT_ALWAYS_INLINE static void store(const Registers<Scalar, Count>& values, Scalar* target) {
    values.store([target](int place) { return target + place * batch_size<Scalar>; });
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

/// Of matrices of one shape, what `lanes` load from one row: registers side by side, one, or the part of one.
template <class Scalar, class Lanes>
struct PlaceInRow {
  Lanes lanes;
  Index row;
  Index column;

  [[nodiscard]] INCONTEXT_ALWAYS_INLINE auto load(const MatrixView<const Scalar>& matrix) const {
    return lanes.load(matrix.row(row) + column);
  }
  template <class Values>
  INCONTEXT_ALWAYS_INLINE void store(const Values& values, const MatrixView<Scalar>& matrix) const {
    lanes.store(values, matrix.row(row) + column);
  }
};

/// Of matrices of one shape, registers of some rows, side by side in each.
template <class Scalar, int Rows, int Columns>
struct PlaceInRows {
  Index row;
  Index column;

  [[nodiscard]] INCONTEXT_ALWAYS_INLINE Registers<Scalar, Rows * Columns> load(
      const MatrixView<const Scalar>& matrix) const {
    return Registers<Scalar, Rows * Columns>::load(addresses(matrix));
  }
  INCONTEXT_ALWAYS_INLINE void store(const Registers<Scalar, Rows * Columns>& values,
                                     const MatrixView<Scalar>& matrix) const {
    values.store(addresses(matrix));
  }

 private:
  template <class Element>
  [[nodiscard]] INCONTEXT_ALWAYS_INLINE auto addresses(const MatrixView<Element>& matrix) const {
    return [start = matrix.row(row) + column, stride = matrix.stride](int place) {
      return start + place / Columns * stride + place % Columns * batch_size<Scalar>;
    };
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
      body(detail::PlaceInRows<Scalar, together, side_by_side>{row, column});
    }
    for (; row < rows; ++row) {
      body(detail::PlaceInRow<Scalar, SideBySide<Scalar, side_by_side>>{{}, row, column});
    }
  }
  for (Index row = 0; row < rows; ++row) {
    for_each_register<Scalar>(columns - column, [&](const auto& lanes, Index index) {
      body(detail::PlaceInRow<Scalar, std::decay_t<decltype(lanes)>>{lanes, row, column + index});
    });
  }
}

INCONTEXT_NAMESPACE_END
