/// Conjugate prompting by translation (Kotha et al. 2024, section 4), in small: pretrain in several languages,
/// fine-tune in one, forget by language, recover by translating.
///
///   translation --preset demo
///   translation --preset full
///   translation --help

#include "../shared/command.hpp"
#include "report.hpp"
#include "settings.hpp"
#include "study.hpp"

#include <cstdio>
#include <optional>
#include <string>

namespace {

using namespace incontext;
using namespace translation;

int run(const Settings& settings, const std::string& command) {
  const std::filesystem::path table = settings.output / "translation.csv";
  require<FileError>(!settings.summarise || std::filesystem::exists(table), "--summarise needs the table '",
                     table.string(), "', which is not there; run the study first");
  studies::check_output(settings.output);
  Results results;
  if (settings.summarise) {
    results.measurements = read_measurements(table);
    results.shared_words = read_shared_words(settings.output / "shared_words.csv");
  } else {
    ThreadExecutor executor(settings.threads);
    const double seconds = projected_seconds(settings, executor) * static_cast<double>(settings.seeds);
    std::fprintf(stderr, "translation, preset %s: %lld seed%s, training will take about %s on %lld thread%s\n",
                 settings.preset.c_str(), static_cast<long long>(settings.seeds), settings.seeds == 1 ? "" : "s",
                 duration_text(seconds).c_str(), static_cast<long long>(settings.threads),
                 settings.threads == 1 ? "" : "s");
    ProgressLine progress;
    for (Index index = 0; index < settings.seeds; ++index) {
      run_study(settings, settings.first_seed + static_cast<std::uint64_t>(index), {executor, progress}, results);
    }
  }
  const std::string figure = write_report(settings, results, command);
  print_claims(settings, results.measurements);
  std::printf("\n%s\n%s\n%s\n", table.string().c_str(), (settings.output / "summary.md").string().c_str(),
              figure.c_str());
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  return studies::run_command("translation", [&] {
    const std::optional<Settings> settings = parse(count, arguments);
    return settings ? run(*settings, studies::command_line("translation", count, arguments)) : 0;
  });
}
