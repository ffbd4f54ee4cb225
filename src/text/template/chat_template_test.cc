#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <thread>

#include "base/mapped_file.h"

namespace vllm::text {
namespace {

Result<std::string> render(std::string_view source, std::string_view variables = "{}",
                           const TemplateLimits& limits = {}) {
  ASSIGN_OR_RETURN(ChatTemplate t, ChatTemplate::compile(source, limits));
  return t.render(parse_json(variables, {.max_depth = 300})->as_object(), 0);
}

std::string rendered(std::string_view source, std::string_view variables = "{}") {
  auto result = render(source, variables);
  return result ? *result : "ERROR " + result.error().message;
}

json::value golden() {
  auto text = read_file("tests/golden/jinja/golden.json");
  EXPECT_TRUE(text) << "run from the repository's root";
  return text ? *parse_json(*text) : json::value(json::object());
}

// Byte for byte what jinja2 gives (tests/golden/jinja/make.py); where it fails, so do we, and with the same words for
// the two kinds of error that people search for.
TEST(ChatTemplate, EqualsJinja2) {
  setenv("TZ", "UTC", 1);
  tzset();
  json::value all = golden();
  const auto& variables = all.at("variables").as_object();
  size_t count = 0;
  for (const auto& entry : all.at("cases").as_array()) {
    const auto& c = entry.as_object();
    SCOPED_TRACE(std::string(c.at("name").as_string()) + " " + std::string(c.at("template").as_string()));
    auto compiled = ChatTemplate::compile(std::string_view(c.at("template").as_string()));
    auto got = compiled ? compiled->render(variables, *get_double(all.as_object(), "now"))
                        : Result<std::string>(compiled.error());
    ++count;
    if (auto text = get_string(c, "text")) {
      ASSERT_TRUE(got) << got.error().message;
      EXPECT_EQ(*got, *text);
      continue;
    }
    ASSERT_FALSE(got) << *got;
    EXPECT_EQ(got.error().code, ErrorCode::kInvalidArgument);
    std::string expected = *get_string(c, "error");
    if (expected.starts_with("UndefinedError: ") || expected.starts_with("TemplateError: ")) {
      EXPECT_TRUE(got.error().message.ends_with(expected.substr(expected.find(' ') + 1))) << expected << "\n"
                                                                                          << got.error().message;
    }
  }
  EXPECT_GT(count, 250u);
}

TEST(ChatTemplate, NamesTheLineOfAnError) {
  EXPECT_EQ(rendered("a\n{{ b }}\n{{ c.d }}"), "ERROR chat template, line 3: 'c' is undefined");
  EXPECT_EQ(rendered("a\n{% if %}"),
            "ERROR chat template, line 2: Expected an expression, got 'end of statement block'");
  EXPECT_EQ(rendered("\n\n{{ raise_exception('No system message') }}"), "ERROR No system message");
}

TEST(ChatTemplate, KeepsTheOrderOfKeys) {
  EXPECT_EQ(rendered("{{ x | tojson }}", R"({"x": {"z": 1, "a": {"c": 2, "b": 3}}})"),
            R"({"z": 1, "a": {"c": 2, "b": 3}})");
}

// Every way to ask for unbounded time, memory or stack ends in an error value.
TEST(ChatTemplate, BoundsTimeMemoryAndDepth) {
  const char* hostile[] = {
      "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
      "{{ 'a' * 10000000000 }}",
      "{{ [1] * 10000000000 }}",
      "{{ 'a' * 9223372036854775807 }}",
      "{{ range(1000000000000) }}",
      "{{ 9 ** 9 ** 9 }}",
      "{{ '%1000000000d' % 1 }}",
      "{{ '{:>1000000000}'.format(1) }}",
      "{{ 'x'.center(10000000000) }}",
      "{{ 'x' | center(10000000000) }}",
      "{{ [1] | batch(100000000000, 1) | list }}",
      "{{ 'a\nb' | indent(100000000000) }}",
      "{{ 'a'.zfill(100000000000) }}",
      "{% set ns = namespace(x='ab') %}{% for i in range(64) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
      "{% set ns = namespace(x=[1]) %}{% for i in range(64) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
      "{% set ns = namespace(x=[1]) %}{% for i in range(64) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | "
      "tojson }}",
      "{% set a = namespace(x=[1], y=[1]) %}{% for i in range(64) %}{% set a.x, a.y = [a.x, a.x], [a.y, a.y] %}{% "
      "endfor %}{{ a.x == a.y }}",
      "{% set ns = namespace(x=1) %}{% for i in range(5000) %}{% set ns.x = [ns.x] %}{% endfor %}",
      "{% set ns = namespace(x='a') %}{% for i in range(5000) %}{% set ns.x = [ns.x.upper, ns.x] %}{% endfor %}",
      "{% set ns = namespace(x=1) %}{% for i in range(5000) %}{% set ns.x = cycler(ns.x) %}{% endfor %}",
      "{% set ns = namespace(x=1) %}{% for i in range(5000) %}{% for j in [ns.x] %}{% set ns.x = loop %}{% endfor %}{% "
      "endfor %}",
      "{% set s = 'a' * 1000000 %}{{ s.replace('a', s) }}",
      "{% set s = 'a' * 1000000 %}{{ s.replace('', s) }}",
      "{% set s = 'a' * 1000000 %}{{ s.join(s) }}",
      "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
      "{% macro m() %}{% for x in [1] %}{{ m() }}{% endfor %}{% endmacro %}{{ m() }}",
      "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
      "{% macro m() %}{% call m() %}{% endcall %}{{ caller }}{% endmacro %}{{ m() }}",
      "{% for i in range(99999) %}{% for j in range(99999) %}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{% endfor %}{% "
      "endfor %}",
      "{% set ns = namespace() %}{% set ns.x = [ns] %}{{ ns }}",
      "{{ 'a b ' * 10000000 | length }}{{ ('a ' * 100000000).split() | length }}",
  };
  TemplateLimits limits{.max_steps = 2'000'000, .max_output_bytes = 1 << 20, .max_memory_bytes = size_t{64} << 20};
  for (const char* source : hostile) {
    auto result = render(source, "{}", limits);
    EXPECT_FALSE(result) << source;
  }
}

TEST(ChatTemplate, BoundsNestingOfTheSource) {
  auto repeat = [](std::string_view s, int n) {
    std::string out;
    for (int i = 0; i < n; ++i) out += s;
    return out;
  };
  constexpr int kMany = 20000;
  std::string deep[] = {
      "{{ " + repeat("(", kMany),
      "{{ " + repeat("[", kMany),
      "{{ " + repeat("{1:", kMany),
      "{{ " + repeat("-", kMany) + "1 }}",
      "{{ " + repeat("not ", kMany) + "1 }}",
      "{{ a" + repeat(".b", kMany) + " }}",
      "{{ a" + repeat("|upper", kMany) + " }}",
      "{{ a" + repeat("()", kMany) + " }}",
      "{{ a" + repeat("[0]", kMany) + " }}",
      repeat("{% if a %}", kMany),
      repeat("{% for a in b %}", kMany),
      "{{ " + repeat("1 if ", kMany) + "1 }}",
      "{{ " + repeat("1 if 1 else ", kMany) + "1 }}",
      "{{ " + repeat("f(", kMany),
      "{{ a" + repeat(" is b", kMany),
      "{{ a is " + repeat("b(", kMany),
  };
  for (const auto& source : deep) {
    auto compiled = ChatTemplate::compile(source);
    EXPECT_FALSE(compiled) << source.substr(0, 40);
  }
  // Chains of one operator stay flat.
  EXPECT_EQ(rendered("{{ 0" + repeat(" + 1", kMany) + " }}"), std::to_string(kMany));
  EXPECT_EQ(rendered("{{ 0" + repeat(" or 0", kMany) + " ~ 'x'" + repeat(" ~ 'y'", 3) + " }}"), "0xyyy");
}

TEST(ChatTemplate, CyclesAreTakenApart) {  // a leak here fails the sanitizer build
  EXPECT_EQ(
      rendered(
          "{% set ns = namespace() %}{% set ns.self = ns %}{% macro m() %}{{ ns }}{% endmacro %}{% set ns.m = m %}ok"),
      "ok");
  EXPECT_EQ(rendered("{% for i in [1] %}{% set x = loop.changed(loop) %}{% set y = loop %}{% endfor %}ok"), "ok");
}

TEST(ChatTemplate, MentionsWhatItReads) {
  auto t = ChatTemplate::compile(
      "{% if tools %}{% for m in messages %}{{ m.content }}{% endfor %}{% endif %}{{ 'enable_thinking' }}");
  ASSERT_TRUE(t);
  EXPECT_TRUE(t->mentions("tools"));
  EXPECT_TRUE(t->mentions("messages"));
  EXPECT_FALSE(t->mentions("enable_thinking"));
  EXPECT_FALSE(t->mentions("content"));
}

TEST(ChatTemplate, FindsTheContentFormat) {
  auto format = [](std::string_view source) { return std::string(ChatTemplate::compile(source)->content_format()); };
  EXPECT_EQ(format("{% for m in messages %}{{ m.content }}{% endfor %}"), "string");
  EXPECT_EQ(format("{% for m in messages %}{% for c in m['content'] %}{{ c.text }}{% endfor %}{% endfor %}"), "openai");
  EXPECT_EQ(format("{% for m in messages %}{% for c in m.content | list %}{% endfor %}{% endfor %}"), "openai");
  EXPECT_EQ(format("{% set ms = messages[1:] %}{% for m in ms %}{% for c in m.content %}{% endfor %}{% endfor %}"),
            "openai");
  EXPECT_EQ(format("{% for m in other %}{% for c in m.content %}{% endfor %}{% endfor %}"), "string");
  EXPECT_EQ(format("{% for m in messages %}{% for c in m.tool_calls %}{% endfor %}{% endfor %}"), "string");
}

TEST(ChatTemplate, IsSharedBetweenThreads) {
  auto t =
      ChatTemplate::compile("{% macro m(x) %}<{{ x }}>{% endmacro %}{% for i in range(200) %}{{ m(i) }}{% endfor %}");
  ASSERT_TRUE(t);
  std::string expected = *t->render({}, 0);
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 20; ++n) EXPECT_EQ(*t->render({}, 0), expected);
    });
  }
}

