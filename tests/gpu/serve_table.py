#!/usr/bin/env python3
"""Measure `vllm serve` on a GPU through HTTP with our own client: the loads of the table in docs/measurements, dummy weights of real shapes.

    serve_table.py --binary build/cuda/bin/vllm --tokenizer DIR [--rows NAME,...] [--commit HASH] [--out gpu.jsonl]

DIR has a tokenizer.json with Qwen's vocabulary (and tokenizer_config.json); a model folder is made of it and models/<name>/config.json.
Prints a table; with --out appends JSON lines {date, machine, commit, command, load, metric, value, unit}.
"""
import argparse
import datetime
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
#       name             model         in    out  at once prompts
ROWS = {"0.6b-1": ("qwen3-0.6b", 128, 128, 1, 24), "0.6b-64": ("qwen3-0.6b", 512, 256, 64, 640), "8b-1": ("qwen3-8b", 128, 128, 1, 10),
        "8b-8": ("qwen3-8b", 1024, 256, 8, 48), "8b-64": ("qwen3-8b", 1024, 256, 64, 256), "8b-256": ("qwen3-8b", 1024, 256, 256, 768)}
METRICS = {"output_tok_s": ("output_throughput", "tok/s"), "ttft_ms": ("mean_ttft_ms", "ms"), "ttft_p99_ms": ("p99_ttft_ms", "ms"), "tpot_ms": ("mean_tpot_ms", "ms"),
           "itl_p99_ms": ("p99_itl_ms", "ms")}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, binary, folder, name, flags, log):
        self.port = free_port()
        self.log = open(log, "w")
        begin = time.time()
        self.process = subprocess.Popen([binary, "serve", folder, "--load-format", "dummy", "--max-model-len", "8192", "--no-enable-prefix-caching", "--served-model-name", name,
                                         "--host", "127.0.0.1", "--port", str(self.port), "--disable-uvicorn-access-log", *flags], stdout=self.log, stderr=self.log)
        while True:
            if self.process.poll() is not None or time.time() - begin > 120:
                raise RuntimeError(pathlib.Path(log).read_text()[-3000:])
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
                connection.request("GET", "/health")
                if connection.getresponse().status == 200:
                    break
            except OSError:
                pass
            time.sleep(0.01)
        self.start_s = time.time() - begin

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            print("the server had to be killed")


def model_folder(name, tokenizer, root):
    folder = pathlib.Path(root, name)
    folder.mkdir()
    for file in pathlib.Path(tokenizer).iterdir():
        if file.suffix in (".json", ".txt", ".jinja") and file.name not in ("config.json", "generation_config.json") and "index" not in file.name:
            shutil.copy(file, folder)
    shutil.copy(HERE / "models" / name / "config.json", folder)
    return folder


def gpu_name():
    line = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], capture_output=True, text=True).stdout
    return line.strip().splitlines()[0] if line.strip() else "no GPU"


def memory_beside(log):
    """GiB in use on the device, less weights and KV cache as the server's log has them."""
    sizes = re.search(r"weights ([0-9.]+) GiB.*KV cache ([0-9.]+) GiB", log)
    used = subprocess.run(["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"], capture_output=True, text=True).stdout.split()
    return int(used[0]) / 1024 - float(sizes[1]) - float(sizes[2]) if sizes and used else None


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--binary", required=True)
    p.add_argument("--client", help="another binary's `bench serve` as the client")
    p.add_argument("--tokenizer", required=True)
    p.add_argument("--rows", default=",".join(ROWS))
    p.add_argument("--commit", default="")
    p.add_argument("--flags", default="", help="more flags for the server, separated by blanks")
    p.add_argument("--scale", type=float, default=1, help="times the number of prompts")
    p.add_argument("--out")
    p.add_argument("--logs", default=os.environ.get("OUT", "."))
    a = p.parse_args()
    lines = []

    def record(load, metric, value, unit):
        lines.append({"date": datetime.date.today().isoformat(), "machine": gpu_name(), "commit": a.commit, "command": "tests/gpu/serve_table.py " + a.flags, "load": load, "metric": metric,
                      "value": round(value, 3), "unit": unit})

    with tempfile.TemporaryDirectory() as root:
        server, model = None, None
        for row in a.rows.split(","):
            name, tokens_in, tokens_out, at_once, prompts = ROWS[row]
            if name != model:
                if server:
                    server.stop()
                folder = model_folder(name, a.tokenizer, root)
                server, model = Server(a.binary, folder, name, a.flags.split(), f"{a.logs}/serve-{name}.log"), name
                print(f"{name}: {server.start_s:.2f} s to /health", flush=True)
                record(f"{name}-bf16", "exec_to_health_s", server.start_s, "s")
                if (beside := memory_beside(pathlib.Path(f"{a.logs}/serve-{name}.log").read_text())) is not None:
                    print(f"{name}: {beside:.2f} GiB beside weights and KV cache, the CUDA context included", flush=True)
                    record(f"{name}-bf16", "memory_beside_weights_and_kv_gib", beside, "GiB")
            prompts = max(at_once, int(prompts * a.scale))
            for warm in (True, False):
                result = pathlib.Path(root, f"{row}.json")
                count = min(prompts, 2 * at_once + 2) if warm else prompts
                command = [a.client or a.binary, "bench", "serve", "--backend", "openai", "--base-url", f"http://127.0.0.1:{server.port}", "--endpoint", "/v1/completions", "--model", name,
                           "--tokenizer", str(folder), "--dataset-name", "random", "--random-input-len", str(tokens_in), "--random-output-len", str(tokens_out), "--num-prompts", str(count),
                           "--max-concurrency", str(at_once), "--ignore-eos", "--disable-tqdm", "--save-result", "--result-dir", root, "--result-filename", f"{row}.json"]
                done = subprocess.run(command, capture_output=True, text=True, timeout=200)
                if done.returncode != 0:
                    print(done.stdout[-2000:], done.stderr[-2000:], pathlib.Path(f"{a.logs}/serve-{name}.log").read_text()[-2000:])
                    raise SystemExit(f"{row}: the client failed")
            r = json.loads(result.read_text())
            load = f"{name}-bf16 {tokens_in}:{tokens_out}:{at_once}"
            for metric, (key, unit) in METRICS.items():
                record(load, metric, r[key], unit)
            print(f"{load:28} completed {r['completed']:4}  {r['output_throughput']:9.1f} tok/s  TTFT {r['mean_ttft_ms']:8.2f} / {r['p99_ttft_ms']:8.2f} ms  TPOT {r['mean_tpot_ms']:7.3f} ms"
                  f"  ITL p99 {r['p99_itl_ms']:7.3f} ms", flush=True)
        if server:
            server.stop()
    if a.out:
        with open(a.out, "a") as f:
            f.writelines(json.dumps(line) + "\n" for line in lines)


if __name__ == "__main__":
    main()
