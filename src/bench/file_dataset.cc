#include <fstream>
#include <sstream>

#include "base/json.h"
#include "bench/dataset.h"
#include "bench/random.h"

namespace vllm::bench {
namespace {

Result<std::string> read_file(const std::string& path) {
  if (path.empty()) return invalid_argument("this data set needs --dataset-path");
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) return error(ErrorCode::kNotFound, "--dataset-path {}: cannot be read", path);
  return std::move(text).str();
}

// A conversation's first two turns, if it has them.
struct Turns {
  std::string prompt, answer;
};
std::optional<Turns> first_turns(const json::value& entry) {
  if (!entry.is_object()) return std::nullopt;
  const json::array* turns = get_array(entry.get_object(), "conversations");
  if (!turns || turns->size() < 2 || !(*turns)[0].is_object() || !(*turns)[1].is_object()) return std::nullopt;
  auto prompt = get_string((*turns)[0].get_object(), "value"), answer = get_string((*turns)[1].get_object(), "value");
  if (!prompt || !answer) return std::nullopt;
  return Turns{*prompt, *answer};
}

Result<std::vector<Sample>> sharegpt(const DatasetArgs& args, const text::Tokenizer* tokenizer, MersenneTwister& rng) {
  if (!tokenizer) return invalid_argument("--dataset-name sharegpt needs --tokenizer, to know lengths");
  ASSIGN_OR_RETURN(std::string text, read_file(args.dataset_path));
  ASSIGN_OR_RETURN(json::value parsed, parse_json(text).with_context("{}", args.dataset_path));
  if (!parsed.is_array()) return invalid_argument("{}: expected a JSON list of conversations", args.dataset_path);
  std::vector<Turns> all;
  for (const json::value& entry : parsed.get_array()) {
    if (auto turns = first_turns(entry)) all.push_back(*std::move(turns));
  }
  if (!args.disable_shuffle) python_shuffle(rng, all);
  std::vector<Sample> out;
  for (Turns& turns : all) {
    if (static_cast<int64_t>(out.size()) >= args.num_prompts) break;
    ASSIGN_OR_RETURN(std::vector<TokenId> prompt, tokenizer->encode(turns.prompt));
    ASSIGN_OR_RETURN(std::vector<TokenId> answer, tokenizer->encode(turns.answer));
    Sample sample{std::move(turns.prompt),
                  {},
                  static_cast<int64_t>(prompt.size()),
                  args.sharegpt_output_len.value_or(static_cast<int64_t>(answer.size()))};
    // vLLM's rule for this set: nothing tiny, nothing huge.
    bool tiny = sample.prompt_len < 4 || (!args.sharegpt_output_len && sample.output_len < 4);
    if (tiny || sample.prompt_len > 1024 || sample.prompt_len + sample.output_len > 2048) continue;
    out.push_back(std::move(sample));
  }
  return out;
}

Result<std::vector<Sample>> custom(const DatasetArgs& args, const text::Tokenizer* tokenizer, MersenneTwister& rng) {
  ASSIGN_OR_RETURN(std::string text, read_file(args.dataset_path));
  std::vector<json::object> rows;
  std::istringstream lines(text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    ASSIGN_OR_RETURN(json::value row, parse_json(line).with_context("{} line {}", args.dataset_path, number));
    if (!row.is_object() || !get_string(row.get_object(), "prompt"))
      return invalid_argument("{} line {}: expected an object with a prompt", args.dataset_path, number);
    rows.push_back(std::move(row.get_object()));
  }
  if (!args.disable_shuffle) python_shuffle(rng, rows);
  std::vector<Sample> out;
  for (const json::object& row : rows) {
    if (static_cast<int64_t>(out.size()) >= args.num_prompts) break;
    Sample sample{*get_string(row, "prompt"), {}, 1, args.custom_output_len};
    if (sample.output_len == -1) {
      sample.output_len = get_int(row, "output_tokens").value_or(0);
      if (sample.output_len < 1)
        return invalid_argument("{}: with --custom-output-len -1 every line needs output_tokens of 1 or more",
                                args.dataset_path);
    }
    if (tokenizer) {
      ASSIGN_OR_RETURN(std::vector<TokenId> ids, tokenizer->encode(sample.text));
      sample.prompt_len = static_cast<int64_t>(ids.size());
    }
    out.push_back(std::move(sample));
  }
  return out;
}

}  // namespace

Result<std::vector<Sample>> file_samples(const DatasetArgs& args, const text::Tokenizer* tokenizer) {
  const auto seed = static_cast<uint64_t>(args.seed);
  MersenneTwister rng = MersenneTwister::python(seed);
  std::vector<Sample> out;
  if (args.dataset_name == "sharegpt") {
    ASSIGN_OR_RETURN(out, sharegpt(args, tokenizer, rng));
  } else {
    ASSIGN_OR_RETURN(out, custom(args, tokenizer, rng));
  }
  if (out.empty()) return invalid_argument("{} has no prompt that can be used", args.dataset_path);
  const size_t own = out.size();
  if (!args.no_oversample && own < static_cast<size_t>(args.num_prompts)) {
    rng = MersenneTwister::python(seed);
    while (out.size() < static_cast<size_t>(args.num_prompts)) out.push_back(out[rng.below(own)]);
  }
  return out;
}

Result<std::vector<Sample>> make_samples(DatasetArgs args, PromptForm form, const text::Tokenizer* tokenizer,
                                         const Vocabulary& vocabulary) {
  if (args.input_len) args.random_input_len = *args.input_len;
  if (args.output_len) {
    args.random_output_len = args.custom_output_len = *args.output_len;
    args.sharegpt_output_len = args.output_len;
  }
  if (args.dataset_name != "random") return file_samples(args, tokenizer);
  if (!args.dataset_path.empty())
    return invalid_argument("--dataset-path goes with --dataset-name sharegpt or custom, not random");
  return random_samples(args, form, tokenizer, vocabulary);
}

}  // namespace vllm::bench
