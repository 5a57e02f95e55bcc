#include "incontext/report/csv.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <locale>
#include <sstream>
#include <string>
#include <vector>

using namespace incontext;

namespace {

const std::string header = "study,seed,stage,task,exemplars,predictor,metric,value\n";

std::vector<Record> awkward_records() {
  return {{.study = "forgetting",
           .seed = std::numeric_limits<std::uint64_t>::max(),
           .stage = "fine-tuned, \"twice\"",
           .task = "two\nlines",
           .exemplars = -1,
           .predictor = "",
           .metric = "squared error\r\n, noiseless",
           .value = 0.1 + 0.2},
          {.study = "γ", .value = std::numeric_limits<double>::denorm_min()},
          {.study = "\"", .value = -std::numeric_limits<double>::infinity()}};
}

std::string error_of(const std::string& content) {
  std::istringstream stream(content);
  try {
    static_cast<void>(read_records(stream, "results.csv"));
  } catch (const FileError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("records come back as they were, to the bit") {
  const std::vector<Record> records = awkward_records();
  std::stringstream stream;
  write_records(stream, records);
  CHECK(read_records(stream, "memory") == records);

  std::stringstream not_a_number;
  write_records(not_a_number, std::vector<Record>{{.value = std::nan("")}});
  CHECK(std::isnan(read_records(not_a_number, "memory").at(0).value));
}

TEST_CASE("records come back from a file, which nothing half written ever replaces") {
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / "incontext test csv";
  std::filesystem::create_directories(folder);
  const std::filesystem::path path = folder / "records.csv";
  write_records(path, std::vector<Record>(5));
  write_records(path, awkward_records());
  CHECK(read_records(path) == awkward_records());
  CHECK_FALSE(std::filesystem::exists(folder / "records.csv.partial"));
  std::filesystem::remove_all(folder);
  CHECK_THROWS_AS(write_records(path, awkward_records()), FileError);
  CHECK_THROWS_AS(static_cast<void>(read_records(path)), FileError);
}

TEST_CASE("fields are quoted only where RFC 4180 asks for it") {
  CHECK(csv_field("plain text") == "plain text");
  CHECK(csv_field("a,b") == "\"a,b\"");
  CHECK(csv_field("say \"no\"") == "\"say \"\"no\"\"\"");
  CHECK(csv_field("a\nb") == "\"a\nb\"");
}

TEST_CASE("both line ends and a missing last one are read") {
  for (const std::string content : {"a,\"b\"\r\nc,\r\n", "a,\"b\"\nc,\n", "a,\"b\"\nc,"}) {
    const std::vector<CsvRow> rows = parse_csv(content, "memory");
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].fields == std::vector<std::string>{"a", "b"});
    CHECK(rows[1].fields == std::vector<std::string>{"c", ""});
    CHECK(rows[1].line == 2);
  }
  CHECK(parse_csv("", "memory").empty());
}

TEST_CASE("malformed rows are refused with file and line") {
  const std::string good = "s,1,\"a\nb\",t,3,p,m,0.5\n";  // takes two lines
  CHECK(error_of(header + good).empty());
  CHECK(error_of("") != "");
  CHECK(error_of("seed,study\n").find("results.csv:1:") == 0);
  CHECK(error_of(header + good + "s,1,a,t,3,p,m\n").find("results.csv:4: 7 fields, expected 8") == 0);
  CHECK(error_of(header + good + "\n").find("results.csv:4:") == 0);
  CHECK(error_of(header + "s,-1,a,t,3,p,m,0.5\n").find("results.csv:2: seed is '-1'") == 0);
  CHECK(error_of(header + "s,1,a,t,3.5,p,m,0.5\n").find("results.csv:2: exemplars is '3.5'") == 0);
  CHECK(error_of(header + "s,1,a,t,3,p,m,0.5x\n").find("results.csv:2: value is '0.5x'") == 0);
  CHECK(error_of(header + "s,1,a,t,3,p,m,\n").find("results.csv:2: value is ''") == 0);
  CHECK(error_of(header + good + "s,1,\"a,t,3,p,m,0.5\n").find("results.csv:4: a quoted field is never closed") == 0);
  CHECK(error_of(header + "s,1,\"a\"b,t,3,p,m,0.5\n").find("results.csv:2:") == 0);
  CHECK(error_of(header + "s,1,a\"b,t,3,p,m,0.5\n").find("results.csv:2:") == 0);
  CHECK(error_of(header + "s,1,a\rb,t,3,p,m,0.5\n").find("results.csv:2:") == 0);
}

TEST_CASE("a writer of any columns writes row after row") {
  std::ostringstream stream;
  CsvWriter writer(stream, {"stage", "step", "loss, mean"});
  CHECK(stream.str() == "stage,step,\"loss, mean\"\n");
  writer.row("pretrain", Index{100}, 0.1);
  writer.row(std::string("fine, tune"), 2, 1.5F);
  CHECK(stream.str() == "stage,step,\"loss, mean\"\npretrain,100,0.1\n\"fine, tune\",2,1.5\n");
  CHECK_THROWS_AS(writer.row("too few", 1), ShapeError);
  stream.setstate(std::ios::badbit);
  CHECK_THROWS_AS(writer.row("pretrain", 101, 0.1), FileError);
  CHECK_THROWS_AS(CsvWriter(stream, {}), ConfigurationError);
}

TEST_CASE("numbers do not follow the stream's locale") {
  struct Grouping : std::numpunct<char> {
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
  };
  std::ostringstream stream;
  stream.imbue(std::locale(std::locale::classic(), new Grouping));
  write_records(stream, std::vector<Record>{{.seed = 1234567, .exemplars = 4321, .value = 12345.5}});
  CHECK(stream.str() == header + ",1234567,,,4321,,,12345.5\n");
}
