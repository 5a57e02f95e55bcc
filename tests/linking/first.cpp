#include "everything.hpp"

int main() {
  const incontext::Prompts prompts(1, 2, 3);
  const incontext::Key key{1};
  return draw(prompts, key) == incontext::Stream(key).uniform() ? 0 : 1;
}
