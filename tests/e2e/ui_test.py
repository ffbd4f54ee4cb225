#!/usr/bin/env python3
"""The built-in chat page in a real browser: python3 tests/e2e/ui_test.py [--screenshots DIR] [--browser PATH]

Needs Python 3.9 or newer (standard library only) and Chromium (Debian: apt-get install chromium). Without a browser it says
so and exits with status 77; under pytest it is skipped. The page's files and its Content-Security-Policy come from
src/server/ui; the server behind them is a fake that plays loading, a missing key, streams, endless streams and failures.
The browser is driven over --remote-debugging-pipe.
"""
import argparse
import base64
import http.server
import json
import os
import pathlib
import re
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
UI = ROOT / "src/server/ui"
HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script> & <b>bold</b> 日本語 👩‍👩‍👧 é'


class Fake:
    """State of the fake server, set by the tests."""

    phase = None  # 503 with this text
    key = None
    bodies = []
    gone = threading.Event()  # a client left an endless stream


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def reply(self, status, body, content_type="application/json", headers=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def allowed(self):
        if Fake.key and self.headers.get("Authorization") != "Bearer " + Fake.key:
            self.reply(401, {"error": "Unauthorized"})
            return False
        if Fake.phase:
            self.reply(503, {"error": {"message": Fake.phase, "type": "ServiceUnavailableError", "code": 503}})
            return False
        return True

    def do_GET(self):
        files = {"/": ("index.html", "text/html"), "/ui/app.js": ("app.js", "text/javascript"), "/ui/style.css": ("style.css", "text/css")}
        if self.path in files:
            name, kind = files[self.path]
            self.reply(200, (UI / name).read_bytes(), kind + "; charset=utf-8",
                       [("Content-Security-Policy", policy()), ("X-Content-Type-Options", "nosniff")])
        elif self.path == "/v1/models":
            if self.allowed():
                self.reply(200, {"object": "list", "data": [{"id": "first/model"}, {"id": "second-model"}]})
        else:
            self.reply(404, {"error": {"message": "Not Found", "code": 404}})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.allowed():
            return
        Fake.bodies.append(body)
        question = body["messages"][-1]["content"]
        if question == "refuse":
            self.reply(400, {"error": {"message": "temperature must be <b>in</b> [0, 2]", "code": 400}})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

        def delta(reason=None, **fields):
            return "data: " + json.dumps({"choices": [{"index": 0, "delta": fields, "finish_reason": reason}]}, ensure_ascii=False) + "\n\n"

        def write(text):
            self.wfile.write(text.encode() if isinstance(text, str) else text)
            self.wfile.flush()

        write(delta(role="assistant", content=""))
        if question == "endless":
            try:
                while True:
                    write(delta(content="again "))
                    time.sleep(0.02)
            except OSError:
                Fake.gone.set()
            return
        if question == "fail":
            write(delta(content="half "))
            write('data: {"error": {"message": "the device was lost", "code": 500}}\n\ndata: [DONE]\n\n')
            return
        if question == "cut":
            write(delta(content="half "))
            return
        if question == "think":
            write(delta(reasoning="Hmm, "))
            write(delta(reasoning="well."))
        for piece in re.findall(r".{1,9}", HOSTILE):
            event = delta(content=piece).encode()
            for i in range(0, len(event), 7):  # cuts inside lines and characters
                write(event[i:i + 7])
            time.sleep(0.01)
        write(delta(reason="length" if question == "long" else "stop"))
        write('data: {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 21, "total_tokens": 33}}\n\n')
        write("data: [DONE]\n\n")


def policy():
    text = (UI / "ui.h").read_text()
    return "".join(re.findall(r'"([^"]*)"', text.split("kUiContentSecurityPolicy =")[1].split(";\n")[0]))


class Browser:
    """A page of a headless Chromium."""

    def __init__(self, path, profile):
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()

        def descriptors():
            a, b = os.dup(theirs_in), os.dup(theirs_out)
            os.dup2(a, 3)
            os.dup2(b, 4)

        command = [path, "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage",
                   "--user-data-dir=" + profile, "about:blank"]
        if os.geteuid() == 0:
            command.insert(1, "--no-sandbox")
        self.process = subprocess.Popen(command, preexec_fn=descriptors, close_fds=False, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        self.reader, self.writer = ours_in, ours_out
        self.buffer, self.count, self.session, self.events = b"", 0, None, []
        target = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(domain + ".enable")
        self.call("Page.addScriptToEvaluateOnNewDocument", source="""window.violations = [];
            document.addEventListener('securitypolicyviolation', (e) => violations.push(e.violatedDirective + ' ' + e.blockedURI));""")

    def receive(self, timeout):
        while b"\0" not in self.buffer:
            if not select.select([self.reader], [], [], timeout)[0]:
                raise TimeoutError("the browser does not answer")
            data = os.read(self.reader, 1 << 20)
            if not data:
                raise RuntimeError("the browser ended")
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **params):
        self.count += 1
        message = {"id": self.count, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.writer, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive(30)
            if answer.get("id") == self.count:
                if "error" in answer:
                    raise RuntimeError(method + ": " + answer["error"]["message"])
                return answer["result"]
            self.events.append(answer)

    def js(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(expression + ": " + json.dumps(result["exceptionDetails"])[:500])
        return result["result"].get("value")

    def until(self, expression, what, timeout=15):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.js(expression):
                return
            time.sleep(0.05)
        raise AssertionError(f"never came: {what}; page says: " + str(self.js("document.body.innerText"))[:800])

    def type(self, id, text):
        self.js(f"document.getElementById({id!r}).focus()")
        self.js(f"document.getElementById({id!r}).select()")
        self.call("Input.insertText", text=text)

    def key(self, key):
        code = {"Enter": 13, "Escape": 27, "Tab": 9}[key]
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code,
                      **({"text": "\r"} if key == "Enter" and kind == "keyDown" else {}))

    def click(self, id):
        box = self.js(f"(() => {{ const r = document.getElementById({id!r}).getBoundingClientRect();"
                      " return {x: r.x + r.width / 2, y: r.y + r.height / 2, w: r.width}; })()")
        assert box["w"] > 0, id + " is not visible"
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box["x"], y=box["y"], button="left", clickCount=1)

    def size(self, width, height, mobile=False, dark=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if mobile else 1, mobile=mobile)
        self.call("Emulation.setTouchEmulationEnabled", enabled=mobile)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && !!document.getElementById('log')", "the page")

    def screenshot(self, folder, name):
        if folder:
            data = self.call("Page.captureScreenshot", format="png")["data"]
            (pathlib.Path(folder) / (name + ".png")).write_bytes(base64.b64decode(data))

    def close(self):
        try:
            self.session = None
            self.call("Browser.close")
        except (RuntimeError, TimeoutError, OSError):
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


IDLE = "document.getElementById('stop').hidden && !document.querySelector('.busy')"


def ask(page, text, wait=True):
    page.type("input", text)
    # An observer, because a question that is refused at once is back in the input before anybody looks.
    page.js("{ window.sent = false; const seen = new MutationObserver(() => { window.sent = true; seen.disconnect(); });"
            " seen.observe(document.getElementById('log'), {childList: true}); }")
    page.key("Enter")
    page.until("window.sent", "the send")
    if wait:
        page.until(IDLE, "the answer to " + text)


def last(page, selector):
    return page.js(f"[...document.querySelectorAll({selector!r})].pop()?.textContent ?? null")


def check(page, url, shots):
    page.size(1280, 800)
    Fake.phase, Fake.key = "downloading 43%", "sesame"

    # No key: the page asks for one and shows where.
    page.open(url)
    page.until("document.getElementById('notice').textContent.includes('API key')", "the words about the key")
    assert page.js("document.activeElement.id") == "key" and page.js("!document.getElementById('settings').hidden")
    page.screenshot(shots, "key")

    # Loading: the phase is shown until the server is ready, then the models are there without a reload.
    page.type("key", "sesame")
    page.key("Tab")
    page.until("document.getElementById('notice').textContent.includes('downloading 43%')", "the loading phase")
    assert page.js("document.getElementById('send').disabled && document.getElementById('model').disabled")
    page.screenshot(shots, "loading")
    Fake.phase = None
    page.until("!document.getElementById('model').disabled", "the models")
    assert page.js("[...document.getElementById('model').options].map(o => o.value).join()") == "first/model,second-model"
    assert page.js("document.getElementById('notice').hidden")
    assert page.js("sessionStorage.getItem('vllm-key')") == "sesame" and page.js("localStorage.length") == 0

    # A streamed answer: shown as text, never as HTML; settings are in the request; figures are shown.
    page.type("system", "Be brief.")
    page.type("temperature", "0.5")
    page.type("max-tokens", "77")
    page.js("document.getElementById('model').value = 'second-model'")
    page.click("settings-toggle")
    ask(page, "hello")
    body = Fake.bodies[-1]
    assert body["model"] == "second-model" and body["temperature"] == 0.5 and body["max_tokens"] == 77 and body["stream"] is True, body
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}], body
    assert last(page, ".turn.assistant > .text") == HOSTILE, last(page, ".turn.assistant > .text")
    assert page.js("document.querySelectorAll('#log img, #log script, #log b').length") == 0
    assert page.js("window.hacked") is None
    stats = page.js("document.getElementById('stats').textContent")
    assert re.search(r"TTFT \d+ ms", stats) and "21 tokens" in stats and re.search(r"[\d.]+ tokens/s", stats) and "prompt 12" in stats, stats
    page.screenshot(shots, "desktop")

    # The second turn carries the first one; thinking is kept apart and not sent back.
    ask(page, "think")
    assert [m["role"] for m in Fake.bodies[-1]["messages"]] == ["system", "user", "assistant", "user"]
    assert Fake.bodies[-1]["messages"][2]["content"] == HOSTILE
    assert last(page, ".thought .text") == "Hmm, well." and last(page, ".turn.assistant > .text") == HOSTILE
    ask(page, "long")
    assert "token limit" in last(page, ".turn.assistant .note")
    assert "Hmm" not in json.dumps(Fake.bodies[-1]["messages"])

    # Stop: by button and by Escape; the server sees the client leave; the part that came stays.
    for stop in (lambda: page.click("stop"), lambda: page.key("Escape")):
        Fake.gone.clear()
        ask(page, "endless", wait=False)
        page.until("[...document.querySelectorAll('.turn.assistant > .text')].pop().textContent.length > 50", "some text")
        stop()
        page.until(IDLE, "the stop")
        assert last(page, ".turn.assistant .note") == "Stopped." and last(page, ".turn.assistant > .text").startswith("again again")
        assert Fake.gone.wait(5), "the stream goes on after a stop"

    # Failures are said in words, and the page goes on.
    ask(page, "refuse")
    assert page.js("document.getElementById('notice').textContent") == "Error 400: temperature must be <b>in</b> [0, 2]"
    assert page.js("document.getElementById('input').value") == "refuse", "a refused question can be sent again"
    ask(page, "fail")
    assert "device was lost" in last(page, ".turn.assistant .note") and last(page, ".turn.assistant > .text") == "half "
    assert not any(m["content"] == "refuse" for m in Fake.bodies[-1]["messages"])
    ask(page, "cut")
    assert "cut before" in last(page, ".turn.assistant .note")
    page.screenshot(shots, "errors")
    Fake.phase = "the engine restarts"
    ask(page, "hello")
    assert "the engine restarts" in page.js("document.getElementById('notice').textContent")
    Fake.phase = None
    page.until("document.getElementById('notice').hidden", "the server again")

    # A new chat forgets the old one, even while it streams.
    ask(page, "endless", wait=False)
    page.until("[...document.querySelectorAll('.turn.assistant > .text')].pop().textContent.length > 20", "some text")
    page.click("clear")
    page.until(IDLE, "the end")
    assert page.js("document.querySelectorAll('.turn').length") == 0
    ask(page, "hello")
    assert [m["role"] for m in Fake.bodies[-1]["messages"]] == ["system", "user"]

    # The policy holds and nothing of the page breaks it.
    assert page.js("violations.join()") == "", page.js("violations.join()")
    page.js("(() => { const s = document.createElement('script'); s.textContent = 'window.hacked = 2'; document.body.append(s); })()")
    assert page.js("window.hacked") is None and page.js("violations.length") > 0, "the policy lets an inline script run"
    problems = [e for e in page.events if e.get("method") == "Runtime.exceptionThrown"]
    assert not problems, problems

    # A phone: nothing wider than the screen, light and dark; Enter makes a line there, the button sends.
    for dark in (False, True):
        page.size(390, 844, mobile=True, dark=dark)
        page.open(url)
        page.until("!document.getElementById('model').disabled", "the models")
        page.type("input", "first line")
        page.key("Enter")
        assert page.js(IDLE), "Enter sends on a phone"
        page.call("Input.insertText", text="second line, which is long enough to go over the width of a small screen")
        page.click("send")
        page.until("document.querySelectorAll('.turn.assistant').length === 1 && " + IDLE, "the answer")
        assert page.js("document.documentElement.scrollWidth <= window.innerWidth"), "the page is wider than the phone"
        for id in ("send", "settings-toggle", "clear", "model", "input"):
            assert page.js(f"(() => {{ const r = document.getElementById({id!r}).getBoundingClientRect();"
                           " return r.left >= 0 && r.right <= window.innerWidth && r.bottom <= window.innerHeight && r.height >= 38; })()"), id
        page.screenshot(shots, "phone-dark" if dark else "phone")
        page.click("settings-toggle")
        page.screenshot(shots, "phone-settings-dark" if dark else "phone-settings")
        assert page.js("document.documentElement.scrollWidth <= window.innerWidth")
    page.size(1280, 800, dark=True)
    page.screenshot(shots, "desktop-dark")


def find_browser():
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def test_chat_page():
    """For pytest, which `./run test` calls: skipped where there is no Chromium."""
    import pytest

    if not find_browser():
        pytest.skip("no Chromium (Debian: apt-get install chromium)")
    assert main([]) == 0


def main(arguments=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--screenshots", help="folder for pictures of the page")
    parser.add_argument("--browser", default=find_browser())
    args = parser.parse_args(arguments)
    if not args.browser:
        print("skipped: no Chromium (Debian: apt-get install chromium)")
        return 77
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        page = Browser(args.browser, profile)
        try:
            check(page, f"http://127.0.0.1:{server.server_port}/", args.screenshots)
        finally:
            page.close()
            server.shutdown()
    print(f"chat page: passed in {time.monotonic() - start:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
