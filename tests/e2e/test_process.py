"""The program as an operator sees it: start, stop, keys, flags, logs."""
import signal
import socket
import subprocess
import threading
import time

from conftest import BINARY, MODEL, free_port


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
