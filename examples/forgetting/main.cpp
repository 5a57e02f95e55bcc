/// Forgetting as implicit inference (Kotha et al. 2024): pretrain, fine-tune, forget, recover.
///
///   forgetting --preset demo
///   forgetting --preset small --seeds 3
///   forgetting --preset paper --resume
///   forgetting --help

#include "report.hpp"

#include <cstdio>
#include <string>

namespace {

using namespace forgetting;

/// The claims, short, on the terminal.
void print_claims(const Settings& settings, const Table& table) {
  std::printf("\n%-5s %-10s %-10s %-18s %s\n", "claim", "study", "estimate", "95% Student", "outcome: statement");
  for (const Claim& claim : claims_of(settings, table)) {
    const Interval interval = over_seeds(table.seeds(claim.study), claim.estimate);
    std::printf("%-5s %-10s %-10s %-18s %s: %s\n", claim.number.c_str(), claim.study.c_str(),
                significant_text(interval.estimate).c_str(), interval_text(interval).c_str(),
                verdict(claim, interval).c_str(), claim.statement.c_str());
  }
}

int run(const Settings& settings, const std::string& command) {
  const std::filesystem::path records = settings.output / "forgetting.csv";
  require<FileError>(!settings.summarise || std::filesystem::exists(records), "--summarise needs the table '",
                     records.string(), "', which is not there; run the study first");
  check_output(settings.output);
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
  print_claims(settings, Table(results.records));
  std::printf("\n%s\n%s\n%s\n", records.string().c_str(), (settings.output / "summary.md").string().c_str(),
              figure.c_str());
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    return run(parse(count, arguments), command_line("forgetting", count, arguments));
  } catch (const CLI::CallForHelp&) {
    return 0;
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "forgetting: %s (see --help)\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "forgetting: %s\n", error.what());
    return 2;
  }
}
