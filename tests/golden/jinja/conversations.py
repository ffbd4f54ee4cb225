"""Conversations that templates are rendered with: JSON values only, key order matters."""

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a place – now.\nSecond line with \"quotes\" and <tags> & more.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "City, e.g. 東京"},
                "days": {"type": "integer", "minimum": 1, "maximum": 14, "default": 3},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                "detail": {"type": ["string", "null"]},
                "area": {
                    "type": "object",
                    "properties": {"lat": {"type": "number"}, "lon": {"type": "number", "default": -0.5}},
                    "required": ["lat", "lon"],
                },
                "tags": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
SEARCH = {
    "type": "function",
    "function": {"name": "search", "description": "Search.", "parameters": {"type": "object", "properties": {}}, "strict": True},
}


def call(id, name, arguments):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def messages():
    user = {"role": "user", "content": "What is the capital of France?"}
    system = {"role": "system", "content": "You are terse.\n"}
    yield "single", [user], {}
    yield "system", [system, user], {}
    yield "empty_content", [{"role": "user", "content": ""}], {}
    multi = [
        system,
        {"role": "user", "content": "  Hi there  "},
        {"role": "assistant", "content": "Hello! \n"},
        {"role": "user", "content": "Tell me\n\nmore\t."},
        {"role": "assistant", "content": "More."},
        {"role": "user", "content": "Thanks"},
    ]
    yield "multi_turn", multi, {}
    yield "ends_with_assistant", multi[:3], {}
    yield "cjk", [{"role": "system", "content": "你是一个助手。"}, {"role": "user", "content": "東京の天気は? 안녕하세요"}], {}
    yield "emoji", [{"role": "user", "content": "👩‍👩‍👧‍👦 🇫🇷 café naïve \u00a0x\u200b é \U0001f600"}], {}
    yield "specials", [{"role": "user", "content": "<|im_start|>system\n<tool_call>{{ 1 }}{% x %}</think> [INST] 'a' \"b\" \\ \r\n"}], {}
    yield "thinking_inline", [
        user,
        {"role": "assistant", "content": "<think>\nHmm, Paris?\n</think>\n\nParis."},
        {"role": "user", "content": "Sure?"},
    ], {}
    yield "reasoning_content", [
        user,
        {"role": "assistant", "reasoning_content": "Easy one.\n", "content": "Paris.", "thinking": "Easy one.\n"},
        {"role": "user", "content": "Sure?"},
    ], {}
    yield "thinking_on", [system, user], {"enable_thinking": True, "thinking": True, "reasoning_effort": "high"}
    yield "thinking_off", [user], {"enable_thinking": False, "thinking": False, "reasoning_effort": "low"}
    yield "tools", [system, {"role": "user", "content": "Weather in Paris?"}], {"tools": [WEATHER, SEARCH]}
    yield "tools_no_system", [user], {"tools": [WEATHER]}
    yield "no_tools_empty", [user], {"tools": []}
    called = [
        system,
        {"role": "user", "content": "Weather in Paris and 東京?"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                call("call0abcd", "get_weather", {"city": "Paris", "days": 2, "area": {"lat": 48.85, "lon": 2.0}, "tags": ["a", "b"]}),
                call("call1abcd", "get_weather", {"city": "東京", "detail": None, "exact": True, "scale": 1e-07}),
            ],
        },
        {"role": "tool", "tool_call_id": "call0abcd", "name": "get_weather", "content": "{\"temp\": 21.5}"},
        {"role": "tool", "tool_call_id": "call1abcd", "name": "get_weather", "content": "晴れ ☀"},
    ]
    yield "tool_results", called, {"tools": [WEATHER, SEARCH]}
    yield "tool_answered", called + [{"role": "assistant", "content": "21.5 °C; 晴れ"}, {"role": "user", "content": "Thanks"}], {
        "tools": [WEATHER]
    }
    textual = [dict(m) for m in called]
    textual[2] = dict(textual[2], content=None, tool_calls=[call("call0abcd", "search", "{\"q\": \"x\", \"n\": 1}")])
    yield "tool_arguments_text", textual[:3] + [textual[3]], {"tools": [SEARCH]}
    yield "tool_reasoning", [
        system,
        user,
        {"role": "assistant", "content": "Let me look.", "reasoning_content": "I must look.",
         "tool_calls": [call("call0abcd", "search", {"q": "capital"})]},
        {"role": "tool", "tool_call_id": "call0abcd", "content": "Paris"},
    ], {"tools": [SEARCH]}
    yield "parts", [
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "content": [{"type": "text", "text": "First."}, {"type": "text", "text": "Second 世."}]},
    ], {}
    yield "parts_image", [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]},
    ], {}
    yield "tool_parts", [
        user,
        {"role": "assistant", "content": None, "tool_calls": [call("call0abcd", "search", {})]},
        {"role": "tool", "tool_call_id": "call0abcd", "content": [{"type": "text", "text": "Paris"}]},
    ], {"tools": [SEARCH]}
    yield "developer", [{"role": "developer", "content": "Rules."}, user], {}
    yield "two_users", [user, {"role": "user", "content": "And of Spain?"}], {}
    yield "documents", [user], {"documents": [{"title": "Doc 1", "text": "Paris is big.", "n": 1}, {"title": "Doc 2", "text": "So is 東京."}]}
    yield "custom_date", [system, user], {"date_string": "01 Jan 2024", "builtin_tools": ["python"], "custom_tools": [WEATHER]}
    yield "no_messages", [], {}


def cases():
    """(name, variables) pairs"""
    for name, msgs, extra in messages():
        for prompt in (True, False):
            variables = {"messages": msgs, "add_generation_prompt": prompt, "bos_token": "<s>", "eos_token": "</s>", **extra}
            if name != "no_messages":
                variables.setdefault("tools", None)
                variables.setdefault("documents", None)
            yield f"{name}{'+prompt' if prompt else ''}", variables
