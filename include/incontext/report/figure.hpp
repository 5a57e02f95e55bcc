#pragma once
/// \file
/// Figures that a paper could print: lines with bands, points with error bars and clouds of dots, side by side in
/// panels under one legend. Drawn by gnuplot from a data file and a plain script, which stay beside the images for
/// whoever wants to change them.

#include "incontext/core/config.hpp"
#include "incontext/core/error.hpp"
#include "incontext/report/number.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// The colours of Okabe and Ito ("Color universal design", 2008), which people with any colour vision can tell apart,
/// in the order that series get them: strong ones first, yellow last, since it is faint on white.
inline constexpr std::array<std::string_view, 8> colour_blind_safe_palette = {
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442"};

/// How a series is drawn.
enum class SeriesStyle {
  line,         ///< a line, with a band from low to high
  dashed,       ///< a dashed line, with a band from low to high: for what a model is compared with
  points,       ///< points, with error bars from low to high
  line_points,  ///< points joined by a line, with error bars from low to high
  dots,         ///< a cloud of small transparent dots: for thousands of points
};

/// A named series of points. Where several panels have a series of one name, it looks the same and the legend has it
/// once. An empty name stays out of the legend. On a logarithmic axis, a band or bar that reaches far below the points
/// (under a third of the lowest) ends at the axis.
struct Series {
  std::string name{};
  std::vector<double> x{};
  std::vector<double> y{};
  std::vector<double> low{};   ///< of the band or error bar; empty for none, NaN for a point without
  std::vector<double> high{};  ///< as `low`
  SeriesStyle style = SeriesStyle::line;
};

/// One system of axes.
struct Panel {
  std::string title{};
  std::vector<Series> series{};
};

/// One axis, of all panels.
struct Axis {
  std::string label{};  ///< what it measures, with the unit
  bool logarithmic = false;
  std::optional<double> minimum{};  ///< where the axis starts; by default, where the data do
  std::optional<double> maximum{};  ///< where it ends
};

/// A figure of one or more panels from left to right.
struct Figure {
  std::string title{};
  Axis x_axis{};
  Axis y_axis{};
  bool share_y = true;  ///< whether all panels have the same y range, so that they can be compared by eye
  std::vector<Panel> panels{};
};

/// Whether a figure was drawn, and if not, why.
struct FigureResult {
  bool drawn = false;
  std::string message{};  ///< the path of the image, or what is missing and what to do

  explicit operator bool() const { return drawn; }
};

namespace figure_detail {

/// The range of an axis.
struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void include(double value, bool logarithmic) {
    if (std::isfinite(value) && (!logarithmic || value > 0.0)) {
      low = (std::min)(low, value);
      high = (std::max)(high, value);
    }
  }
};

/// The range in which the data have a little air, where the axis does not say otherwise.
inline Range padded(Range range, const Axis& axis) {
  if (range.low > range.high) {
    range = {axis.logarithmic ? 1.0 : 0.0, axis.logarithmic ? 10.0 : 1.0};  // no point can be drawn
  }
  if (axis.logarithmic) {
    const double factor = range.high > range.low ? std::pow(range.high / range.low, 0.03) : 2.0;
    range = {range.low / factor, range.high * factor};
  } else {
    const double width = range.high - range.low;
    const double margin = width > 0.0 ? 0.03 * width : (range.low == 0.0 ? 1.0 : 0.1 * std::abs(range.low));
    range = {range.low - margin, range.high + margin};
  }
  range = {axis.minimum.value_or(range.low), axis.maximum.value_or(range.high)};
  if (!(range.low < range.high)) {  // a limit beyond all data
    (axis.minimum ? range.high : range.low) = axis.logarithmic ? (axis.minimum ? 10.0 * range.low : 0.1 * range.high)
                                                               : (axis.minimum ? range.low + 1.0 : range.high - 1.0);
  }
  return range;
}

/// Round numbers inside the range, about `wanted` of them: multiples of 1, 2 or 5 times a power of ten, or on a
/// logarithmic axis such numbers themselves.
inline std::vector<double> ticks(const Range& range, bool logarithmic, int wanted) {
  std::vector<double> result;
  if (!logarithmic) {
    const double rough = (range.high - range.low) / wanted;
    const double power = std::pow(10.0, std::floor(std::log10(rough)));
    const double digit = rough / power;  // 1 to 10; the cuts are the geometric means of neighbours
    const double step = power * (digit < 1.4 ? 1.0 : digit < 3.2 ? 2.0 : digit < 7.1 ? 5.0 : 10.0);
    const double slack = 1e-9 * step;  // so that rounding does not lose a tick at the end of the axis
    for (double multiple = std::ceil((range.low - slack) / step); multiple * step <= range.high + slack; ++multiple) {
      result.push_back(multiple * step + 0.0);  // turns -0 into 0
    }
    return result;
  }
  const double decades = std::log10(range.high / range.low);
  if (decades < 0.7) {  // hardly one of 1, 2, 5 would fall inside
    return ticks(range, false, wanted);
  }
  const bool with_two_and_five = 3.0 * decades <= 2.0 * wanted;
  const int stride = (std::max)(1, static_cast<int>(std::ceil(decades / wanted)));
  const double first = stride * std::floor(std::log10(range.low) / stride);
  for (int exponent = static_cast<int>(first); exponent <= std::log10(range.high) + 1e-9; exponent += stride) {
    for (const double leading : {1.0, 2.0, 5.0}) {
      const double tick = leading * std::pow(10.0, exponent);
      if (tick >= range.low * (1.0 - 1e-9) && tick <= range.high * (1.0 + 1e-9) &&
          (leading == 1.0 || with_two_and_five)) {
        result.push_back(tick);
      }
    }
  }
  return result;
}

/// The text of a tick: six digits hide the rounding of its computation.
inline std::string tick_text(double tick) {
  std::array<char, 32> buffer{};
  const auto written = std::to_chars(buffer.data(), buffer.data() + buffer.size(), tick, std::chars_format::general, 6);
  return {buffer.data(), written.ptr};
}

/// Text in gnuplot's single quotes, inside which only the quote itself means anything.
inline std::string gnuplot_quoted(std::string_view words) {
  std::string quoted = "'";
  for (const char letter : words) {
    if (letter == '\'') {
      quoted += "''";
    } else {
      quoted += static_cast<unsigned char>(letter) < 0x20 ? ' ' : letter;  // a line end would end the command
    }
  }
  return quoted + '\'';
}

/// Text in the quotes of the shell that `std::system` starts.
inline std::string shell_quoted(std::string_view words) {
#if defined(_WIN32)
  return '"' + std::string(words) + '"';  // no path of that system holds a quote
#else
  std::string quoted = "'";
  for (const char letter : words) {
    quoted += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
  }
  return quoted + '\'';
#endif
}

/// The names of a figure's series, each once, in order.
inline std::vector<std::string> series_names(const Figure& figure) {
  std::vector<std::string> names;
  for (const Panel& panel : figure.panels) {
    for (const Series& series : panel.series) {
      if (std::find(names.begin(), names.end(), series.name) == names.end()) {
        names.push_back(series.name);
      }
    }
  }
  return names;
}

inline void check(const Figure& figure) {
  require(!figure.panels.empty(), "figure '", figure.title, "' has no panels, expected at least one");
  for (const Axis* axis : {&figure.x_axis, &figure.y_axis}) {
    for (const std::optional<double>& limit : {axis->minimum, axis->maximum}) {
      require(!limit || (std::isfinite(*limit) && (!axis->logarithmic || *limit > 0.0)), "axis '", axis->label,
              "' has a limit of ", limit.value_or(0.0), ", expected a finite number",
              axis->logarithmic ? " above 0, since the axis is logarithmic" : "");
    }
    require(!axis->minimum || !axis->maximum || *axis->minimum < *axis->maximum, "axis '", axis->label, "' goes from ",
            axis->minimum.value_or(0.0), " to ", axis->maximum.value_or(0.0), ", expected to rise");
  }
  for (const Panel& panel : figure.panels) {
    for (const Series& series : panel.series) {
      const auto fits = [&](const std::vector<double>& values) { return values.size() == series.x.size(); };
      require<ShapeError>(fits(series.y), "series '", series.name, "' has ", series.x.size(), " values of x and ",
                          series.y.size(), " of y");
      require<ShapeError>((series.low.empty() && series.high.empty()) || (fits(series.low) && fits(series.high)),
                          "series '", series.name, "' has ", series.x.size(), " points, ", series.low.size(),
                          " lows and ", series.high.size(), " highs, expected as many of each, or no lows and highs");
    }
  }
}

// The layout is in units of the SVG; the PNG has at least two pixels to a unit.
inline constexpr double font_size = 14.0;
inline constexpr double letter_width = 0.56 * font_size;  // on average

inline double text_width(std::string_view words) { return letter_width * static_cast<double>(words.size()); }

/// Where everything stands, and the ranges of the axes.
struct Layout {
  std::vector<Range> x_ranges{};  // of each panel
  std::vector<Range> y_ranges{};
  std::vector<std::size_t> legend{};  // the positions, among the names of series, of those that are not empty
  std::size_t legend_rows = 0;
  std::size_t legend_columns = 1;
  double legend_height = 0.0;
  double width = 0.0;
  double height = 0.0;
  double left = 0.0;  // margins of the panels, and the gap between two
  double right = 14.0;
  double top = 0.0;
  double bottom = 0.0;
  double gap = 0.0;
  double panel_width = 0.0;
};

inline void set_ranges(Layout& layout, const Figure& figure) {
  Range all_y;
  for (const Panel& panel : figure.panels) {
    Range x_range;
    Range y_range;
    for (const Series& series : panel.series) {
      for (const double value : series.x) {
        x_range.include(value, figure.x_axis.logarithmic);
      }
      for (const std::vector<double>* values : {&series.y, &series.high}) {
        for (const double value : *values) {
          y_range.include(value, figure.y_axis.logarithmic);
        }
      }
    }
    const double lowest = figure.y_axis.logarithmic ? y_range.low / 3.0 : -std::numeric_limits<double>::infinity();
    for (const Series& series : panel.series) {
      for (const double value : series.low) {
        y_range.include((std::max)(value, lowest), figure.y_axis.logarithmic);
      }
    }
    all_y.include(y_range.low, figure.y_axis.logarithmic);
    all_y.include(y_range.high, figure.y_axis.logarithmic);
    layout.x_ranges.push_back(padded(x_range, figure.x_axis));
    layout.y_ranges.push_back(padded(y_range, figure.y_axis));
  }
  if (figure.share_y) {
    layout.y_ranges.assign(figure.panels.size(), padded(all_y, figure.y_axis));
  }
}

/// Every margin follows from the texts that stand in it.
inline Layout layout_of(const Figure& figure, const std::vector<std::string>& names) {
  Layout layout;
  set_ranges(layout, figure);
  const auto panel_count = static_cast<double>(figure.panels.size());
  layout.width = figure.panels.size() == 1 ? 560.0 : 270.0 * panel_count + 260.0;

  double tick_width = letter_width;
  for (const Range& range : layout.y_ranges) {
    for (const double tick : ticks(range, figure.y_axis.logarithmic, 5)) {
      tick_width = (std::max)(tick_width, text_width(tick_text(tick)));
    }
  }
  layout.left = 2.2 * font_size + tick_width + 15.0;
  layout.gap = figure.share_y ? 22.0 : tick_width + 28.0;
  layout.panel_width = (layout.width - layout.left - layout.right - layout.gap * (panel_count - 1.0)) / panel_count;
  const bool any_title =
      std::any_of(figure.panels.begin(), figure.panels.end(), [](const Panel& panel) { return !panel.title.empty(); });
  layout.top = (any_title ? 2.0 * font_size : 10.0) + (figure.title.empty() ? 0.0 : 2.2 * font_size);

  double name_width = letter_width;
  for (std::size_t series = 0; series < names.size(); ++series) {
    if (!names[series].empty()) {
      layout.legend.push_back(series);
      name_width = (std::max)(name_width, text_width(names[series]));
    }
  }
  const double fitting = std::floor((layout.width - 2.0 * layout.right) / (name_width + 5.5 * font_size));
  const auto columns = static_cast<std::size_t>((std::max)(1.0, fitting));
  layout.legend_rows = (layout.legend.size() + columns - 1) / columns;
  if (layout.legend_rows > 0) {
    layout.legend_columns = (layout.legend.size() + layout.legend_rows - 1) / layout.legend_rows;
  }
  layout.legend_height =
      1.5 * font_size * static_cast<double>(layout.legend_rows) + (layout.legend_rows == 0 ? 4.0 : 8.0);
  layout.bottom = layout.legend_height + 4.1 * font_size;
  layout.height = layout.top + 240.0 + layout.bottom;
  return layout;
}

/// How a series looks, in gnuplot's words. It depends on the name, and only the dashes on the style too.
struct Look {
  std::string colour{};  // "#0072B2"
  std::string line{};
  std::string point{};
};

inline Look look_of(const Series& series, const std::vector<std::string>& names) {
  const auto index = static_cast<std::size_t>(std::find(names.begin(), names.end(), series.name) - names.begin());
  constexpr std::array<int, 5> markers = {7, 5, 9, 13, 11};  // disc, square, triangle, diamond, triangle down
  constexpr std::array<const char*, 3> dashes = {"solid", "(1,2)", "(7,2,1,2)"};  // for more names than colours
  const std::size_t colours = colour_blind_safe_palette.size();
  return {std::string(colour_blind_safe_palette[index % colours]),
          std::string(" linewidth 2 dashtype ") +
              (series.style == SeriesStyle::dashed ? "(7,4)" : dashes[index / colours % dashes.size()]),
          " pointsize 0.7 pointtype " + std::to_string(markers[index % markers.size()])};
}

/// The plot command of one panel, whose first series is the block `first_block` of the data file.
inline std::string plot_of(const Panel& panel, std::size_t first_block, const std::vector<std::string>& names,
                           const Range& y_range, bool logarithmic_y) {
  // On a logarithmic axis what reaches down to zero or below it ends at the axis.
  const std::string low = logarithmic_y ? "($3 > 0 ? $3 : " + shortest_text(y_range.low) + ')' : "($3)";
  // Clouds lie below bands, bands below lines, lines below points.
  std::array<std::string, 4> layers;
  for (std::size_t position = 0; position < panel.series.size(); ++position) {
    const Series& series = panel.series[position];
    const Look look = look_of(series, names);
    const std::string colour = " linecolor rgb '" + look.colour + '\'';
    const auto add = [&](std::size_t layer, const std::string& plot) {
      layers[layer] += (layers[layer].empty() ? "" : ", \\\n       ") +
                       ("file.'.dat' index " + std::to_string(first_block + position)) + " using " + plot;
    };
    const bool pointed = series.style == SeriesStyle::points || series.style == SeriesStyle::line_points;
    const bool has_bars = !series.low.empty();
    if (series.style == SeriesStyle::dots) {
      add(0, "1:2 with points pointtype 7 pointsize 0.25 linecolor rgb '#B0" + look.colour.substr(1) + '\'');
      continue;
    }
    if (has_bars && !pointed) {
      add(1, "1:" + low + ":4 with filledcurves fillstyle transparent solid 0.18 noborder" + colour);
    }
    if (series.style != SeriesStyle::points) {
      add(2, "1:2 with lines" + look.line + colour);
    }
    if (has_bars && pointed) {
      add(2, "1:" + low + ":(0):($4 - " + low + ") with vectors nohead linewidth 1.5" + colour);
    }
    if (pointed) {
      add(3, "1:2 with points" + look.point + colour);
    }
  }
  std::string plots;
  for (const std::string& layer : layers) {
    plots += (plots.empty() || layer.empty() ? "" : ", \\\n       ") + layer;
  }
  return "  plot " + (plots.empty() ? "NaN" : plots) + '\n';
}

/// The plot command of the legend: for each name, the first series that has it, without any point.
inline std::string legend_of(const Figure& figure, const std::vector<std::string>& names, const Layout& layout) {
  std::vector<std::string> samples(names.size());
  for (const Panel& panel : figure.panels) {
    for (const Series& series : panel.series) {
      const Look look = look_of(series, names);
      std::string& sample =
          samples[static_cast<std::size_t>(std::find(names.begin(), names.end(), series.name) - names.begin())];
      if (sample.empty()) {
        sample = (series.style == SeriesStyle::dots          ? "points pointtype 7 pointsize 0.5"
                  : series.style == SeriesStyle::points      ? "points" + look.point
                  : series.style == SeriesStyle::line_points ? "linespoints" + look.line + look.point
                                                             : "lines" + look.line) +
                 " linecolor rgb '" + look.colour + '\'';
      }
    }
  }
  std::string plots;
  for (const std::size_t name : layout.legend) {
    plots += (plots.empty() ? "  plot NaN with " : ", \\\n       NaN with ") + samples[name] + " title series_" +
             std::to_string(name);
  }
  return plots + '\n';
}

}  // namespace figure_detail

