"""Ten minutes of random good and bad requests, aborts and readers that never read; then everything must be as it was.

    soak.py --binary vllm --model X.gguf [--seconds 600] [--requests N] [--workers 12] [--log FILE] [-- FLAGS]

At the end every KV block is free, the answers of good requests equal those that a quiet server gave, and the process is alive.
--requests ends it after so many, if that comes first. FLAGS go to the server: `-- --device cuda --dtype float32` (a GPU gives the
quiet server's answers in float32, and in two bytes with VLLM_BATCH_INVARIANT=1). Standard library only.
"""
import argparse
import http.client
import json
import os
import random
import socket
import subprocess
import threading
import time

ARGS = argparse.ArgumentParser()
ARGS.add_argument("--binary", required=True)
ARGS.add_argument("--model", required=True)
ARGS.add_argument("--seconds", type=float, default=600)
ARGS.add_argument("--workers", type=int, default=12)
ARGS.add_argument("--seed", type=int, default=1)
ARGS.add_argument("--requests", type=int, default=1 << 40)
ARGS.add_argument("--log", default="build/soak.log")
ARGS.add_argument("flags", nargs="*")

GOOD = [{"model": "m", "prompt": f"Fact number {i}: the", "max_tokens": 4 + i % 29, "temperature": [0, 0.8][i % 2], "seed": i, "ignore_eos": True} for i in range(24)]
BAD = [
    ("/v1/completions", b"{" * 10000),
    ("/v1/completions", json.dumps({"model": "m", "prompt": "a", "temperature": 9}).encode()),
    ("/v1/completions", b'{"model": "m", "prompt": "a", "temperature": NaN}'),
    ("/v1/completions", json.dumps({"model": "m", "prompt": [999999999]}).encode()),
    ("/v1/completions", json.dumps({"model": "m", "prompt": "x", "stop": ["s"] * 10000}).encode()),
    ("/v1/completions", json.dumps({"model": "m", "prompt": "long " * 20000}).encode()),
    ("/v1/chat/completions", json.dumps({"model": "m", "messages": []}).encode()),
    ("/v1/chat/completions", b"\x00\xff\xfe"),
    ("/v1/chat/completions", json.dumps({"model": "m", "messages": [{"role": "user", "content": 3}]}).encode()),
    ("/tokenize", b"[]"),
    ("/nowhere", b"{}"),
]


class Soak:
    def __init__(self, options):
        self.options = options
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.log = open(options.log, "wb")
        self.process = subprocess.Popen(
            [options.binary, "serve", options.model, "--host", "127.0.0.1", "--port", str(self.port), "--served-model-name", "m", "--max-model-len", "2048",
             "--num-gpu-blocks-override", "256", "--max-num-seqs", "16", "--disable-uvicorn-access-log", *options.flags], stderr=self.log, stdout=self.log)
        self.counts = {}
        self.total = 0
        self.problems = []
        self.lock = threading.Lock()

    def count(self, name):
        with self.lock:
            self.counts[name] = self.counts.get(name, 0) + 1
            self.total += 1

    def problem(self, text):
        with self.lock:
            self.problems.append(text)

    def post(self, path, data, timeout=120):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        connection.request("POST", path, data, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body

    def wait_ready(self):
        for _ in range(600):
            try:
                if self.get("/health")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise SystemExit(f"the server did not start; see {self.options.log}")

    def good(self, index, expected):
        status, body = self.post("/v1/completions", json.dumps(GOOD[index]).encode())
        if status != 200:
            self.problem(f"good request {index}: {status} {body[:200]}")
        elif (text := json.loads(body)["choices"][0]["text"]) != expected[index]:
            self.problem(f"good request {index}: {text!r} instead of {expected[index]!r}")
        self.count("good")

    def bad(self, rng):
        path, data = rng.choice(BAD)
        status, body = self.post(path, data)
        if not 400 <= status < 500:
            self.problem(f"bad request to {path}: {status} {body[:200]}")
        self.count("bad")

    def vanish(self, rng):
        """Open a stream, read a little or nothing, and go."""
        data = json.dumps({**GOOD[0], "max_tokens": 400, "stream": True, "n": rng.choice([1, 3]), "temperature": 1}).encode()
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as s:
            s.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data))
            for _ in range(rng.choice([0, 1, 5])):
                s.recv(200)
            time.sleep(rng.random() * 0.3)
        self.count("vanished")

    def half_sent(self, rng):
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as s:
            s.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{" if rng.random() < 0.5 else bytes(rng.randrange(256) for _ in range(300)))
            time.sleep(rng.random() * 0.2)
        self.count("half sent")

    def worker(self, seed, expected, end):
        rng = random.Random(seed)
        while time.time() < end and self.total < self.options.requests:
            try:
                kind = rng.random()
                if kind < 0.5:
                    self.good(rng.randrange(len(GOOD)), expected)
                elif kind < 0.7:
                    self.bad(rng)
                elif kind < 0.9:
                    self.vanish(rng)
                else:
                    self.half_sent(rng)
            except OSError as e:
                self.problem(f"{type(e).__name__}: {e}")

    def memory_mib(self):
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024

    def metric(self, name):
        return sum(float(line.rsplit(" ", 1)[1]) for line in self.get("/metrics")[1].splitlines() if line.startswith(name + "{"))

    def run(self):
        self.wait_ready()
        expected = [json.loads(self.post("/v1/completions", json.dumps(g).encode())[1])["choices"][0]["text"] for g in GOOD]
        start, end = time.time(), time.time() + self.options.seconds
        threads = [threading.Thread(target=self.worker, args=(self.options.seed * 1000 + i, expected, end)) for i in range(self.options.workers)]
        for t in threads:
            t.start()
        while time.time() < start + min(30, self.options.seconds / 4) and any(t.is_alive() for t in threads):
            time.sleep(0.1)
        early = self.memory_mib()
        for t in threads:
            t.join()
        for _ in range(100):
            if self.metric("vllm:num_requests_running") == 0 and self.metric("vllm:num_requests_waiting") == 0:
                break
            time.sleep(0.1)
        usage = self.metric("vllm:kv_cache_usage_perc")
        if usage != 0:
            self.problem(f"KV blocks are still in use: {usage}")
        if (health := self.get("/health")[0]) != 200:
            self.problem(f"/health answers {health}")
        if self.process.poll() is not None:
            self.problem(f"the server ended with {self.process.returncode}")
        print(f"{self.counts}; memory {early:.0f} MiB early, {self.memory_mib():.0f} MiB at the end")
        self.process.terminate()
        if self.process.wait(30) != 0:
            self.problem(f"exit status {self.process.returncode}")
        for text in self.problems[:20]:
            print("PROBLEM:", text)
        print(f"soak: {len(self.problems)} problems in {time.time() - start:.0f} s, {self.total} requests, {self.total - self.counts.get('good', 0)} of them bad or left")
        return bool(self.problems)


if __name__ == "__main__":
    os._exit(Soak(ARGS.parse_args()).run())
