#pragma once
// A tokenizer of a few pieces, an engine that says what it is told to, and a writer that remembers: serve without a
// model.
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>

#include "engine/engine.h"
#include "serve/http.h"
#include "text/tokenizer.h"

namespace vllm::serve::testing {

/// ChatML with tools and tool calls; refuses the role "explode".
inline constexpr char kChatMl[] =
    "{% if tools %}<|im_start|>tools\n{{ tools | tojson }}<|im_end|>\n{% endif %}"
    "{% for m in messages %}{% if m.role == 'explode' %}{{ raise_exception('Unknown role: explode') }}{% endif %}"
    "<|im_start|>{{ m.role }}\n{{ m.content }}{% if m.tool_calls %}{{ m.tool_calls | tojson }}{% endif "
    "%}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// Greedy over a list of pieces; every other byte is a token of its own. Ids of the pieces are SmolLM2's.
class FakeTokenizer : public text::Tokenizer {
 public:
  static constexpr TokenId kByteBase = 40000;
  static const std::map<TokenId, std::string>& pieces() {
    static const std::map<TokenId, std::string> table = {
        {1, "<|im_start|>"}, {2, "<|im_end|>"},  {17, "!"},         {28, ","},          {30, "."},
        {42, ":"},           {198, "\n"},        {282, " of"},      {314, " is"},       {504, "The"},
        {665, " there"},     {905, " world"},    {2988, " answer"}, {3575, " capital"}, {4649, " France"},
        {7042, " Paris"},    {7000, " welcome"}, {19556, "Hello"}};
    return table;
  }
  FakeTokenizer() {
    for (int byte = 0; byte < 256; ++byte) bytes_.push_back(std::string(1, static_cast<char>(byte)));
  }
  Result<std::vector<TokenId>> encode(std::string_view text, const text::EncodeOptions&) const override {
    std::vector<TokenId> out;
    while (!text.empty()) {
      TokenId best = kByteBase + static_cast<uint8_t>(text[0]);
      size_t length = 1;
      for (const auto& [id, piece] : pieces()) {
        if (piece.size() > length && text.starts_with(piece)) best = id, length = piece.size();
      }
      for (const auto& [id, piece] : pieces()) {
        if (piece.size() == 1 && length == 1 && text[0] == piece[0]) best = id;
      }
      out.push_back(best);
      text.remove_prefix(length);
    }
    return out;
  }
  std::string_view token_bytes(TokenId id) const override {
    if (auto it = pieces().find(id); it != pieces().end()) return it->second;
    if (id >= kByteBase && id < kByteBase + 256) return bytes_[static_cast<size_t>(id - kByteBase)];
    return {};
  }
  std::optional<std::string_view> id_to_token(TokenId id) const override {
    std::string_view bytes = token_bytes(id);
    return bytes.empty() ? std::nullopt : std::optional(bytes);
  }
  std::optional<TokenId> token_to_id(std::string_view) const override { return std::nullopt; }
  bool is_special(TokenId id) const override { return id == 1 || id == 2; }
  bool strips_leading_space() const override { return false; }
  int vocab_size() const override { return 49152; }
  std::optional<TokenId> bos_id() const override { return 1; }
  std::optional<TokenId> eos_id() const override { return 2; }
  std::string description() const override { return "fake"; }

 private:
  std::vector<std::string> bytes_;
};

/// Answers each sequence with a script, token by token, up to max_tokens; or, with `manual`, only what push() is given.
class FakeEngine : public engine::Engine {
 public:
  engine::OutputSink sink;
  bool manual = false;
  Status refuse = Status::ok();  // what submit() says from the `refuse_after`-th sequence on
  size_t refuse_after = 0;
  std::vector<TokenId> script = {7042, 30, 198, 198, 504, 2988, 314, 42};
  std::vector<TokenId> chat_script = {19556, 665, 28, 7000, 40000 + ' ', 40000 + 'm', 905, 17};

  Status submit(EngineRequest request) override {
    {
      std::lock_guard lock(mutex);
      if (!refuse && requests.size() >= refuse_after) return refuse;
      requests.push_back(request);
      if (manual) running.insert(request.id);
    }
    changed.notify_all();
    if (!manual) answer(request);
    return Status::ok();
  }
  void abort(RequestId id) override {
    bool was_running = false;
    {
      std::lock_guard lock(mutex);
      aborted.push_back(id);
      was_running = running.erase(id) > 0;
    }
    changed.notify_all();
    if (was_running) push(id, {}, FinishReason::kAbort);
  }
  engine::EngineStats stats() const override {
    engine::EngineStats stats;
    stats.block_size = 16;
    return stats;
  }
  bool healthy() const override { return alive; }
  std::string death_reason() const override { return {}; }
  void reset_prefix_cache() override {}
  void shutdown(double) override {}