/// The data file of a figure: one block for each series, in the order of panels, with the columns x y low high.
/// \throws ConfigurationError or ShapeError if the figure makes no sense
[[nodiscard]] inline std::string figure_data(const Figure& figure) {
  figure_detail::check(figure);
  std::string data = "# x y low high; one block for each series, panel after panel\n";
  for (const Panel& panel : figure.panels) {
    for (const Series& series : panel.series) {
      data +=
          "# " + figure_detail::gnuplot_quoted(panel.title) + ' ' + figure_detail::gnuplot_quoted(series.name) + '\n';
      const auto cell = [](const std::vector<double>& values, std::size_t point) {
        return point < values.size() && std::isfinite(values[point]) ? shortest_text(values[point])
                                                                     : std::string("NaN");
      };
      for (std::size_t point = 0; point < series.x.size(); ++point) {
        data += cell(series.x, point) + ' ' + cell(series.y, point) + ' ' + cell(series.low, point) + ' ' +
                cell(series.high, point) + '\n';
      }
      // Without a point a block would vanish and the blocks after it change their number.
      data += series.x.empty() ? "NaN NaN NaN NaN\n\n\n" : "\n\n";
    }
  }
  return data;
}

/// The gnuplot script of a figure, which draws `name.png` and `name.svg` from `name.dat` in the same folder.
/// \throws ConfigurationError or ShapeError if the figure makes no sense
[[nodiscard]] inline std::string figure_script(const Figure& figure, std::string_view name) {
  using namespace figure_detail;
  check(figure);
  const std::vector<std::string> names = series_names(figure);
  const Layout layout = layout_of(figure, names);
  const double scale = (std::max)(2.0, 1600.0 / layout.width);
  const auto number = [](double value) { return tick_text(value); };
  const auto across = [&](double position) { return tick_text(position / layout.width); };
  const auto upwards = [&](double position) { return tick_text(position / layout.height); };

  std::string script =
      "# Draws the PNG and the SVG file from the data file. Run gnuplot 5.2 or later in this folder.\n"
      "set encoding utf8\n"
      "file = " +
      gnuplot_quoted("./" + std::string(name)) +
      "\n"
      "title = " +
      gnuplot_quoted(figure.title) +
      "\n"
      "x_label = " +
      gnuplot_quoted(figure.x_axis.label) +
      "\n"
      "y_label = " +
      gnuplot_quoted(figure.y_axis.label) + "\n";
  for (std::size_t panel = 0; panel < figure.panels.size(); ++panel) {
    script += "panel_" + std::to_string(panel) + " = " + gnuplot_quoted(figure.panels[panel].title) + '\n';
  }
  for (const std::size_t series : layout.legend) {
    script += "series_" + std::to_string(series) + " = " + gnuplot_quoted(names[series]) + '\n';
  }

  script +=
      "do for [format in 'png svg'] {\n"
      "  if (format eq 'png') {\n"
      "    set terminal pngcairo noenhanced size " +
      number(std::round(scale * layout.width)) + ',' + number(std::round(scale * layout.height)) +
      " font 'sans-serif," + number(0.75 * font_size) + "' fontscale " + number(scale) + " linewidth " + number(scale) +
      " pointscale " + number(scale) +
      "\n"
      "  } else {\n"
      "    set terminal svg noenhanced size " +
      number(layout.width) + ',' + number(std::round(layout.height)) + " font 'sans-serif," + number(font_size) +
      "' background rgb 'white'\n"
      "    set xtics offset 0,0.4\n    set ytics offset 0.6,0\n"
      "  }\n"
      "  set output file.'.'.format\n"
      "  set multiplot\n"
      "  unset key\n"
      "  set border 3 linecolor rgb '#404040' linewidth 1\n"
      "  set tics out nomirror scale 0.5 textcolor rgb '#202020'\n"
      "  set grid xtics ytics linetype 1 linecolor rgb '#E4E4E4' linewidth 0.7\n"
      "  set clip two\n"
      "  set format x '%g'\n";
  script += figure.x_axis.logarithmic ? "  set logscale x\n" : "";
  script += figure.y_axis.logarithmic ? "  set logscale y\n" : "";

  // Labels stand at fixed places, since the two terminals would put them in different ones.
  script += "  set label 1 title at screen 0.5," + upwards(layout.height - 1.2 * font_size) + " center\n";
  script += "  set label 2 y_label at screen " + across(1.2 * font_size) + ',' +
            upwards(0.5 * (layout.bottom + layout.height - layout.top)) + " center rotate by 90\n";
  // An x label that is wider than its panel stands once, below them all.
  const bool wide_label = text_width(figure.x_axis.label) > layout.panel_width;
  const auto axis = [&](const std::string& letter, const Range& range, bool logarithmic) {
    std::string list;
    for (const double tick : ticks(range, logarithmic, 5)) {
      list += (list.empty() ? "" : ", ") + tick_text(tick);
    }
    return "  set " + letter + "range [" + shortest_text(range.low) + ':' + shortest_text(range.high) + "]\n  set " +
           letter + "tics (" + list + ")\n";
  };
  std::size_t block = 0;
  for (std::size_t index = 0; index < figure.panels.size(); ++index) {
    const Panel& panel = figure.panels[index];
    const double from = layout.left + static_cast<double>(index) * (layout.panel_width + layout.gap);
    const double middle = from + 0.5 * layout.panel_width;
    script += "  set lmargin at screen " + across(from) + "\n  set rmargin at screen " +
              across(from + layout.panel_width) + "\n  set bmargin at screen " + upwards(layout.bottom) +
              "\n  set tmargin at screen " + upwards(layout.height - layout.top) + '\n';
    script += "  set label 3 panel_" + std::to_string(index) + " at screen " + across(middle) + ',' +
              upwards(layout.height - layout.top + 0.9 * font_size) + " center\n";
    if (index == 0 || !wide_label) {
      script += "  set label 4 x_label at screen " +
                across(wide_label ? 0.5 * (layout.left + layout.width - layout.right) : middle) + ',' +
                upwards(layout.legend_height + font_size) + " center\n";
    }
    script += axis("x", layout.x_ranges[index], figure.x_axis.logarithmic);
    script += axis("y", layout.y_ranges[index], figure.y_axis.logarithmic);
    script += std::string("  set format y '") + (figure.share_y && index > 0 ? "" : "%g") + "'\n";
    script += plot_of(panel, block, names, layout.y_ranges[index], figure.y_axis.logarithmic);
    script += index == 0 ? "  unset label 1\n  unset label 2\n" : "";
    script += index == 0 && wide_label ? "  unset label 4\n" : "";
    block += panel.series.size();
  }
  if (!layout.legend.empty()) {
    // The legend is the key of a last, empty plot below the panels.
    script +=
        "  unset border\n  unset tics\n  unset grid\n  unset label\n  unset logscale\n"
        "  set xrange [0:1]\n  set yrange [0:1]\n"
        "  set lmargin at screen 0\n  set rmargin at screen 1\n  set bmargin at screen 0\n  set tmargin at screen " +
        upwards(layout.legend_height) +
        "\n  set key center center horizontal Left reverse samplen 2.5 spacing 1.1 maxcols " +
        std::to_string(layout.legend_columns) + " maxrows " + std::to_string(layout.legend_rows) + '\n';
    script += legend_of(figure, names, layout);
  }
  return script + "  unset multiplot\n  unset output\n  reset\n}\n";
}

