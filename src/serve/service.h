#pragma once
// Service: template + tokenize → submit → detokenize. The only place where api, text and engine meet.
// Handlers return at once; the work runs on the text pool and the answer goes to the writer.
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "engine/engine.h"
#include "model/config.h"
#include "serve/http.h"
#include "serve/metrics.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace vllm::serve {

struct ServiceConfig {
  std::vector<std::string> served_model_names;  // first = the one that answers carry
  std::string model_root;                       // `root` of /v1/models: what --model said
  int64_t max_model_len = 0;
  int max_logprobs = 20;  // --max-logprobs; -1 = vocabulary
  model::GenerationConfig
      generation;  // defaults after --generation-config, --temperature, --override-generation-config
  std::vector<TokenId> eos_token_ids;
  std::string response_role = "assistant";
  bool return_tokens_as_token_ids = false;
  bool enable_prompt_tokens_details = false;
  bool enable_force_include_usage = false;
  bool enable_request_id_headers = false;
  bool enable_server_load_tracking = false;
  bool trust_request_chat_template = false;
  bool enable_auto_tool_choice = false;  // with a parser; until parsers exist `tools` are rendered, not parsed
  std::string tool_call_parser;
  bool enable_log_requests = false;
  json::object default_chat_template_kwargs;
  int64_t vocab_size = 0;
  int text_threads = 2;
  bool priority_scheduling = false;
  size_t max_pending_bytes = size_t{8} << 20;  // a stream whose reader lags more than this is aborted
};

class Service {
 public:
  Service(ServiceConfig config, std::shared_ptr<const text::Tokenizer> tokenizer,
          std::shared_ptr<const text::ChatTemplate> chat_template, std::shared_ptr<Metrics> metrics);
  ~Service();

  /// Outputs of the engine go in here: pass this to make_engine, then set_engine before the first request.
  engine::OutputSink output_sink();
  void set_engine(engine::Engine* engine);

  using Writer = std::shared_ptr<ResponseWriter>;
  void completions(HttpRequest request, Writer writer);
  void chat_completions(HttpRequest request, Writer writer);
  void tokenize(HttpRequest request, Writer writer);
  void detokenize(HttpRequest request, Writer writer);
  void list_models(HttpRequest request, Writer writer);

  int num_open_requests() const;  // server_load
  /// Refuse new requests with 503 from now on; open ones go on.
  void drain();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace vllm::serve
