#include "incontext/core/workspace.hpp"

#include "allocation_counter.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <complex>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

using incontext::Index;
using incontext::MatrixView;
using incontext::Workspace;

namespace {

template <class Scalar>
bool on_cache_line(const Scalar* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer) % incontext::cache_line_bytes == 0;
}

// Shapes that fill several chunks, with one that is larger than a chunk and some that are empty.
const std::vector<std::pair<Index, Index>> shapes = {{3, 5},     {1, 1},  {200, 300}, {0, 7}, {128, 128},
                                                     {300, 400}, {2, 17}, {64, 1},    {7, 0}, {500, 100}};

}  // namespace

TEST_CASE("the allocation counter sees every kind of allocation") {
  // Direct calls, since a compiler may leave out the allocation of a new-expression.
  const std::align_val_t wide{128};
  bool aligned = false;
  CHECK(incontext_test::allocations_of([] {}) == 0);
  CHECK(incontext_test::allocations_of([] { ::operator delete(::operator new(8)); }) == 1);
  CHECK(incontext_test::allocations_of([] { ::operator delete[](::operator new[](8)); }) == 1);
  CHECK(incontext_test::allocations_of([] { ::operator delete(::operator new(8, std::nothrow)); }) == 1);
  CHECK(incontext_test::allocations_of([&] {
          void* pointer = ::operator new(8, wide);
          aligned = reinterpret_cast<std::uintptr_t>(pointer) % 128 == 0;
          ::operator delete(pointer, wide);
        }) == 1);
  CHECK(aligned);
  CHECK(incontext_test::allocations_of([] { const incontext::AlignedVector<float> values(100); }) == 1);
#if defined(__GLIBC__)
  // Eigen asks malloc, not operator new.
  CHECK(incontext_test::allocations_of([] { const incontext::RowMatrix<double> matrix(10, 10); }) == 1);
#endif
}

TEST_CASE_TEMPLATE("views have their shape, start on a cache line and do not overlap", Scalar, float, double,
                   std::complex<double>) {
  Workspace<Scalar> workspace;
  std::vector<MatrixView<Scalar>> views;
  for (const auto& [rows, columns] : shapes) {
    const MatrixView<Scalar> view = workspace.take(rows, columns);
    CHECK(view.rows == rows);
    CHECK(view.columns == columns);
    CHECK(view.stride >= columns);
    CHECK(on_cache_line(view.data));
    views.push_back(view);
    // Growing must not move what was handed out before, so every view is written before the next is taken.
    std::fill(view.data, view.data + rows * view.stride, Scalar(static_cast<float>(views.size())));
  }
  for (std::size_t index = 0; index < views.size(); ++index) {
    CAPTURE(index);
    const MatrixView<Scalar>& view = views[index];
    CHECK(std::all_of(view.data, view.data + view.rows * view.stride,
                      [&](Scalar value) { return value == Scalar(static_cast<float>(index + 1)); }));
  }
}

TEST_CASE("rows lie close, but for long ones that would crowd into a few sets of a cache") {
  Workspace<float> workspace;
  for (const Index columns : {1, 16, 64, 100, 130, 1000}) {
    CHECK(workspace.take(3, columns).stride == columns);
  }
  for (const Index columns : {128, 256, 384, 1024, 4096}) {
    CAPTURE(columns);
    const MatrixView<float> view = workspace.take(3, columns);
    const Index lines = view.stride * static_cast<Index>(sizeof(float)) / Index{incontext::cache_line_bytes};
    CHECK(lines % 2 == 1);  // so that as many rows as there are sets all fall into different ones
    CHECK(on_cache_line(view.row(1)));
    CHECK(workspace.take(1, columns).stride == columns);  // a single row crowds nobody, and may be plain memory
  }
}

TEST_CASE("zeros are zeros even where the memory was used before") {
  Workspace<double> workspace;
  const MatrixView<double> dirty = workspace.take(30, 40);
  std::fill(dirty.data, dirty.data + 1200, 7.0);
  workspace.reset();
  const MatrixView<double> clean = workspace.take_zeros(30, 40);
  CHECK(clean.data == dirty.data);
  CHECK(std::all_of(clean.data, clean.data + 1200, [](double value) { return value == 0.0; }));
}

