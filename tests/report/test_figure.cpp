#include "incontext/report/figure.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

using namespace incontext;

namespace {

Figure small_figure() {
  return {
      .title = "A title",
      .x_axis = {.label = "exemplars"},
      .y_axis = {.label = "squared error"},
      .panels = {{.title = "left",
                  .series = {{.name = "model", .x = {0, 1, 2}, .y = {3, 2, 1}, .low = {2, 1, 0.5}, .high = {4, 3, 2}},
                             {.name = "ridge", .x = {0, 2}, .y = {2, 1}, .style = SeriesStyle::dashed}}},
                 {.title = "right",
                  .series = {{.name = "ridge", .x = {0, 2}, .y = {2, 1}, .style = SeriesStyle::dashed},
                             {.name = "pool", .x = {1}, .y = {0.25}, .style = SeriesStyle::points}}}}};
}

std::string content_of(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

bool contains(const std::string& whole, const std::string& part) { return whole.find(part) != std::string::npos; }

std::ptrdiff_t occurrences(const std::string& whole, const std::string& part) {
  std::ptrdiff_t count = 0;
  for (std::size_t found = whole.find(part); found != std::string::npos; found = whole.find(part, found + 1)) {
    ++count;
  }
  return count;
}

bool has_gnuplot() {
#if defined(_WIN32)
  static const bool found = std::system("gnuplot --version > NUL 2>&1") == 0;
#else
  static const bool found = std::system("gnuplot --version > /dev/null 2>&1") == 0;
#endif
  return found;
}

/// A folder with an awkward name, gone with the object.
class Folder {
 public:
  explicit Folder(const std::string& name) : path_(std::filesystem::temp_directory_path() / name) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

void check_drawn(const Figure& figure, const std::filesystem::path& path) {
  const FigureResult result = write_figure(figure, path);
  CHECK(content_of(path.string() + ".dat") == figure_data(figure));
  CHECK(content_of(path.string() + ".gp") == figure_script(figure, path.filename().string()));
  CHECK_FALSE(std::filesystem::exists(path.string() + ".log"));
  if (has_gnuplot()) {
    CAPTURE(result.message);
    CHECK(result.drawn);
    CHECK(content_of(path.string() + ".png").substr(0, 8) == "\x89PNG\r\n\x1a\n");
    const std::string svg = content_of(path.string() + ".svg");
    CHECK(contains(svg.substr(0, 200), "<svg"));
    CHECK(contains(svg, "</svg>"));
  } else {
    CHECK_FALSE(result.drawn);
    CHECK_FALSE(result.message.empty());
  }
}

}  // namespace

TEST_CASE("the data file has one block for each series") {
  CHECK(figure_data(small_figure()) ==
        "# x y low high; one block for each series, panel after panel\n"
        "# 'left' 'model'\n0 3 2 4\n1 2 1 3\n2 1 0.5 2\n\n\n"
        "# 'left' 'ridge'\n0 2 NaN NaN\n2 1 NaN NaN\n\n\n"
        "# 'right' 'ridge'\n0 2 NaN NaN\n2 1 NaN NaN\n\n\n"
        "# 'right' 'pool'\n1 0.25 NaN NaN\n\n\n");
}

TEST_CASE("the script draws every series, and a name has one colour and one legend entry") {
  const std::string script = figure_script(small_figure(), "error");
  CHECK(contains(script, "file = './error'\n"));
  CHECK(contains(script, "y_label = 'squared error'\n"));
  for (const std::string block : {"index 0 ", "index 1 ", "index 2 ", "index 3 "}) {
    CHECK(contains(script, block));
  }
  CHECK(occurrences(script, "filledcurves") == 1);                             // the one band
  CHECK(occurrences(script, std::string(colour_blind_safe_palette[0])) == 3);  // band, line, legend
  CHECK(occurrences(script, std::string(colour_blind_safe_palette[1])) == 3);  // two panels, legend
  CHECK(occurrences(script, "title series_1") == 1);
  CHECK(contains(script, "set terminal pngcairo noenhanced size 1600,"));
  CHECK(occurrences(script, "set yrange [0.1375:4.1125]") == 2);  // 0.25 to 4 with 3% of air, shared
}

TEST_CASE("panels may have y ranges of their own, and axes limits") {
  Figure figure = small_figure();
  figure.share_y = false;
  figure.y_axis.minimum = 0.0;
  const std::string script = figure_script(figure, "error");
  CHECK(contains(script, "set yrange [0:4.105]"));
  CHECK(contains(script, "set yrange [0:2.0525]"));
  figure.y_axis.minimum = 50.0;  // beyond all data
  CHECK(contains(figure_script(figure, "error"), "set yrange [50:51]"));
}

TEST_CASE("a logarithmic axis leaves out what it cannot show") {
  Figure figure = small_figure();
  figure.y_axis.logarithmic = true;
  figure.panels[0].series[0].low = {-1, 0, 1e-9};
  figure.panels[0].series[0].y = {100, 1, 0};
  const std::string script = figure_script(figure, "error");
  CHECK(contains(script, "set logscale y"));
  // The range goes from a third of the lowest point, 0.25 / 3 on the right and 1 / 3 on the left, to 100.
  const std::size_t place = script.find("set yrange [") + 12;
  const double low = std::strtod(script.c_str() + place, nullptr);
  CHECK(low < 0.25);
  CHECK(low > 0.25 / 3.0 / 1.5);
  figure.y_axis.minimum = 0.0;
  CHECK_THROWS_AS(static_cast<void>(figure_script(figure, "error")), ConfigurationError);
}

TEST_CASE("ticks are round numbers inside the range") {
  using figure_detail::ticks;
  CHECK(ticks({0.0, 16.0}, false, 5) == std::vector<double>{0, 5, 10, 15});
  CHECK(ticks({-1.0, 1.0}, false, 5) == std::vector<double>{-1, -0.5, 0, 0.5, 1});
  CHECK(ticks({1.0, 1000.0}, true, 5) == std::vector<double>{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000});
  CHECK(ticks({1e-6, 1e6}, true, 5).size() == 5);
  for (const double width : {1e-12, 0.3, 7.0, 1e9}) {
    for (const double start : {0.0, -0.4, 3.0}) {
      const auto found = ticks({start * width, (start + 1.0) * width}, false, 5);
      CHECK(found.size() >= 3);
      CHECK(found.size() <= 8);
    }
  }
  // Between neighbouring powers of ten a logarithmic axis still has more than one tick.
  CHECK(ticks({1.2, 1.9}, true, 5).size() >= 3);
  CHECK(ticks({11.0, 99.0}, true, 5).size() >= 2);
}

TEST_CASE("the palette has no colour twice") {
  auto palette = colour_blind_safe_palette;
  std::sort(palette.begin(), palette.end());
  CHECK(std::adjacent_find(palette.begin(), palette.end()) == palette.end());
}

TEST_CASE("figures that make no sense are refused") {
  Figure figure = small_figure();
  figure.panels[0].series[0].low.pop_back();
  CHECK_THROWS_AS(static_cast<void>(figure_data(figure)), ShapeError);
  figure = small_figure();
  figure.panels[0].series[0].y.pop_back();
  CHECK_THROWS_AS(static_cast<void>(figure_script(figure, "error")), ShapeError);
  figure.panels.clear();
  CHECK_THROWS_AS(static_cast<void>(figure_data(figure)), ConfigurationError);
  figure = small_figure();
  figure.x_axis.minimum = 2.0;
  figure.x_axis.maximum = 1.0;
  CHECK_THROWS_AS(static_cast<void>(figure_data(figure)), ConfigurationError);
  CHECK_THROWS_AS(static_cast<void>(write_figure(small_figure(), "no such folder/error")), FileError);
  CHECK_THROWS_AS(static_cast<void>(write_figure(small_figure(), "a\nb")), ConfigurationError);
  CHECK_THROWS_AS(static_cast<void>(write_figure(small_figure(), "")), ConfigurationError);
}

TEST_CASE("gnuplot draws all styles, axes and odd data") {
  const Folder folder("incontext_test_figure");
  Figure figure = small_figure();
  figure.x_axis.logarithmic = figure.y_axis.logarithmic = true;
  figure.panels[1].series[1].low = {-1.0};
  figure.panels[1].series[1].high = {0.5};
  figure.panels.push_back(
      {.series = {{.name = "cloud", .x = {1, 2}, .y = {1, 2}, .style = SeriesStyle::dots},
                  {.name = "joined", .x = {1, 2}, .y = {1, 2}, .style = SeriesStyle::line_points}}});
  check_drawn(figure, folder.path() / "styles");

  figure = {.panels = {{.series = {{.name = "one point", .x = {1}, .y = {1}}, {.name = "no point"}}},
                       {.series = {{.name = "not finite", .x = {1, 2}, .y = {std::nan(""), HUGE_VAL}}}},
                       {}}};
  for (int series = 0; series < 20; ++series) {
    figure.panels[2].series.push_back(
        {.name = "series " + std::to_string(series), .x = {0, 1}, .y = {0, 1.0 * series}});
  }
  check_drawn(figure, folder.path() / "odd");
}

#if !defined(_WIN32)  // where no file name may hold such characters
TEST_CASE("no name, title or path can break or abuse the script") {
  const Folder folder("incontext test 'figure' \"$(touch touched)\" `touch touched` \\");
  const std::string nasty = "it's 50% of \"x_1\" \\ {y} } @z #1 $HOME `touch touched` | a^2 & \n end\t'";
  Figure figure = small_figure();
  figure.title = figure.x_axis.label = figure.y_axis.label = nasty;
  figure.panels[0].title = figure.panels[0].series[0].name = nasty;
  check_drawn(figure, folder.path() / "| it's \"50%\" `touch touched` $(touch touched); touch touched \\ _{x}");
  check_drawn(figure, folder.path() / "-option");
  CHECK_FALSE(std::filesystem::exists("touched"));
  CHECK_FALSE(std::filesystem::exists(folder.path() / "touched"));
  if (has_gnuplot()) {
    CHECK(contains(content_of(folder.path() / "-option.svg"), "50% of"));
    CHECK(contains(content_of(folder.path() / "-option.svg"), "a^2"));
  }
}

TEST_CASE("without gnuplot, data and script stay, an older image goes, and the message says what to do") {
  const Folder folder("incontext_test_figure_without_gnuplot");
  const std::filesystem::path path = folder.path() / "error";
  std::ofstream(path.string() + ".png") << "old";
  const char* const found = std::getenv("PATH");
  const std::string search_path = found == nullptr ? "" : found;
  setenv("PATH", folder.path().c_str(), 1);
  const FigureResult result = write_figure(small_figure(), path);
  setenv("PATH", search_path.c_str(), 1);
  CHECK_FALSE(result.drawn);
  CHECK(contains(result.message, "install gnuplot"));
  CHECK(contains(result.message, "error.gp"));
  CHECK(std::filesystem::exists(path.string() + ".dat"));
  CHECK(std::filesystem::exists(path.string() + ".gp"));
  CHECK_FALSE(std::filesystem::exists(path.string() + ".png"));
}
#endif
