#pragma once
// What both translation units see: the umbrella.
#if __has_include("incontext/incontext.hpp")
#include "incontext/incontext.hpp"
#else
#include "incontext/core/executor.hpp"
#include "incontext/core/key.hpp"
#include "incontext/core/parameters.hpp"
#include "incontext/task/task.hpp"
#endif

double draw(const incontext::Prompts& prompts, incontext::Key key);
