"""The program as an operator sees it: start, stop, keys, flags, logs."""
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import pytest
from conftest import BINARY, MODEL, free_port

CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}


def wait_for(condition, seconds=10):
    end = time.time() + seconds
    while not condition() and time.time() < end:
        time.sleep(0.05)
    assert condition()


def test_log_has_the_lines_people_grep_for(server):
    log = server.log_text()
    assert "Successfully loaded model" in log
    assert "Application startup complete." in log
    assert "Available routes are:" in log


def test_key_guards_all_but_probes(start):
    s = start("--api-key", "secret")
    assert s.request("GET", "/v1/models")[0] == 401
    assert s.request("GET", "/health")[0] == 200
    assert s.request("GET", "/metrics")[0] == 200
    assert s.request("GET", "/v1/models", headers={"Authorization": "Bearer secret"})[0] == 200
    assert s.client("secret").models.list().data[0].id == "m"


def test_sigterm_with_a_timeout_lets_requests_finish(start):
    s = start("--shutdown-timeout", "20")
    result = {}

    def ask():
        result["answer"] = s.request("POST", "/v1/completions", {"model": "m", "prompt": "a", "max_tokens": 60, "ignore_eos": True})
    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.2)
    assert s.stop() == 0
    thread.join()
    assert result["answer"][0] == 200 and result["answer"][2]["usage"]["completion_tokens"] == 60


def test_sigterm_aborts_open_requests_at_once(start):
    s = start()
    stream = s.client().completions.create(model="m", prompt="a", max_tokens=6000, stream=True, extra_body={"ignore_eos": True})
    chunks = iter(stream)
    next(chunks)
    begin = time.time()
    assert s.stop() == 0
    assert time.time() - begin < 5
    assert [c.choices[0].finish_reason for c in chunks][-1] == "abort"


def test_sigint_stops_at_once(start):
    s = start()
    begin = time.time()
    assert s.stop(signal.SIGINT) == 0
    assert time.time() - begin < 5


def test_port_in_use_is_said(start):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        done = subprocess.run([BINARY, "serve", MODEL, "--host", "127.0.0.1", "--port", str(port)], capture_output=True, text=True, timeout=30)
    assert done.returncode != 0 and str(port) in done.stderr and "in use" in done.stderr


def test_bad_command_lines_end_with_status_2():
    for args, text in [(["--max-modle-len", "4"], "--max-model-len"), (["--port", "x"], "--port"), (["--quantization", "awq"], "not built yet")]:
        done = subprocess.run([BINARY, "serve", MODEL, *args], capture_output=True, text=True, timeout=30)
        assert done.returncode == 2 and text in done.stderr, done.stderr


def test_a_missing_model_is_named(tmp_path):
    for model in [str(tmp_path), str(tmp_path / "none.gguf"), "no-such-org/no-such-model"]:
        done = subprocess.run([BINARY, "serve", model, "--host", "127.0.0.1", "--port", str(free_port())], capture_output=True, text=True, timeout=60,
                              env={"HF_HUB_OFFLINE": "1", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})
        assert done.returncode != 0 and model in done.stderr, done.stderr


def test_out_of_memory_names_flag_and_value():
    done = subprocess.run([BINARY, "serve", MODEL, "--host", "127.0.0.1", "--port", str(free_port())], capture_output=True, text=True, timeout=60,
                          env={"VLLM_CPU_KVCACHE_SPACE": "0.01", "PATH": "/usr/bin:/bin"})
    assert done.returncode != 0
    assert "Out of memory" in done.stderr and "--max-model-len" in done.stderr and "VLLM_CPU_KVCACHE_SPACE" in done.stderr


