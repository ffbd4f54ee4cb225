"""The guides' plain HTML page, opened from a file (origin null) in a real browser, streams a chat of the real server."""
import tempfile

import pytest
from ui_test import Browser, find_browser

PAGE = """<!DOCTYPE html>
<html><body><input id="log" hidden><pre id="out"></pre><script>
async function chat(url, key) {
  const headers = {"Content-Type": "application/json"};
  if (key) headers.Authorization = "Bearer " + key;
  const response = await fetch(url + "/v1/chat/completions", {method: "POST", headers, body: JSON.stringify(
    {model: "m", messages: [{role: "user", content: "Count to five."}], max_tokens: 12, temperature: 0, ignore_eos: true, stream: true})});
  if (!response.ok) return "status " + response.status + " " + (await response.json()).error;
  const reader = response.body.getReader(), decoder = new TextDecoder();
  let buffer = "", events = 0;
  for (;;) {
    const {done, value} = await reader.read();
    if (done) return "events " + events + " " + document.getElementById("out").textContent;
    buffer += decoder.decode(value, {stream: true});
    const lines = buffer.split("\\n");
    buffer = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data: ") || line === "data: [DONE]") continue;
      const piece = JSON.parse(line.slice(6)).choices[0].delta.content;
      if (piece) events++, document.getElementById("out").textContent += piece;
    }
  }
}
</script></body></html>
"""


@pytest.mark.skipif(not find_browser(), reason="no Chromium (Debian: apt-get install chromium)")
def test_a_page_from_a_file_streams_a_chat(start, tmp_path):
    (tmp_path / "page.html").write_text(PAGE)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(find_browser(), profile)
        try:
            for flags in ([], ['--cors-allow-origins "*"'], ["--api-key", "k"]):
                server = start(*flags)
                url, key = f"http://127.0.0.1:{server.port}", "k" if "k" in flags else ""
                browser.open((tmp_path / "page.html").as_uri())
                words = browser.js(f"chat('{url}', '{key}')").split(" ", 2)
                assert words[0] == "events" and int(words[1]) >= 6 and words[2].strip(), words
                if key:
                    assert browser.js(f"chat('{url}', '')").startswith("status 401")
                server.stop()
            server = start("--allowed-origins", "https://app.example")  # the page's origin is not among them
            browser.open((tmp_path / "page.html").as_uri())
            assert browser.js(f"chat('http://127.0.0.1:{server.port}', '').catch((e) => 'refused ' + e)").startswith("refused")
        finally:
            browser.close()
