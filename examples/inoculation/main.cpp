/// Inoculation prompting, and how much of it is conditionalization.
///
///   inoculation --preset demo
///   inoculation --preset full --setting bad-medical-advice --seeds 8 --resume
///   inoculation --preset full --shard 0/2 --output part-0
///   inoculation --preset full --merge part-0,part-1 --output whole
///   inoculation --help

#include "../shared/command.hpp"
#include "command_line.hpp"
#include "grid.hpp"
#include "report.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace inoculation;

/// The rows of the finished cells of this shard.
std::vector<Row> rows_of_cells(const Options& options) {
  std::vector<Row> rows;
  for (const Portion& portion : portions_of(options)) {
    for (const Cell& cell : cells_of(options, portion.setting, portion.base_seed)) {
      const std::vector<Row> more = read_rows(cell_path(options, portion.setting, cell));
      rows.insert(rows.end(), more.begin(), more.end());
    }
  }
  return rows;
}

/// The tables of several folders as one. \throws FileError if one is missing or two have a cell in common
std::vector<Row> merged_rows(const std::vector<std::filesystem::path>& folders) {
  std::vector<Row> rows;
  std::map<std::pair<std::string, Index>, std::filesystem::path> origins;
  for (const std::filesystem::path& folder : folders) {
    const std::filesystem::path path = folder / "inoculation.csv";
    require<FileError>(std::filesystem::exists(path), "--merge needs the table '", path.string(),
                       "', which is not there; run that shard to its end first");
    for (Row& row : read_rows(path)) {
      const auto [origin, is_new] = origins.try_emplace({row.setting, row.base_seed}, path);
      require<FileError>(is_new || origin->second == path, "--merge: both '", origin->second.string(), "' and '",
                         path.string(), "' have ", row.setting, ", base ", row.base_seed);
      rows.push_back(std::move(row));
    }
  }
  // In the order of a run in one piece.
  std::map<std::string, std::size_t> order;
  for (const Setting& setting : all_settings()) {
    order.try_emplace(setting.name, order.size());
  }
  std::stable_sort(rows.begin(), rows.end(), [&](const Row& left, const Row& right) {
    return std::pair(left.base_seed, order[left.setting]) < std::pair(right.base_seed, order[right.setting]);
  });
  return rows;
}

int run(const Options& options, const std::string& command) {
  const std::filesystem::path table = options.output / "inoculation.csv";
  require<FileError>(!options.summarise || std::filesystem::exists(table), "--summarise needs the table '",
                     table.string(), "', which is not there; run the study first");
  std::vector<Row> rows;
  if (!options.merge.empty()) {
    rows = merged_rows(options.merge);
    studies::check_output(options.output);
  } else if (options.summarise) {
    rows = read_rows(table);
  } else {
    studies::check_output(options.output);
    run_grid(options);
    rows = rows_of_cells(options);
  }
  write_rows(table, rows);
  const std::string figure = write_report(options, rows, command);
  std::printf("%s\n%s\n%s\n", table.string().c_str(), (options.output / "report.md").string().c_str(), figure.c_str());
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  return studies::run_command("inoculation", [&] {
    const std::optional<Options> options = parse(count, arguments);
    return options ? run(*options, studies::command_line("inoculation", count, arguments)) : 0;
  });
}
