#pragma once
// One request in flight: its choices, from the engine's outputs to the bytes of the answer.
// Outputs come on one thread (INV-G1); disconnects from any. The writer is told everything exactly once.
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "api/error.h"
#include "api/responses.h"
#include "serve/http.h"
#include "serve/metrics.h"
#include "serve/output_processor.h"
#include "serve/prompts.h"
#include "serve/shown_logprobs.h"

namespace vllm::serve {

struct GenerationOptions {
  bool chat = false;
  bool stream = false, include_usage = false, continuous_usage = false;
  bool echo = false;       // completions: the prompt goes first; chat: `echo_content` does
  bool only_echo = false;  // completions with max_tokens 0
  std::string echo_content = {};
  std::string role = "assistant";
  bool return_token_ids = false, return_prompt_text = false, logprobs = false, prompt_logprobs = false;
  LogprobStyle style = {};
  bool sparse_deltas =
      false;  // as vLLM with a tool parser: a chunk without text has an empty delta, and goes only if it must
  int stream_interval = 1;  // tokens per chunk
  int n = 1;                // choices per prompt
  bool details = false;     // prompt_tokens_details
  int block_size = 0;       // of the prefix cache, for created_cache_tokens
  size_t max_pending_bytes = size_t{8} << 20;
};

class Generation {
 public:
  struct ChoiceSpec {
    RequestId id = 0;
    OutputOptions output = {};
    int max_tokens = 0;
  };
  using Abort = std::function<void(RequestId)>;

  /// `choices`: n per prompt, prompt by prompt. `arrival_s`: steady clock. `open` lives until the answer is complete.
  Generation(api::AnswerHead head, GenerationOptions options, std::vector<Prompt> prompts,
             std::vector<ChoiceSpec> choices, std::shared_ptr<const text::Tokenizer> tokenizer,
             std::shared_ptr<ResponseWriter> writer, std::shared_ptr<Metrics> metrics, Abort abort, double arrival_s,
             std::shared_ptr<void> open);

  using Hold = std::unique_lock<std::mutex>;
  /// Outputs wait while this is held; it goes on to start() or fail().
  [[nodiscard]] Hold hold() { return Hold(mutex_); }
  /// All sequences are with the engine: send the head of a stream.
  void start(Hold hold);
  /// The engine took not all of them: answer with the error and abort those it took.
  void fail(Hold hold, const api::ApiError& error);
  const std::vector<RequestId>& ids() const { return ids_; }
  /// `now_s`: when the output came from the engine, steady clock.
  /// `gaps`: takes the time since the token before, for Metrics::on_tokens().
  void on_output(size_t choice, EngineOutput&& output, double now_s, TokenGaps& gaps);
  /// The client has gone: every sequence is aborted.
  void on_disconnect();
  bool cancelled() const { return cancelled_.load(); }

 private:
  struct Choice {
    ChoiceSpec spec;
    size_t prompt = 0;
    std::unique_ptr<OutputProcessor> processor;
    OutputDelta delta;  // not yet shown: all of it for a body, less than an interval of a stream
    int num_tokens = 0;
    int64_t text_offset = 0;
    bool began = false, shown = false, done = false;
    std::vector<PositionLogprobs> prompt_logprobs;
    std::optional<FinishReason> finish_reason;
    double first_token_s = 0, last_token_s = 0;
  };
  // All of these under mutex_.
  void take_output(Choice& choice, EngineOutput&& output, double now_s, TokenGaps& gaps, bool& wants_abort);
  struct Measured {  // what the metrics want of an output
    int num_new_tokens = 0, num_cached_tokens = 0, num_preemptions = 0;
    double scheduled_time_s = 0;
    std::optional<FinishReason> finish_reason = {};
  };
  void measure(Choice& choice, const Measured& output, double now_s, TokenGaps& gaps);
  void show(Choice& choice);
  void show_completion(Choice& choice, std::string& out);
  void show_chat(Choice& choice, std::string& out);
  void begin_chat_stream(std::string& out);
  std::string body();
  void finish();
  void send(std::string_view bytes);
  void break_off(const std::string& message);
  api::Usage usage_of(const Choice& choice) const;
  api::Usage total_usage(bool of_last) const;
  std::vector<api::ShownPosition> positions(const Choice& choice, bool with_prompt) const;
  std::string logprobs_json(Choice& choice, bool with_prompt) const;

  const api::AnswerHead head_;
  const GenerationOptions options_;
  const std::vector<Prompt> prompts_;
  const std::vector<RequestId> ids_;
  const std::shared_ptr<const text::Tokenizer> tokenizer_;
  const std::shared_ptr<Metrics> metrics_;  // may be null
  const Abort abort_;
  const double arrival_s_;
  std::atomic<bool> cancelled_{false};

  std::mutex mutex_;                        // guards everything below
  std::shared_ptr<ResponseWriter> writer_;  // null once the answer is complete
  std::shared_ptr<void> open_;
  std::vector<Choice> choices_;
  std::vector<int> cached_tokens_;  // per prompt
  int first_cached_tokens_ = -1;    // of the first output
  size_t num_done_ = 0;
};

std::string_view finish_reason_text(FinishReason reason);
/// Steady clock, in seconds.
double steady_now_s();

}  // namespace vllm::serve
