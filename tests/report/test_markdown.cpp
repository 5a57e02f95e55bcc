#include "incontext/report/markdown.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace incontext;

TEST_CASE("a table is padded, and columns of numbers stand to the right") {
  MarkdownTable table({"claim", "estimate", "seeds"});
  table.row("error rises", 1.23456, 5);
  table.row("γ", -0.5, 12);
  CHECK(table.markdown() ==
        "| claim       | estimate | seeds |\n"
        "| ----------- | -------: | ----: |\n"
        "| error rises |     1.23 |     5 |\n"
        "| γ           |   -0.500 |    12 |\n");
}

TEST_CASE("a text among the numbers makes the column one of texts") {
  MarkdownTable table({"value"}, 2);
  table.row(1.0);
  table.row("none");
  CHECK(table.markdown() ==
        "| value |\n"
        "| ----- |\n"
        "| 1.0   |\n"
        "| none  |\n");
}

TEST_CASE("bars and line ends cannot break a table") {
  MarkdownTable table({"p(y|x)"});
  table.row("a|b\nc");
  table.row(std::string("d\\|e"));
  CHECK(table.markdown() ==
        "| p(y\\|x) |\n"
        "| ------- |\n"
        "| a\\|b c  |\n"
        "| d\\\\\\|e  |\n");
}

TEST_CASE("wrong shapes are refused") {
  MarkdownTable table({"one", "two"});
  CHECK_THROWS_AS(table.row("only one"), ShapeError);
  CHECK_THROWS_AS(MarkdownTable({}), ConfigurationError);
  CHECK_THROWS_AS(MarkdownTable({"one"}, 0), ConfigurationError);
}
