/// Forgetting as implicit inference (Kotha et al. 2024): pretrain, fine-tune, forget, recover.
///
///   forgetting --preset demo
///   forgetting --preset small --seeds 3
///   forgetting --preset paper --resume
///   forgetting --help

#include "../shared/command.hpp"
#include "report.hpp"
#include "study.hpp"

#include <incontext/core/executor.hpp>
#include <incontext/policy/progress_line.hpp>
#include <incontext/report/csv.hpp>
#include <incontext/report/progress.hpp>

#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace forgetting;

int run(const Settings& settings, const std::string& command) {
  const std::filesystem::path records = settings.output / "forgetting.csv";
  require<FileError>(!settings.summarise || std::filesystem::exists(records), "--summarise needs the table '",
                     records.string(), "', which is not there; run the study first");
  studies::check_output(settings.output);
  Results results;
  if (settings.summarise) {
    results.records = read_records(records);
    results.likelihoods = read_likelihoods(settings.output / "likelihood.csv");
  } else {
    ThreadExecutor executor(settings.threads);
    const Projection projection = projected(settings, executor);
    const double seconds = projection.seconds * static_cast<double>(settings.seeds);
    std::fprintf(stderr, "forgetting, preset %s: %lld seed%s, training will take about %s on %lld thread%s\n",
                 settings.preset.c_str(), static_cast<long long>(settings.seeds), settings.seeds == 1 ? "" : "s",
                 duration_text(seconds).c_str(), static_cast<long long>(settings.threads),
                 settings.threads == 1 ? "" : "s");
    std::fprintf(stderr, "memory of a training step: workspace at most %s MiB, gradients %s MiB\n",
                 significant_text(projection.workspace_mib).c_str(), significant_text(projection.gradient_mib).c_str());
    ProgressLine progress;
    std::vector<double> alphas = settings.alphas;
    if (settings.pure) {
      alphas.push_back(0.0);
      alphas.push_back(1.0);
    }
    for (Index index = 0; index < settings.seeds; ++index) {
      for (const double alpha : alphas) {
        run_study(settings, settings.first_seed + static_cast<std::uint64_t>(index), alpha,
                  {executor, progress, command, projection.step_seconds}, results);
      }
    }
  }
  const std::string figure = write_report(settings, results, command);
  print_claims(settings, results.records);
  std::printf("\n%s\n%s\n%s\n", records.string().c_str(), (settings.output / "summary.md").string().c_str(),
              figure.c_str());
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  return studies::run_command("forgetting", [&] {
    const std::optional<Settings> settings = parse(count, arguments);
    return settings ? run(*settings, studies::command_line("forgetting", count, arguments)) : 0;
  });
}