TEST_CASE("a warm workspace hands out the same memory and allocates nothing") {
  Workspace<float> workspace;
  std::vector<float*> first;
  for (const auto& [rows, columns] : shapes) {
    first.push_back(workspace.take(rows, columns).data);
  }
  const Index bytes = workspace.bytes();
  for (int pass = 0; pass < 3; ++pass) {
    workspace.reset();
    std::size_t index = 0;
    bool same = true;
    const std::size_t allocations = incontext_test::allocations_of([&] {
      for (const auto& [rows, columns] : shapes) {
        same = same && workspace.take(rows, columns).data == first[index++];
      }
    });
    CHECK(allocations == 0);
    CHECK(same);
    CHECK(workspace.bytes() == bytes);
  }
}

TEST_CASE("a workspace with room reserved hands it out without an allocation, and grows beyond it") {
  Workspace<float> workspace;
  Index room = 0;
  for (const auto& [rows, columns] : shapes) {
    room += Workspace<float>::room_for(rows, columns);
  }
  workspace.reserve(room);
  const Index bytes = room * static_cast<Index>(sizeof(float));
  CHECK(workspace.bytes() == bytes);
  const auto pass = [&] {
    for (const auto& [rows, columns] : shapes) {
      static_cast<void>(workspace.take(rows, columns));
    }
  };
  CHECK(incontext_test::allocations_of(pass) == 0);
  CHECK(workspace.bytes() == bytes);
  static_cast<void>(workspace.take(1, 1));
  CHECK(workspace.bytes() > bytes);
  // Less is there already, and takes every view back; more takes the place of all that was.
  CHECK(incontext_test::allocations_of([&] { workspace.reserve(room / 2), pass(); }) == 0);
  workspace.reserve(room + 16);
  CHECK(workspace.bytes() == bytes + 16 * static_cast<Index>(sizeof(float)));
}

TEST_CASE("two passes of different shapes are both warm after one round") {
  // Training steps and evaluations take turns on one workspace.
  Workspace<float> workspace;
  const auto train = [&] {
    workspace.reset();
    for (const auto& [rows, columns] : shapes) {
      static_cast<void>(workspace.take(rows, columns));
    }
  };
  const auto evaluate = [&] {
    workspace.reset();
    for (auto shape = shapes.rbegin(); shape != shapes.rend(); ++shape) {
      static_cast<void>(workspace.take(2 * shape->first, shape->second));
    }
  };
  train();
  evaluate();
  CHECK(incontext_test::allocations_of([&] { train(), evaluate(), train(), evaluate(); }) == 0);
}

TEST_CASE("releasing to a mark takes back what came after it, and nothing else") {
  Workspace<double> workspace;
  const MatrixView<double> kept = workspace.take(3, 3);
  std::fill(kept.data, kept.data + 9, 1.0);
  const auto mark = workspace.mark();
  std::vector<double*> first;
  for (int pass = 0; pass < 2; ++pass) {
    std::size_t index = 0;
    for (const auto& [rows, columns] : shapes) {
      const MatrixView<double> view = workspace.take_zeros(rows, columns);
      if (pass == 0) {
        first.push_back(view.data);
      }
      CHECK(view.data == first[index++]);
    }
    CHECK(std::all_of(kept.data, kept.data + 9, [](double value) { return value == 1.0; }));
    workspace.release(mark);
  }
  // A mark of the empty workspace stands for its start.
  Workspace<double> fresh;
  const auto start = fresh.mark();
  double* const data = fresh.take(2, 2).data;
  fresh.release(start);
  CHECK(fresh.take(2, 2).data == data);
}

TEST_CASE("bytes grow by what is taken and a fresh workspace holds none") {
  Workspace<double> workspace;
  CHECK(workspace.bytes() == 0);
  static_cast<void>(workspace.take(1000, 1000));
  CHECK(workspace.bytes() >= 8'000'000);
  const Index bytes = workspace.bytes();
  workspace.reset();
  CHECK(workspace.bytes() == bytes);
}

