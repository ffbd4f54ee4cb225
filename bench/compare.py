#!/usr/bin/env python3
"""Our server beside the CPU peers, same loads, interleaved in one run; appends to docs/measurements/peers.jsonl.

    compare.py --llama LLAMA_BUILD/bin --client VENV/bin/vllm --gguf MODEL.gguf --folder HF_FOLDER [--vllm] [--rounds 3]

Needs: a llama.cpp build (llama-server), vLLM's CPU package for its load client `vllm bench serve` (and, with --vllm, its server),
the same weights as GGUF (Q4_1: ours and llama.cpp) and as a bfloat16 folder (ours and vLLM). Loads are input:output:requests at once.
"""
import argparse
import datetime
import http.client
import json
import os
import pathlib
import socket
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
LOADS = [(128, 128, 1, 4), (128, 128, 32, 32)]


def cpu():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    name = next(l.split(":")[1].strip() for l in lines if l.startswith("model name"))
    flags = next(l for l in lines if l.startswith("flags")).split()
    return f"{name} x{os.cpu_count()} ({' '.join(f for f in flags if f.startswith(('amx', 'avx512', 'avx_vnni')) or f == 'avx2')})"


class Running:
    def __init__(self, name, command, port, env):
        self.name, self.port = name, port
        self.log = tempfile.NamedTemporaryFile(prefix=f"{name}-", suffix=".log", delete=False)
        begin = time.time()
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env={**os.environ, **OFFLINE, **env})
        while True:
            assert self.process.poll() is None and time.time() - begin < 300, f"{name} did not start: {self.log.name}"
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
                connection.request("GET", "/health")
                if connection.getresponse().status == 200:
                    break
            except OSError:
                pass
            time.sleep(0.02)
        self.start_s = time.time() - begin

    def memory_mib(self):
        total = 0
        pids = [self.process.pid] + [int(p) for p in subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True).stdout.split()]
        for pid in pids:
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) / 1024
        return total

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def bench(client, tokenizer, port, load, seed):
    tokens_in, tokens_out, at_once, prompts = load
    with tempfile.TemporaryDirectory() as out:
        subprocess.run([client, "bench", "serve", "--backend", "openai", "--base-url", f"http://127.0.0.1:{port}", "--endpoint", "/v1/completions", "--model", "m",
                        "--tokenizer", tokenizer, "--dataset-name", "random", "--random-input-len", str(tokens_in), "--random-output-len", str(tokens_out),
                        "--num-prompts", str(prompts), "--max-concurrency", str(at_once), "--ignore-eos", "--seed", str(seed), "--disable-tqdm",
                        "--save-result", "--result-dir", out, "--result-filename", "r.json"], check=True, capture_output=True, env={**os.environ, **OFFLINE})
        return json.loads(pathlib.Path(out, "r.json").read_text())


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--llama", type=pathlib.Path, required=True)
    p.add_argument("--client", required=True)
    p.add_argument("--gguf", required=True)
    p.add_argument("--folder", required=True)
    p.add_argument("--binary", default=str(ROOT / "build/release/bin/vllm"))
    p.add_argument("--vllm", action="store_true")
    p.add_argument("--rounds", type=int, default=3)
    a = p.parse_args()
    ours = lambda model, port: [a.binary, "serve", model, "--host", "127.0.0.1", "--port", str(port), "--served-model-name", "m", "--max-model-len", "4096", "--disable-uvicorn-access-log"]
    llama = lambda model, port: [str(a.llama / "llama-server"), "-m", model, "--host", "127.0.0.1", "--port", str(port), "--alias", "m", "--parallel", "32", "-c", "16384", "-t", "2", "--no-webui"]
    kinds = [("vllm.cpp Q4_1", ours, a.gguf, {}), ("llama.cpp Q4_1", llama, a.gguf, {}), ("vllm.cpp bf16", ours, a.folder, {})]
    if a.vllm:
        env = {"VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_CPU_OMP_THREADS_BIND": "0-1", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}
        kinds.append(("vLLM CPU bf16", lambda model, port: [a.client, "serve", model, "--dtype", "bfloat16", "--max-model-len", "4096", "--host", "127.0.0.1", "--port", str(port), "--served-model-name", "m"], a.folder, env))
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    figures = {}
    for round_ in range(a.rounds):
        for name, command, model, env in kinds:
            port = free_port()
            server = Running(name.replace(" ", "_"), command(model, port), port, env)
            try:
                figures.setdefault((name, "start", "start_to_health", "s"), []).append(server.start_s)
                figures.setdefault((name, "idle", "pss", "MiB"), []).append(server.memory_mib())
                for load in LOADS:
                    r = bench(a.client, a.folder, port, load, round_)
                    text = f"{load[0]}:{load[1]}:{load[2]}"
                    for metric, key, unit in [("output_throughput", "output_throughput", "tok/s"), ("ttft_median", "median_ttft_ms", "ms"), ("tpot_median", "median_tpot_ms", "ms")]:
                        figures.setdefault((name, text, metric, unit), []).append(r[key])
                figures.setdefault((name, "after", "pss", "MiB"), []).append(server.memory_mib())
            finally:
                server.stop()
    out = ROOT / "docs/measurements/peers.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("a") as f:
        for (name, load, metric, unit), values in figures.items():
            row = {"date": datetime.date.today().isoformat(), "machine": cpu(), "commit": commit, "command": "bench/compare.py", "engine": name, "load": load,
                   "metric": metric, "value": round(statistics.median(values), 3), "min": round(min(values), 3), "max": round(max(values), 3), "rounds": len(values), "unit": unit}
            f.write(json.dumps(row) + "\n")
            print(f"{name:16} {load:12} {metric:18} {row['value']:10.2f} {unit}  ({row['min']:.2f} to {row['max']:.2f})")


if __name__ == "__main__":
    main()
