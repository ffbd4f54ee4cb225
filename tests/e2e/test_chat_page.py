"""The built-in chat page of the real server, driven in a real browser: a streamed answer, a stop, a second turn, a key.

ui_test.py plays what a real model does not do on demand (loading, failures, hostile text) with a fake server.
"""
import re
import tempfile

import pytest
from ui_test import IDLE, Browser, ask, find_browser, last

ANSWER = ".turn.assistant > .text"
NOTICE = "document.getElementById('notice')"


@pytest.fixture
def page():
    if not find_browser():
        pytest.skip("no Chromium (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(find_browser(), profile)
        browser.size(1280, 800)
        yield browser
        browser.close()


def length_of_answer(page):
    return len(last(page, ANSWER) or "")


def test_chat_page_of_the_real_server(start, page):
    server = start("--api-key", "sesame", "--max-model-len", "4096")
    authorized = {"Authorization": "Bearer sesame"}
    page.open(f"http://127.0.0.1:{server.port}/")
    page.until(NOTICE + ".textContent.includes('API key')", "the words about the key")
    page.type("key", "sesame")
    page.key("Tab")
    page.until("!document.getElementById('model').disabled", "the models")
    assert page.js("document.getElementById('model').value") == "m"
    page.type("temperature", "0")
    page.type("max-tokens", "40")
    page.click("settings-toggle")

    # The text grows while the answer is streamed.
    question = "What is the capital of France?"
    ask(page, question, wait=False)
    lengths = set()
    while not page.js(IDLE):
        lengths.add(length_of_answer(page))
    assert len(lengths - {0}) >= 2, lengths
    first = last(page, ANSWER)
    assert "Paris" in first
    stats = page.js("document.getElementById('stats').textContent")
    assert re.search(r"TTFT [\d.]+ m?s", stats) and re.search(r"[\d.]+ tokens/s", stats), stats
    said = server.request("POST", "/v1/chat/completions", {
        "model": "m", "messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": 40}, authorized)
    assert said[2]["choices"][0]["message"]["content"] == first

    # Stop: what came stays, and the engine stops too.
    page.click("settings-toggle")
    page.type("max-tokens", "3000")
    page.click("settings-toggle")
    ask(page, "Write a long story about a dragon and a knight.", wait=False)
    page.until(f"[...document.querySelectorAll({ANSWER!r})].pop().textContent.length > 60", "some text")
    assert server.metric("vllm:num_requests_running") == 1
    page.click("stop")
    page.until(IDLE, "the stop")
    assert last(page, ".turn.assistant .note") == "Stopped."
    stopped = last(page, ANSWER)
    assert len(stopped) > 60
    server.wait_idle()
    assert last(page, ANSWER) == stopped

    # The next turn carries the others, the stopped one as far as it came.
    page.click("settings-toggle")
    page.type("max-tokens", "24")
    page.click("settings-toggle")
    ask(page, "And of Italy?")
    said = server.request("POST", "/v1/chat/completions", {
        "model": "m", "temperature": 0, "max_tokens": 24, "messages": [
            {"role": "user", "content": question}, {"role": "assistant", "content": first},
            {"role": "user", "content": "Write a long story about a dragon and a knight."}, {"role": "assistant", "content": stopped},
            {"role": "user", "content": "And of Italy?"}]}, authorized)
    assert last(page, ANSWER) == said[2]["choices"][0]["message"]["content"]
    assert page.js("document.querySelectorAll('.turn').length") == 6

    assert page.js("violations.join()") == ""
    assert not [e for e in page.events if e.get("method") == "Runtime.exceptionThrown"]
    server.stop()
    page.type("input", "Are you there?")
    page.key("Enter")
    page.until(NOTICE + ".textContent.includes('cannot be reached')", "the words about a server that is gone")