  void push(RequestId id, std::vector<TokenId> tokens, std::optional<FinishReason> finish = {},
            std::string error = {}) {
    EngineOutput out;
    out.id = id, out.new_token_ids = std::move(tokens), out.finish_reason = finish, out.error = std::move(error);
    if (finish) {
      std::lock_guard lock(mutex);
      running.erase(id);
    }
    sink({std::move(out)});
  }
  /// Wait until `count` sequences have been submitted; their requests.
  std::vector<EngineRequest> wait_requests(size_t count) {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, std::chrono::seconds(10), [&] { return requests.size() >= count; });
    return requests;
  }
  bool wait_aborted(RequestId id) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(10),
                            [&] { return std::find(aborted.begin(), aborted.end(), id) != aborted.end(); });
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<EngineRequest> requests;
  std::vector<RequestId> aborted;
  std::set<RequestId> running;
  bool alive = true;

 private:
  static PositionLogprobs logprobs(TokenId token, int num_top, const std::vector<TokenId>& extra) {
    PositionLogprobs out = {{token, -0.25f, 1}};
    for (int i = 0; i < num_top; ++i)
      out.push_back({i == 0 ? token : TokenId(30 - i), -0.25f - static_cast<float>(i), i + 1});
    for (TokenId id : extra) out.push_back({id, -std::numeric_limits<float>::infinity(), 49152});
    return out;
  }
  void answer(const EngineRequest& request) {
    const SamplingParams& p = request.sampling;
    const auto& tokens = request.prompt_token_ids[0] == 1 ? chat_script : script;
    for (int i = 0; i < p.max_tokens; ++i) {
      EngineOutput out;
      out.id = request.id;
      const TokenId token = tokens[static_cast<size_t>(i) % tokens.size()];
      out.new_token_ids = {token};
      if (p.logprobs) out.logprobs = {logprobs(token, *p.logprobs, p.logprob_token_ids)};
      if (p.prompt_logprobs && i == 0) {
        for (size_t t = 1; t < request.prompt_token_ids.size(); ++t) {
          out.prompt_logprobs.push_back(logprobs(request.prompt_token_ids[t], *p.prompt_logprobs, {}));
        }
      }
      const bool stop = std::find(p.stop_token_ids.begin(), p.stop_token_ids.end(), token) != p.stop_token_ids.end();
      if (stop) out.stop_token = token, out.finish_reason = FinishReason::kStop;
      if (!stop && i + 1 == p.max_tokens) out.finish_reason = FinishReason::kLength;
      sink({std::move(out)});
      if (stop) return;
    }
  }
};

/// Remembers an answer; wait() returns once it is complete.
class FakeWriter : public ResponseWriter {
 public:
  void respond(HttpResponse response) override {
    std::lock_guard lock(mutex_);
    head = std::move(response);
    body = head.body;
    ++answers;
    done_ = true;
    changed_.notify_all();
  }
  void start_stream(HttpResponse response) override {
    std::lock_guard lock(mutex_);
    head = std::move(response);
    streaming = true;
    ++answers;
  }
  size_t write(std::string_view bytes) override {
    std::lock_guard lock(mutex_);
    body += bytes;
    changed_.notify_all();
    return never_reads ? body.size() : 0;
  }
  void end() override {
    std::lock_guard lock(mutex_);
    done_ = true;
    changed_.notify_all();
  }
  size_t pending_bytes() const override {
    std::lock_guard lock(mutex_);
    return never_reads ? body.size() : 0;
  }
  void on_disconnect(std::function<void()> callback) override {
    std::unique_lock lock(mutex_);
    callback_ = std::move(callback);
    if (gone_) {
      lock.unlock();
      callback_();
    }
  }
  void disconnect() {
    std::function<void()> callback;
    {
      std::lock_guard lock(mutex_);
      gone_ = true;
      callback = callback_;
    }
    if (callback) callback();
  }
  bool wait() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return done_; });
  }
  bool wait_for_text(std::string_view text) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return body.find(text) != std::string::npos; });
  }

  HttpResponse head;
  std::string body;
  bool streaming = false, never_reads = false;
  int answers = 0;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> callback_;
  bool done_ = false, gone_ = false;
};

}  // namespace vllm::serve::testing
