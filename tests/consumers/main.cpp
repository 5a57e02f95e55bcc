// A program of somebody else's: every consumer project here builds and runs it.
#if __has_include(<incontext/incontext.hpp>)
#include <incontext/incontext.hpp>
#else
#include <incontext/core/key.hpp>
#include <incontext/core/version.hpp>
#include <incontext/task/prompts.hpp>
#endif

#include <cstdio>

int main() {
  incontext::Prompts prompts(3, 5, 2);
  incontext::Stream stream(incontext::Key{2026}.fold("data"));
  stream.fill_normal(prompts.inputs.data(), prompts.inputs.data() + prompts.inputs.size());

  const double first = prompts.inputs(0, 0);
  std::printf("incontext %d.%d.%d drew %g\n", INCONTEXT_VERSION_MAJOR, INCONTEXT_VERSION_MINOR, INCONTEXT_VERSION_PATCH,
              first);
  return prompts.inputs.rows() == 15 && first != 0.0 ? 0 : 1;
}
