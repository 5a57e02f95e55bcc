# `incontext_development`: what our own tests, examples and benchmarks are compiled with. Never installed or exported.
add_library(incontext_development INTERFACE)
target_link_libraries(incontext_development INTERFACE incontext::incontext)

target_compile_options(incontext_development INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
if(INCONTEXT_WARNINGS_AS_ERRORS)
  target_compile_options(incontext_development INTERFACE -Werror)
endif()

if(INCONTEXT_NATIVE)
  target_compile_options(incontext_development INTERFACE -march=native)
  # g++ 12 takes the deliberately undefined operands of its own AVX-512 intrinsics for mistakes (GCC bug 105593).
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14)
    target_compile_options(incontext_development INTERFACE -Wno-uninitialized -Wno-maybe-uninitialized)
  endif()
endif()

if(INCONTEXT_SANITIZE)
  string(REPLACE ";" "," sanitizers "${INCONTEXT_SANITIZE}")
  set(sanitizer_flags -fsanitize=${sanitizers} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  if(CMAKE_CXX_COMPILER_ID MATCHES Clang AND "undefined" IN_LIST INCONTEXT_SANITIZE)
    # A trap instead of a report compiles in three quarters of the time. AddressSanitizer turns it into a stack trace
    # (ASAN_OPTIONS=handle_sigill=1, as the test preset has it).
    list(APPEND sanitizer_flags -fsanitize-trap=undefined)
  endif()
  target_compile_options(incontext_development INTERFACE ${sanitizer_flags})
  target_link_options(incontext_development INTERFACE ${sanitizer_flags})
endif()

if(INCONTEXT_OPENMP)
  find_package(OpenMP QUIET)
  if(OpenMP_CXX_FOUND)
    target_link_libraries(incontext_development INTERFACE OpenMP::OpenMP_CXX)
  else()
    message(STATUS "incontext: this compiler has no OpenMP, going on without")
  endif()
endif()