TEST_CASE_TEMPLATE("temporary memory lies beside the rest: neither overlaps, and releasing one leaves the other",
                   Scalar, float, double) {
  Workspace<Scalar> workspace;
  Workspace<Scalar>& temporary = workspace.temporary();
  CHECK(&workspace.temporary() == &temporary);
  const auto mark = temporary.mark();
  const MatrixView<Scalar> kept = workspace.take(30, 40);
  const MatrixView<Scalar> fleeting = temporary.take(30, 40);
  CHECK(on_cache_line(fleeting.data));
  std::fill(kept.data, kept.data + 1200, Scalar(1));
  std::fill(fleeting.data, fleeting.data + 1200, Scalar(2));
  CHECK(std::all_of(kept.data, kept.data + 1200, [](Scalar value) { return value == Scalar(1); }));
  temporary.release(mark);
  CHECK(temporary.take(30, 40).data == fleeting.data);
  const MatrixView<Scalar> next = workspace.take(30, 40);
  CHECK(next.data != kept.data);
  std::fill(next.data, next.data + 1200, Scalar(3));
  CHECK(std::all_of(fleeting.data, fleeting.data + 1200, [](Scalar value) { return value == Scalar(2); }));
  // A mark of the workspace says nothing about its temporary memory.
  workspace.release(Workspace<Scalar>().mark());
  CHECK(workspace.take(30, 40).data == kept.data);
  CHECK(temporary.take(30, 40).data != fleeting.data);
}

TEST_CASE("resetting takes temporary views back too, and keeps their memory") {
  Workspace<float> workspace;
  std::vector<float*> first;
  const auto pass = [&](auto&& see) {
    workspace.reset();
    for (const auto& [rows, columns] : shapes) {
      see(workspace.temporary().take(rows, columns).data);
      see(workspace.take(columns, rows).data);
    }
  };
  pass([&](float* data) { first.push_back(data); });
  const Index bytes = workspace.bytes();
  CHECK(bytes > workspace.temporary().bytes());
  CHECK(workspace.temporary().bytes() > 0);
  std::size_t index = 0;
  bool same = true;
  CHECK(incontext_test::allocations_of([&] { pass([&](float* data) { same = same && data == first[index++]; }); }) ==
        0);
  CHECK(same);
  CHECK(workspace.bytes() == bytes);
}

TEST_CASE("a copy of a workspace has as much memory of its own, temporary memory too, in the same state") {
  Workspace<float> workspace;
  const MatrixView<float> kept = workspace.take(200, 300);
  const MatrixView<float> fleeting = workspace.temporary().take(300, 400);
  std::fill(kept.data, kept.data + 60'000, 1.0F);
  std::fill(fleeting.data, fleeting.data + 120'000, 2.0F);
  Workspace<float> copy = workspace;
  Workspace<float> assigned;
  static_cast<void>(assigned.temporary().take(1, 1));
  assigned = workspace;
  for (Workspace<float>* const other : {&copy, &assigned}) {
    CHECK(other->bytes() == workspace.bytes());
    CHECK(&other->temporary() != &workspace.temporary());
    CHECK(other->mark().chunk == workspace.mark().chunk);
    CHECK(other->mark().used == workspace.mark().used);
    CHECK(other->temporary().mark().used == workspace.temporary().mark().used);
    // The memory is warm: the same pass allocates nothing, and writes over nothing of the first workspace.
    bool is_own = false;
    CHECK(incontext_test::allocations_of([&] {
            other->reset();
            is_own = other->take_zeros(200, 300).data != kept.data &&
                     other->temporary().take_zeros(300, 400).data != fleeting.data;
          }) == 0);
    CHECK(is_own);
  }
  CHECK(std::all_of(kept.data, kept.data + 60'000, [](float value) { return value == 1.0F; }));
  CHECK(std::all_of(fleeting.data, fleeting.data + 120'000, [](float value) { return value == 2.0F; }));
  assigned = Workspace<float>();
  CHECK(assigned.bytes() == 0);
  CHECK(workspace.bytes() > 0);
}
