"""Hostile requests: each is refused promptly with the client's error, and the server goes on."""
import json
import time

import pytest

JSON = {"Content-Type": "application/json"}
COMPLETIONS, CHAT, TOKENIZE = "/v1/completions", "/v1/chat/completions", "/tokenize"
QUESTION = [{"role": "user", "content": "x"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def completion(**fields):
    return json.dumps({"model": "m", "prompt": "x", "max_tokens": 2, **fields})


def chat(**fields):
    return json.dumps({"model": "m", "messages": QUESTION, "max_tokens": 2, **fields})


CASES = {
    "10,000 stop strings": (COMPLETIONS, lambda: completion(stop=[f"s{i}" for i in range(10000)]), 400, "too_long"),
    "NaN temperature": (COMPLETIONS, lambda: completion(temperature=float("nan")), 400, "temperature must be a finite number"),
    "JSON nested 10,000 deep": (CHAT, lambda: '{"messages":' + "[" * 10000 + "]" * 10000 + "}", 400, "error parsing the body"),
    "objects nested 10,000 deep": (CHAT, lambda: chat()[:-1] + ',"metadata":' + '{"a":' * 10000 + "1" + "}" * 10000 + "}", 400, "error parsing the body"),
    "a body of 100 MB": (COMPLETIONS, lambda: completion(prompt="a" * 100_000_000), 413, "at most 67108864"),
    "a prompt of 60 MB": (COMPLETIONS, lambda: completion(prompt="a " * 30_000_000), 400, "maximum context length is 4096 tokens"),
    "a prompt past the context": (COMPLETIONS, lambda: completion(prompt="word " * 5000), 400, "at least 4097 input tokens"),
    "a chat past the context": (CHAT, lambda: chat(messages=[{"role": "user", "content": "word " * 5000}]), 400, "at least 4097 input tokens"),
    "invalid UTF-8": (COMPLETIONS, lambda: b'{"model":"m","prompt":"\xff\xfe"}', 400, "error parsing the body"),
    "half a surrogate pair": (COMPLETIONS, lambda: '{"model":"m","prompt":"\\ud800"}', 400, "surrogate"),
    "bad branches of a union": (TOKENIZE, lambda: '{"prompt":5,"messages":[5]}', 400, "9 validation errors"),
    "legacy guided_json": (CHAT, lambda: chat(guided_json={"type": "object"}), 501, "guided_json"),
    "response_format": (CHAT, lambda: chat(response_format={"type": "json_object"}), 501, "response_format"),
    "tool_choice without a parser": (CHAT, lambda: chat(tools=[TOOL], tool_choice="required"), 400, "--tool-call-parser"),
    "an image for a text model": (CHAT, lambda: chat(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]), 400, "not a multimodal model"),
}


@pytest.mark.parametrize("name", CASES)
def test_is_refused_promptly(server, name):
    path, body, expected, text = CASES[name]
    body = body()
    begin = time.time()
    status, _, answer = server.request("POST", path, body, JSON)
    assert (status, text in json.dumps(answer)) == (expected, True), answer
    assert time.time() - begin < 20  # seconds; well below one where nothing else runs
    assert server.request("GET", "/health")[0] == 200


def test_a_tokenize_body_whose_text_fits_is_answered(server):
    assert server.request("POST", TOKENIZE, '{"prompt":"x","messages":[5]}', JSON)[0] == 200


def test_tokens_go_round(server):
    text = "Ünïcode 🚀 日本語\n\ttabs  and  spaces 👩‍👩‍👧 <|im_start|>"
    tokens = server.request("POST", TOKENIZE, {"model": "m", "prompt": text})[2]["tokens"]
    assert server.request("POST", "/detokenize", {"model": "m", "tokens": tokens})[2]["prompt"] == text
