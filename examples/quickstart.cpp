// A transformer learns regression in context, is fine-tuned on four tasks, forgets others, and gets some back.
#include <incontext/incontext.hpp>

#include <cstdio>

using namespace incontext;

int main() {
  const Key root{2024};
  const auto broad = LinearRegression{{.dimension = 2, .points = 6, .noise = 0.5}};  // a fresh task every prompt
  const auto narrow = pool(broad, 4, root.fold("pool"));                             // four fixed tasks
  const auto adam = chain(clip_norm(1.0), adam_w({.decay = 0.0}), rate(cosine(3e-3, 4000, 100)));
  const auto gentle = chain(clip_norm(1.0), adam_w({.decay = 0.0}), rate(3e-4));

  Suite suite{{.prompts = 4096, .key = root.fold("evaluation")}};
  suite.task("broad", broad).task("narrow", narrow);
  suite.reference("ridge", Ridge{{.noise = 0.5}});
  suite.reference("mixture posterior", MixturePosterior{narrow.weights(), {.noise = 0.5}});

  const auto study = Pretrain{mix(broad, 0.5, narrow), adam, {.steps = 4000}}  //
                     | Evaluate{"pretrained", suite}                           //
                     | fork(FineTune{narrow, gentle, {.steps = 400}}           //
                            | Evaluate{"fine-tuned", suite}                    //
                            | ConjugatePrompt{ScaleLabels{1.5}}                //
                            | Evaluate{"conjugated", suite});
  Transformer<float> model{{.dimension = 2, .points = 6, .layers = 2, .width = 32, .initial_scale = 0.1}, root};
  const auto result = study(start(std::move(model), root.fold("run")), ProgressLine{});

  std::printf("squared error after 1 exemplar\n");
  for (const Record& record : result.records()) {
    if (record.exemplars == 1 && record.metric == "squared_error_target") {
      std::printf("%-12s %-8s %-18s %.3f\n", record.stage.c_str(), record.task.c_str(), record.predictor.c_str(),
                  record.value);
    }
  }
}
