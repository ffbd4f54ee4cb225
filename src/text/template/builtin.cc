// Chat templates for checkpoints that carry none, by family.
#include <algorithm>
#include <cctype>
#include <string>

#include "text/chat_template.h"

namespace vllm::text {
namespace {

constexpr std::string_view kChatMl =
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

// The first Qwen: a system turn is always there, and turns are joined by newlines.
constexpr std::string_view kQwen1 =
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{% "
    "endif %}"
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] }}"
    "{% if not loop.last or add_generation_prompt or message['role'] != 'assistant' %}{{ '<|im_end|>\\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

constexpr std::string_view kLlama3 =
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' "
    "}}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}";

constexpr std::string_view kLlama2 =
    "{% set ns = namespace(system='', turn=0) %}"
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}"
    "{% if not loop.first %}{{ raise_exception('A system message must be the first one') }}{% endif %}"
    "{% set ns.system = '<<SYS>>\\n' + message['content'] + '\\n<</SYS>>\\n\\n' %}"
    "{% elif message['role'] == 'user' %}"
    "{% if ns.turn % 2 %}{{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}"
    "{{ bos_token + '[INST] ' + ns.system + message['content'] | trim + ' [/INST]' }}"
    "{% set ns.system = '' %}{% set ns.turn = ns.turn + 1 %}"
    "{% elif message['role'] == 'assistant' %}"
    "{% if ns.turn % 2 == 0 %}{{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}"
    "{{ ' ' + message['content'] | trim + ' ' + eos_token }}"
    "{% set ns.turn = ns.turn + 1 %}"
    "{% else %}{{ raise_exception('Only system, user and assistant roles are supported') }}{% endif %}"
    "{% endfor %}";

// Mistral: one BOS, the system text goes into the last user turn.
constexpr std::string_view kMistral =
    "{% set ns = namespace(system='', last_user=-1, turn=0) %}"
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{% set ns.system = message['content'] + '\\n\\n' %}"
    "{% elif message['role'] == 'user' %}{% set ns.last_user = loop.index0 %}{% endif %}"
    "{% endfor %}"
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}"
    "{% if ns.turn % 2 %}{{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}"
    "{{ '[INST] ' + (ns.system if loop.index0 == ns.last_user else '') + message['content'] + ' [/INST]' }}"
    "{% set ns.turn = ns.turn + 1 %}"
    "{% elif message['role'] == 'assistant' %}"
    "{% if ns.turn % 2 == 0 %}{{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}"
    "{{ ' ' + message['content'] + eos_token }}"
    "{% set ns.turn = ns.turn + 1 %}"
    "{% elif message['role'] != 'system' %}{{ raise_exception('Only system, user and assistant roles are supported') "
    "}}{% endif %}"
    "{% endfor %}";

// Gemma: the assistant is called model, a system text goes before the first user turn.
constexpr std::string_view kGemma =
    "{{ bos_token }}"
    "{% set ns = namespace(system='') %}"
    "{% for message in messages %}"
    "{% if message['role'] == 'system' or message['role'] == 'developer' %}"
    "{% set ns.system = message['content'] | trim + '\\n\\n' %}"
    "{% else %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<start_of_turn>' + role + '\\n' + ns.system + message['content'] | trim + '<end_of_turn>\\n' }}"
    "{% set ns.system = '' %}"
    "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}";

struct FamilyRow {
  std::string_view word;  // in the lower-case name hint
  std::string_view source;
};
// Order matters: a name may hold several words.
constexpr FamilyRow kByName[] = {
    {"llama-3", kLlama3},   {"llama3", kLlama3},   {"llama_3", kLlama3},  {"llama-2", kLlama2},    {"llama2", kLlama2},
    {"codellama", kLlama2}, {"mixtral", kMistral}, {"mistral", kMistral}, {"ministral", kMistral}, {"gemma", kGemma},
    {"qwen", kChatMl},      {"smollm", kChatMl},   {"yi-", kChatMl},      {"hermes", kChatMl},     {"chatml", kChatMl},
};
// Tokens that only an instruction-tuned vocabulary has, or that tell the family apart.
constexpr FamilyRow kByToken[] = {
    {"<|start_header_id|>", kLlama3},
    {"<|im_start|>", kChatMl},
    {"<start_of_turn>", kGemma},
    {"[inst]", kMistral},
};
constexpr std::string_view kChatWords[] = {"chat", "instruct", "-it", "_it", "hermes", "assistant"};

bool has(std::string_view text, std::string_view word) { return text.find(word) != std::string_view::npos; }

}  // namespace

std::string_view builtin_chat_template(std::string_view model_type, std::string_view name_hint) {
  std::string hint(name_hint), type(model_type);
  for (std::string* s : {&hint, &type}) {
    std::transform(s->begin(), s->end(), s->begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  }
  if (type == "qwen" || has(type, "qwenlmhead")) return kQwen1;
  bool chat = std::any_of(std::begin(kChatWords), std::end(kChatWords), [&](auto word) { return has(hint, word); });
  if (chat) {
    for (const auto& row : kByName) {
      if (has(hint, row.word)) return row.source;
    }
  }
  for (const auto& row : kByToken) {
    if (has(hint, row.word)) return row.source;
  }
  if (!chat) return {};
  if (has(type, "qwen2") || has(type, "qwen3")) return kChatMl;
  if (has(type, "gemma")) return kGemma;
  if (has(type, "mistral") || has(type, "mixtral")) return kMistral;
  return {};
}

}  // namespace vllm::text
