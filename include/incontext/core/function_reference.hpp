#pragma once
/// \file
/// A reference to anything that can be called, for what is called seldom enough that its type need not be known.

#include "incontext/core/config.hpp"

#include <type_traits>
#include <utility>

INCONTEXT_NAMESPACE_BEGIN

template <class Signature>
class FunctionReference;

/// A non-owning reference to a callable, or to none. Never allocates; what it refers to has to outlive it. A function
/// that takes one is compiled once, whatever it is called with.
template <class Result, class... Arguments>
class FunctionReference<Result(Arguments...)> {
 public:
  FunctionReference() = default;
  // Its constraint keeps it away from copies. NOLINTBEGIN(bugprone-forwarding-reference-overload)
  template <class Callable>
  requires(!std::is_same_v<std::remove_cvref_t<Callable>, FunctionReference> &&
           std::is_invocable_r_v<Result, Callable&, Arguments...>) FunctionReference(Callable&& callable)
      : object_(const_cast<void*>(static_cast<const void*>(&callable))),
        invoke_([](void* object, Arguments... arguments) -> Result {
          return (*static_cast<std::remove_reference_t<Callable>*>(object))(std::forward<Arguments>(arguments)...);
        }) {}
  // NOLINTEND(bugprone-forwarding-reference-overload)

  /// Whether there is something to call.
  explicit operator bool() const { return invoke_ != nullptr; }
  Result operator()(Arguments... arguments) const { return invoke_(object_, std::forward<Arguments>(arguments)...); }

 private:
  void* object_ = nullptr;
  Result (*invoke_)(void*, Arguments...) = nullptr;
};

INCONTEXT_NAMESPACE_END
