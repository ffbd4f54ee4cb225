#!/usr/bin/env python3
"""Open WebUI as a client, in a real browser: VENV/bin/python deploy/test/webui_test.py MODEL [--screenshot FILE.png]

VENV holds the packages open-webui and playwright (7 GB, minutes: so this is no part of CI), Chromium is Debian's. With Open WebUI's
settings as they are (its built-in tools on): the model is listed, a chat typed into the page is answered as it streams, and
the chat gets a title by a request of its own.
"""
import argparse
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from playwright.sync_api import sync_playwright

ROOT = pathlib.Path(__file__).resolve().parents[2]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def get(url, body=None, token=None):
    headers = {"Content-Type": "application/json", **({"Authorization": "Bearer " + token} if token else {})}
    request = urllib.request.Request(url, json.dumps(body).encode() if body is not None else None, headers)
    return json.load(urllib.request.urlopen(request, timeout=60))


def wait_for(what, process, condition, seconds):
    end = time.time() + seconds
    while time.time() < end:
        assert process.poll() is None, f"{what} ended with {process.returncode}"
        try:
            if result := condition():
                return result
        except OSError:
            pass
        time.sleep(0.5)
    raise TimeoutError(what)


def chat_in_browser(url, screenshot):
    """The text of the answer, as the page shows it."""
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1200, "height": 750})
        page.goto(url, timeout=180_000)
        page.wait_for_selector("#chat-input", timeout=180_000)
        page.keyboard.press("Escape")  # what is new in this version
        page.wait_for_timeout(1500)
        page.click("#chat-input")
        page.keyboard.type("What is the capital of France? One sentence.")
        page.keyboard.press("Enter")
        answer = page.locator("#response-content-container").first
        answer.wait_for(timeout=240_000)
        text, same = "", 0
        for _ in range(240):
            now = answer.inner_text()
            same = same + 1 if now and now == text else 0
            text = now
            if same >= 8:
                break
            page.wait_for_timeout(1000)
        page.wait_for_timeout(1000)
        if screenshot:
            page.screenshot(path=screenshot)
        browser.close()
        return text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--binary", default=str(ROOT / "build/release/bin/vllm"))
    parser.add_argument("--screenshot")
    args = parser.parse_args()
    work = tempfile.mkdtemp()
    port, ui_port = free_port(), free_port()
    processes = []
    try:
        log = open(pathlib.Path(work) / "vllm.log", "w+")
        server = subprocess.Popen([args.binary, "serve", args.model, "--host", "127.0.0.1", "--port", str(port), "--served-model-name", "tiny", "--temperature", "0"],
                                  stderr=log, env={**os.environ, "VLLM_CPU_KVCACHE_SPACE": "2"})
        processes.append(server)
        wait_for("vllm", server, lambda: get(f"http://127.0.0.1:{port}/v1/models"), 120)
        ui_log = open(pathlib.Path(work) / "webui.log", "w+")
        ui = subprocess.Popen([str(pathlib.Path(sys.executable).with_name("open-webui")), "serve", "--host", "127.0.0.1", "--port", str(ui_port)],
                              stderr=ui_log, stdout=ui_log, cwd=work, env={
            **os.environ, "DATA_DIR": work, "WEBUI_SECRET_KEY": "x", "WEBUI_AUTH": "False", "OFFLINE_MODE": "true", "HF_HUB_OFFLINE": "1", "RAG_EMBEDDING_ENGINE": "openai",
            "ENABLE_OLLAMA_API": "false", "ENABLE_PERSISTENT_CONFIG": "False", "OPENAI_API_BASE_URL": f"http://127.0.0.1:{port}/v1", "OPENAI_API_KEY": "none"})
        processes.append(ui)
        url = f"http://127.0.0.1:{ui_port}"
        wait_for("open-webui", ui, lambda: get(url + "/api/version"), 400)
        token = get(url + "/api/v1/auths/signin", {"email": "", "password": ""})["token"]
        models = [m["id"] for m in get(url + "/api/models", token=token)["data"]]
        assert models == ["tiny"], models
        print("webui_test: lists", models, flush=True)
        text = chat_in_browser(url, args.screenshot)
        assert text.strip(), "the page shows no answer"
        print("webui_test: answered:", text.strip().replace("\n", " ")[:200], flush=True)

        def title():
            chats = get(url + "/api/v1/chats/", token=token)
            return chats and chats[0]["title"] != "New Chat" and chats[0]["title"]
        print("webui_test: titled:", wait_for("a title", ui, title, 240), flush=True)
        log.flush()
        requests = [line for line in pathlib.Path(log.name).read_text().splitlines() if "/v1/chat/completions" in line and "POST" in line and "Route" not in line]
        assert len(requests) >= 2 and all(" 200 " in line for line in requests), "\n".join(requests)
        print(f"webui_test: passed, {len(requests)} chat requests", flush=True)
    except BaseException:
        for name in ["vllm.log", "webui.log"]:
            path = pathlib.Path(work) / name
            if path.exists():
                print(f"--- {name}\n" + path.read_text()[-4000:], file=sys.stderr)
        raise
    finally:
        for process in reversed(processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        subprocess.run(["rm", "-rf", work], check=False)


if __name__ == "__main__":
    main()