/// Writes `path`.dat and `path`.gp and has gnuplot draw `path`.png and `path`.svg; `path` has no extension. Where
/// gnuplot is missing or fails, data and script stay, older images go, and the result says what to do.
/// \throws ConfigurationError or ShapeError if the figure makes no sense; FileError if data or script cannot be written
[[nodiscard]] inline FigureResult write_figure(const Figure& figure, const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  const std::string folder = path.has_parent_path() ? path.parent_path().string() : std::string(".");
  require(!name.empty() && name != "." && name != "..", "write_figure: '", path.string(), "' names no file");
  for (const char letter : name) {
    require(static_cast<unsigned char>(letter) >= 0x20, "write_figure: the name '", name,
            "' holds a control character, which a gnuplot script cannot write");
  }
  const auto beside = [&](const char* extension) {
    std::filesystem::path file = path;
    file += extension;
    return file;
  };
  const auto write = [](const std::filesystem::path& file, const std::string& content) {
    std::ofstream stream(file, std::ios::binary);
    stream << content;
    stream.close();
    require<FileError>(!stream.fail(), "cannot write '", file.string(), "'");
  };
  write(beside(".dat"), figure_data(figure));
  write(beside(".gp"), figure_script(figure, name));

  std::error_code ignored;
  std::filesystem::remove(beside(".png"), ignored);
  std::filesystem::remove(beside(".svg"), ignored);
#if defined(_WIN32)
  const std::string change_folder = "cd /d ";
#else
  const std::string change_folder = "cd -- ";
#endif
  const std::string draw = "gnuplot -d " + figure_detail::shell_quoted("./" + name + ".gp");
  const std::string command = change_folder + figure_detail::shell_quoted(folder) + " && " + draw + " > " +
                              figure_detail::shell_quoted("./" + name + ".log") + " 2>&1";
  const int status = std::system(command.c_str());
  const auto drawn = [&](const char* extension) {
    const std::uintmax_t bytes = std::filesystem::file_size(beside(extension), ignored);
    return bytes != 0 && bytes != static_cast<std::uintmax_t>(-1);
  };
  if (status == 0 && drawn(".png") && drawn(".svg")) {
    std::filesystem::remove(beside(".log"), ignored);
    return {true, beside(".png").string()};
  }
  std::string said;
  {
    std::ifstream log(beside(".log"));
    for (std::string line; std::getline(log, line);) {
      said += line.empty() ? "" : " " + line;
    }
  }
  std::filesystem::remove(beside(".log"), ignored);
  return {false, "gnuplot drew no figure from '" + beside(".gp").string() +
                     "'; install gnuplot with the pngcairo and svg terminals and run it on that script, in its folder."
                     " What was said:" +
                     (said.empty() ? " nothing" : said)};
}

INCONTEXT_NAMESPACE_END
