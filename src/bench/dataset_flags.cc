#include "bench/flags.h"

namespace vllm::bench {
namespace {

using cli::Flag;
using enum cli::FlagType;
constexpr auto B = cli::Effect::kBuilt;

constexpr Flag kDataset[] = {
    {"dataset-name", kString, "random",
     "random: synthetic prompts; sharegpt: a JSON file of conversations; custom: a .jsonl file with prompt and "
     "output_tokens.",
     B, set<&DatasetArgs::dataset_name>, "random|sharegpt|custom"},
    {"dataset-path", kString, "", "The file of a sharegpt or custom data set.", B, set<&DatasetArgs::dataset_path>},
    {"num-prompts", kHumanInt, "1000", "Number of requests.", B, set_int<&DatasetArgs::num_prompts, 1>},
    {"input-len", kHumanInt, "", "Short for --random-input-len.", B, set_int<&DatasetArgs::input_len, 0>},
    {"output-len", kHumanInt, "", "Output length of whichever data set.", B, set_int<&DatasetArgs::output_len, 1>},
    {"random-input-len", kHumanInt, "1024", "Prompt tokens, special ones included.", B,
     set_int<&DatasetArgs::random_input_len, 0>},
    {"random-output-len", kHumanInt, "128", "Output tokens.", B, set_int<&DatasetArgs::random_output_len, 1>},
    {"random-range-ratio", kString, "0.0",
     "Lengths are drawn evenly from [len * (1 - r), len * (1 + r)]; r in [0, 1), or '{\"input\": r, \"output\": r}'.",
     B, set<&DatasetArgs::random_range_ratio>},
    {"random-prefix-len", kHumanInt, "0", "Tokens in front of every prompt that all prompts share.", B,
     set_int<&DatasetArgs::random_prefix_len, 0>},
    {"random-vocab-size", kHumanInt, "10000",
     "Ids of random prompts are below this, where no tokenizer says what ids there are.", B,
     set_int<&DatasetArgs::random_vocab_size, 1>},
    {"sharegpt-output-len", kHumanInt, "each answer's length", "Output tokens of a sharegpt prompt.", B,
     set_int<&DatasetArgs::sharegpt_output_len, 1>},
    {"custom-output-len", kInt, "256", "Output tokens of a custom prompt; -1: its output_tokens.", B,
     set_int<&DatasetArgs::custom_output_len, -1>},
    {"skip-chat-template", kBool, "true",
     "Send custom prompts as they are. (vLLM's client can render the chat template itself; here use --backend "
     "openai-chat.)",
     B, set<&DatasetArgs::skip_chat_template>},
    {"disable-shuffle", kBool, "false", "Take the prompts of a file in order.", B, set<&DatasetArgs::disable_shuffle>},
    {"no-oversample", kBool, "false", "Do not repeat prompts of a file that has fewer than --num-prompts.", B,
     set<&DatasetArgs::no_oversample>},
};

}  // namespace

std::span<const Flag> dataset_flags() { return kDataset; }

}  // namespace vllm::bench