constexpr std::string_view kChat =
    R"({"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"},
  {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "Bye"}],
  "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>"})";

TEST(BuiltinChatTemplate, RendersByFamily) {
  auto chat = [](std::string_view type, std::string_view name) {
    return rendered(builtin_chat_template(type, name), kChat);
  };
  EXPECT_EQ(
      chat("Qwen2ForCausalLM", "Qwen/Qwen2-7B-Instruct"),
      "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n"
      "<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(chat("LlamaForCausalLM", "meta-llama/Meta-Llama-3-8B-Instruct"),
            "<s><|start_header_id|>system<|end_header_id|>\n\nBe "
            "kind.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\nHello<|eot_id|><|start_header_id|>user<|end_header_id|>"
            "\n\nBye<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n");
  EXPECT_EQ(chat("LlamaForCausalLM", "meta-llama/Llama-2-7b-chat-hf"),
            "<s>[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nHi [/INST] Hello </s><s>[INST] Bye [/INST]");
  EXPECT_EQ(chat("MistralForCausalLM", "mistralai/Mistral-7B-Instruct-v0.2"),
            "<s>[INST] Hi [/INST] Hello</s>[INST] Be kind.\n\nBye [/INST]");
  EXPECT_EQ(chat("GemmaForCausalLM", "google/gemma-2b-it"),
            "<s><start_of_turn>user\nBe kind.\n\nHi<end_of_turn>\n<start_of_turn>model\nHello<end_of_turn>\n"
            "<start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\n");
  EXPECT_EQ(chat("LlamaForCausalLM", "x <|im_start|> <|im_end|>"), chat("Qwen2ForCausalLM", "Qwen/Qwen2-7B-Instruct"));
  EXPECT_EQ(chat("LlamaForCausalLM", "HuggingFaceTB/SmolLM2-135M-Instruct"), chat("", "01-ai/Yi-6B-Chat"));
}

TEST(BuiltinChatTemplate, TheFirstQwenHasADefaultSystem) {
  EXPECT_EQ(rendered(builtin_chat_template("QWenLMHeadModel", "Qwen/Qwen-7B-Chat"),
                     R"({"messages": [{"role": "user", "content": "Hi"}], "add_generation_prompt": true})"),
            "<|im_start|>system\nYou are a helpful "
            "assistant.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
}

TEST(BuiltinChatTemplate, ABaseModelHasNone) {
  EXPECT_TRUE(builtin_chat_template("LlamaForCausalLM", "meta-llama/Llama-2-7b-hf").empty());
  EXPECT_TRUE(builtin_chat_template("Qwen2ForCausalLM", "Qwen/Qwen2-0.5B").empty());
  EXPECT_TRUE(builtin_chat_template("GPT2LMHeadModel", "gpt2").empty());
}

}  // namespace
}  // namespace vllm::text
