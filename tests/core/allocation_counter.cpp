#include "allocation_counter.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define INCONTEXT_TEST_SANITISER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define INCONTEXT_TEST_SANITISER
#endif
#endif

namespace {

// Constant-initialised: allocations before main are counted too.
std::atomic<std::size_t> count{0};

void add_one() noexcept { count.fetch_add(1, std::memory_order_relaxed); }

}  // namespace

namespace incontext_test {

std::size_t allocation_count() noexcept { return count.load(std::memory_order_relaxed); }

}  // namespace incontext_test

#if defined(INCONTEXT_TEST_SANITISER)

// A sanitiser has replaced every allocation function; it calls a hook. Declared here since GCC ships no header for it.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*, std::size_t),
                                                         void (*on_free)(const volatile void*));

namespace {

[[maybe_unused]] const int hooks = __sanitizer_install_malloc_and_free_hooks(
    [](const volatile void*, std::size_t) { add_one(); }, [](const volatile void*) {});

}  // namespace

#elif defined(__GLIBC__)

// The functions of the C library under their own names, counted and passed on to its internal ones. Memory is that of
// the C library, so `free` stays as it is.
#include <cerrno>

extern "C" {

void* __libc_malloc(std::size_t bytes);
void* __libc_calloc(std::size_t number, std::size_t bytes);
void* __libc_realloc(void* pointer, std::size_t bytes);
void* __libc_memalign(std::size_t alignment, std::size_t bytes);

void* malloc(std::size_t bytes) noexcept {
  add_one();
  return __libc_malloc(bytes);
}

void* calloc(std::size_t number, std::size_t bytes) noexcept {
  add_one();
  return __libc_calloc(number, bytes);
}

void* realloc(void* pointer, std::size_t bytes) noexcept {
  add_one();
  return __libc_realloc(pointer, bytes);
}

void* memalign(std::size_t alignment, std::size_t bytes) noexcept {
  add_one();
  return __libc_memalign(alignment, bytes);
}

void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept { return memalign(alignment, bytes); }

int posix_memalign(void** pointer, std::size_t alignment, std::size_t bytes) noexcept {
  *pointer = memalign(alignment, bytes);
  return *pointer == nullptr ? ENOMEM : 0;
}

}  // extern "C"

#else

// Every replaceable form that allocates, since one need not be implemented by another.
namespace {

void* allocate(std::size_t bytes) noexcept {
  add_one();
  return std::malloc(bytes == 0 ? 1 : bytes);
}

#if defined(_MSC_VER)
void* allocate(std::size_t bytes, std::align_val_t alignment) noexcept {
  add_one();
  return _aligned_malloc(bytes == 0 ? 1 : bytes, static_cast<std::size_t>(alignment));
}
void release_aligned(void* pointer) noexcept { _aligned_free(pointer); }
#else
void* allocate(std::size_t bytes, std::align_val_t alignment) noexcept {
  add_one();
  // aligned_alloc wants a multiple of the alignment.
  const std::size_t boundary = static_cast<std::size_t>(alignment);
  const std::size_t blocks = bytes == 0 ? 1 : (bytes - 1) / boundary + 1;
  return std::aligned_alloc(boundary, blocks * boundary);
}
void release_aligned(void* pointer) noexcept { std::free(pointer); }
#endif

void* or_throw(void* pointer) {
  if (pointer == nullptr) {
    throw std::bad_alloc();
  }
  return pointer;
}

}  // namespace

void* operator new(std::size_t bytes) { return or_throw(allocate(bytes)); }
void* operator new[](std::size_t bytes) { return or_throw(allocate(bytes)); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes); }
void* operator new(std::size_t bytes, std::align_val_t alignment) { return or_throw(allocate(bytes, alignment)); }
void* operator new[](std::size_t bytes, std::align_val_t alignment) { return or_throw(allocate(bytes, alignment)); }
void* operator new(std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return allocate(bytes, alignment);
}
void* operator new[](std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return allocate(bytes, alignment);
}

void operator delete(void* pointer) noexcept { std::free(pointer); }
void operator delete[](void* pointer) noexcept { std::free(pointer); }
void operator delete(void* pointer, std::size_t) noexcept { std::free(pointer); }
void operator delete[](void* pointer, std::size_t) noexcept { std::free(pointer); }
void operator delete(void* pointer, const std::nothrow_t&) noexcept { std::free(pointer); }
void operator delete[](void* pointer, const std::nothrow_t&) noexcept { std::free(pointer); }
void operator delete(void* pointer, std::align_val_t) noexcept { release_aligned(pointer); }
void operator delete[](void* pointer, std::align_val_t) noexcept { release_aligned(pointer); }
void operator delete(void* pointer, std::size_t, std::align_val_t) noexcept { release_aligned(pointer); }
void operator delete[](void* pointer, std::size_t, std::align_val_t) noexcept { release_aligned(pointer); }
void operator delete(void* pointer, std::align_val_t, const std::nothrow_t&) noexcept { release_aligned(pointer); }
void operator delete[](void* pointer, std::align_val_t, const std::nothrow_t&) noexcept { release_aligned(pointer); }

#endif