def test_idle_server_uses_no_cpu(start):
    s = start()
    s.request("POST", "/v1/completions", {"model": "m", "prompt": "a", "max_tokens": 4})

    def ticks():
        fields = open(f"/proc/{s.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])
    time.sleep(0.5)
    before = ticks()
    time.sleep(3)
    assert ticks() - before <= 3  # of 300


def test_batches_do_not_change_answers(start):
    """32 at once, chunked, with a pool so small that sequences are preempted: the tokens each prompt gives alone."""
    prompts = [f"Tell me about the number {i}. It is" for i in range(32)]
    body = {"model": "m", "max_tokens": 24, "temperature": 0.9, "seed": 5, "logprobs": 2, "ignore_eos": True, "return_token_ids": True}

    def ask(server, prompt):
        status, _, answer = server.request("POST", "/v1/completions", {**body, "prompt": prompt}, timeout=300)
        assert status == 200, answer
        choice = answer["choices"][0]
        return choice["text"], choice["logprobs"]["token_logprobs"]

    alone = start("--max-num-seqs", "1", "--no-enable-prefix-caching", "--threads", "1")
    expected = [ask(alone, p) for p in prompts]
    alone.stop()
    crowded = start("--max-num-seqs", "32", "--max-num-batched-tokens", "48", "--num-gpu-blocks-override", "48", "--max-model-len", "512", "--threads", "2")
    got = [None] * len(prompts)

    def worker(i):
        got[i] = ask(crowded, prompts[i])
    threads = [threading.Thread(target=worker, args=(i,)) for i in range(len(prompts))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert crowded.metric("vllm:num_preemptions_total") > 0
    assert got == expected


def test_the_guides_command_line_logs_to_a_file(start, tmp_path):
    """Folders are made, stamps follow TZ, SIGHUP and moving the file reopen it, the log says which source set what."""
    log = tmp_path / "var/log/vllm/vllm.log"
    s = start("--tensor-parallel-size", "1", "--max-batch-size", "32", "--temperature", "0.7", "--log-file", str(log), env={"TZ": "Asia/Shanghai", "VLLM_API_KEY": "s3cret"})
    text = log.read_text()
    assert "Application startup complete." in text and "GET /health" in text
    assert re.search(r"Set by command line: .*--max-batch-size 32 .*--temperature 0.7", text)
    assert "Set by environment (VLLM_API_KEY): --api-key ***" in text and "s3cret" not in text
    stamp = re.search(r"INFO (\d\d-\d\d \d\d:\d\d:\d\d) .*API server version", text).group(1)
    there = time.strftime("%Y-", time.gmtime(time.time() + 8 * 3600)) + stamp
    assert abs(time.mktime(time.strptime(there, "%Y-%m-%d %H:%M:%S")) - time.mktime(time.gmtime(time.time() + 8 * 3600))) < 120
    assert "up to 32 sequences" in text

    log.rename(tmp_path / "1")
    s.process.send_signal(signal.SIGHUP)
    wait_for(log.exists)
    s.request("GET", "/ping")
    wait_for(lambda: "GET /ping" in log.read_text())
    assert "GET /ping" not in (tmp_path / "1").read_text()
    log.rename(tmp_path / "2")  # no signal
    wait_for(log.exists)
    s.request("GET", "/version")
    wait_for(lambda: "GET /version" in log.read_text())
    assert s.stop() == 0


def test_an_unwritable_log_file_is_one_warning(start, tmp_path):
    (tmp_path / "file").write_text("")
    s = start("--log-file", str(tmp_path / "file/x/vllm.log"))
    s.process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert s.log_text().count("not writable") == 1 and s.log_text().count("WARNING") == 1


def test_json_log_is_json_in_every_line(start):
    s = start("--log-format", "json")
    assert s.stop() == 0
    lines = [json.loads(line) for line in s.log_text().splitlines()]
    assert any("GET /health" in line["message"] for line in lines)


def test_settings_of_other_engines_are_silent(start):
    s = start(env={"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True", "HF_HUB_ENABLE_HF_TRANSFER": "1", "CUDA_VISIBLE_DEVICES": "0", "NCCL_DEBUG": "INFO",
                   "LC_ALL": "zh_CN.UTF-8", "VLLM_NCCL_SO_PATH": "/x.so", "VLLM_WORKER_MULTIPROC_METHOD": "spawn", "OMP_NUM_THREADS": "1"})
    assert s.request("POST", "/v1/chat/completions", CHAT)[0] == 200
    assert "WARNING" not in s.log_text() and "ERROR" not in s.log_text()


@pytest.mark.parametrize("flags, origin, allowed", [
    (['--cors-allow-origins "*"'], "null", "*"),
    (["--cors-allow-origins=*"], "https://app.example", "*"),
    (["--cors-allow-origins", "https://app.example"], "https://app.example", "https://app.example"),
    ([], "null", "null"),
])
def test_a_page_may_stream_a_chat(start, flags, origin, allowed):
    """What a browser sends for a page opened from a file (origin null) or from a site; the preflight brings no key."""
    s = start("--api-key", "k", *flags)
    status, headers, _ = s.request("OPTIONS", "/v1/chat/completions", headers={
        "Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"})
    headers = {k.lower(): v for k, v in headers.items()}
    assert status == 200 and headers["access-control-allow-origin"] == allowed
    assert "authorization" in headers["access-control-allow-headers"] and "POST" in headers["access-control-allow-methods"]

    connection = http.client.HTTPConnection("127.0.0.1", s.port, timeout=60)
    body = json.dumps({**CHAT, "stream": True})
    connection.request("POST", "/v1/chat/completions", body, {"Origin": origin, "Content-Type": "application/json", "Authorization": "Bearer k"})
    answer = connection.getresponse()
    assert answer.status == 200 and answer.getheader("access-control-allow-origin") == allowed
    assert answer.read().rstrip().endswith(b"data: [DONE]")
    status, headers, _ = s.request("POST", "/v1/chat/completions", CHAT, {"Origin": origin})
    assert status == 401 and {k.lower(): v for k, v in headers.items()}["access-control-allow-origin"] == allowed
    if allowed != "*":
        headers = s.request("GET", "/health", headers={"Origin": "https://evil.example"})[1]
        assert "access-control-allow-origin" not in {k.lower() for k in headers}


def run_bare(prefix, binary=BINARY, model=MODEL):
    """Serve MODEL with no environment but the cache size, ask one question, stop; returns the log."""
    port = free_port()
    process = subprocess.Popen([*prefix, binary, "serve", model, "--host", "127.0.0.1", "--port", str(port), "--served-model-name", "m"], cwd="/",
                               env={"VLLM_CPU_KVCACHE_SPACE": "1"}, stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(600):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                connection.request("POST", "/v1/chat/completions", json.dumps(CHAT), {"Content-Type": "application/json"})
                answer = connection.getresponse()
                if answer.status != 503:
                    assert answer.status == 200, answer.read()
                    break
            except OSError:
                assert process.poll() is None, process.stderr.read()
            time.sleep(0.1)
        else:
            raise TimeoutError
    finally:
        process.terminate()
        log = process.communicate(timeout=20)[1]
    assert process.returncode == 0, log
    return log


def test_no_home_is_needed():
    assert "WARNING" not in run_bare([])


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")
def test_any_uid_will_do():
    """One without a passwd entry, a home or a right to write anywhere; root's own folders are closed to it."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        binary, model = (shutil.copy(path, folder) for path in (BINARY, MODEL))
        os.chmod(model, 0o644)
        assert "WARNING" not in run_bare(["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups"], binary, model)


READ_ONLY = "mount --make-rprivate / && awk '{print $5}' /proc/self/mountinfo | sort -r | while read m; do mount -o remount,ro,bind $m 2>/dev/null; done; ! touch /tmp/x 2>/dev/null && exec \"$@\""


@pytest.mark.skipif(os.getuid() != 0 or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0, reason="needs a mount namespace")
def test_a_read_only_system_will_do():
    assert "WARNING" not in run_bare(["unshare", "-m", "sh", "-c", READ_ONLY, "sh"])


def test_commands_and_help():
    def run(*args):
        return subprocess.run([BINARY, *args], capture_output=True, text=True, timeout=30, env={})

    assert run("--version").returncode == 0 and re.fullmatch(r"\d+\.\d+\.\d+\S*\n", run("--version").stdout)
    for args, text in [(["--help"], "serve [MODEL]"), ([], "serve [MODEL]"), (["serve", "--help"], "--max-model-len"), (["serve", "--help=all"], "--speculative-config"),
                       (["serve", "--help=CacheConfig"], "--block-size"), (["serve", "--help=port"], "--port"), (["serve", "-h"], "--port")]:
        done = run(*args)
        assert done.returncode == 0 and text in done.stdout and not done.stderr, args
        assert max(map(len, done.stdout.splitlines())) <= 120, args
    for args, text in [(["frob"], "frob"), (["--model", "x"], "vllm serve --model"), (["serve", "--help=nonsense"], "nonsense")]:
        done = run(*args)
        assert done.returncode == 2 and text in done.stderr and not done.stdout, args


def test_a_failed_download_says_what_to_do(tmp_path):
    """Texts of the start; the hub's own (401, gated, misspelt) are the hub's unit tests."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "lfs").mkdir()
    (tmp_path / "lfs/config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "lfs/model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n")
    for model, text in [(tmp_path / "empty", "is empty"), (tmp_path / "lfs", "git lfs pull"), ("/none/x.gguf", "mounted"), ("org/name", "HF_HUB_OFFLINE")]:
        done = subprocess.run([BINARY, "serve", str(model), "--host", "127.0.0.1", "--port", str(free_port())], capture_output=True, text=True, timeout=60,
                              env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)})
        assert done.returncode == 1 and "ERROR" in done.stderr and "Model download failed: " in done.stderr and text in done.stderr, done.stderr


def health(*args):
    done = subprocess.run([BINARY, "health", *args], capture_output=True, text=True, timeout=20)
    return done.returncode, done.stdout


@pytest.mark.parametrize("socket_flag", [False, True])
def test_health_command_finds_the_running_server(start, tmp_path, socket_flag):
    if socket_flag:
        path = str(tmp_path / "vllm.sock")
        s = start("--uds", path, "--api-key", "secret", wait=False)
        url = f"unix:{path}"
        wait_for(lambda: health(url)[0] == 0, 60)
    else:
        s = start("--api-key", "secret")
        url = f"http://127.0.0.1:{s.port}"
    assert f"{url}: healthy\n" in health()[1]  # among those of whoever else serves on this machine
    assert health(url) == (0, f"{url}: healthy\n")
    assert s.stop() == 0
    code, text = health(url)
    assert code == 1 and text.startswith(f"{url}: not healthy: ")
    assert url not in health()[1]
    assert health("--no-such")[0] == 2
