// expects: ConjugatePrompt needs an InvertibleMap
// An inoculation prompt chooses at random, and has no inverse.
#include "incontext/policy/conjugate_prompt.hpp"
#include "incontext/policy/inoculation_prompt.hpp"

using namespace incontext;

int main() { static_cast<void>(ConjugatePrompt{InoculationPrompt{std::vector<int>{1}}}); }
