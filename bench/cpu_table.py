#!/usr/bin/env python3
"""The CPU engine's table: ours and the peers', interleaved, on the machine it runs on; appends to docs/measurements/cpu.jsonl.

    cpu_table.py --llama LLAMA_BUILD/bin --models FOLDER [--client VENV/bin/vllm] [--rounds 3] [--rows steps,serve,start,spec,long]

FOLDER holds smollm2-q4_1.gguf, qwen2.5-coder-0.5b-q4_k_m.gguf, qwen2.5-coder-1.5b-q4_k_m.gguf and hf-smollm2-q4_1/ (bfloat16, the same weights).
--client, vLLM's CPU package, adds its server to the row of 32 at once (it needs two minutes to start). `long` (a prompt of 8k tokens on the 1.5B, one
round) takes about five minutes; all rows together about 25 with three rounds on two Zen 4 cores. A row that fails is told and does not stop the others.
Nothing else should run: every row keeps the best run beside the median, which is the figure to trust on a machine that others share.
"""
import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from compare import ROOT, Running, cpu, free_port


def run(command, env=None):
    out = subprocess.run([str(c) for c in command], capture_output=True, text=True, env={**os.environ, **(env or {})})
    assert out.returncode == 0, f"{command}: {out.stderr[-2000:]}"
    return out.stdout


class Table:
    def __init__(self, args):
        self.a = args
        self.rows = []
        self.commit = run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"]).strip()

    def add(self, load, metric, unit, ours, peers, reach=None, shares=None, at_most=None):
        """`ours`: values; `peers`: {name: values}; `reach`: what the ratio should be, above 1 for more, below for less; `at_most`: a limit of our own."""
        more = at_most is None and (reach is None or reach > 1)
        best = max if more else min
        name, theirs = best(peers.items(), key=lambda item: statistics.median(item[1])) if peers else (None, None)
        row = {"date": datetime.date.today().isoformat(), "machine": cpu(), "commit": self.commit, "command": "bench/cpu_table.py", "load": load, "metric": metric,
               "value": round(statistics.median(ours), 3), "best": round(best(ours), 3), "rounds": len(ours), "unit": unit}
        if theirs:
            row |= {"peer": name, "peer_value": round(statistics.median(theirs), 3), "peer_best": round(best(theirs), 3),
                    "ratio": round(statistics.median(ours) / statistics.median(theirs), 3), "ratio_of_best": round(best(ours) / best(theirs), 3)}
        if reach is not None:
            row["reach"] = reach
        if at_most is not None:
            row["at_most"] = at_most
        if shares:
            row["roofline"] = shares
        self.rows.append(row)
        with (ROOT / "docs/measurements/cpu.jsonl").open("a") as f:
            f.write(json.dumps(row) + "\n")
        print(self.line(row), flush=True)

    @staticmethod
    def line(row):
        peer = f"{row['peer_value']:.5g} ({row['peer']})" if "peer" in row else ""
        ratio = f"{row['ratio']:.2f} ({row['ratio_of_best']:.2f})" if "ratio" in row else ""
        return f"| {row['load']} {row['metric']} | {row['value']:.5g} {row['unit']} | {peer} | {ratio} | {row.get('reach', row.get('at_most', ''))} |"

    # ---- one process, no HTTP: llama-bench beside `vllm bench latency`

    def ours(self, model, threads, tokens_in, tokens_out):
        with tempfile.NamedTemporaryFile(suffix=".json") as out:
            run([self.a.binary, "bench", "latency", model, "--threads", threads, "--input-len", tokens_in, "--output-len", tokens_out, "--batch-size", 1, "--num-iters", 2,
                 "--num-iters-warmup", 1, "--max-model-len", max(2048, tokens_in + tokens_out), "--output-json", out.name])
            return json.loads(pathlib.Path(out.name).read_text())

    def llama(self, model, threads, tokens_in, tokens_out):
        out = run([self.a.llama / "llama-bench", "-m", model, "-t", threads, "-p", tokens_in, "-n", tokens_out, "-r", 2, "-o", "json"])
        return max(json.loads(out)[0]["samples_ts"])

    def steps(self, name, ours_model, llama_model, threads, decode_len, reach_tg, reach_pp, shares, rounds):
        figures = {"ours": {"tg": [], "pp": []}, "llama": {"tg": [], "pp": []}}
        for _ in range(rounds):
            figures["llama"]["tg"].append(self.llama(llama_model, threads, 0, decode_len))
            figures["ours"]["tg"].append(self.ours(ours_model, threads, 1, decode_len + 1)["decode_tokens_per_second"])
            figures["llama"]["pp"].append(self.llama(llama_model, threads, 512, 0))
            figures["ours"]["pp"].append(self.ours(ours_model, threads, 512, 1)["prefill_tokens_per_second"])
        for kind, label, reach in [("tg", f"tg{decode_len}", reach_tg), ("pp", "pp512", reach_pp)]:
            self.add(f"{name}, {threads} thread{'s' if threads > 1 else ''}", label, "tok/s", figures["ours"][kind], {"llama.cpp": figures["llama"][kind]}, reach,
                     shares.get(threads, {}).get(kind))

    def roofline(self, model, *sizes):
        """Per thread count: how much of the machine's ceilings the step's linear kernels reach."""
        with tempfile.NamedTemporaryFile(suffix=".json") as out:
            run([self.a.binary, "bench", "roofline", model, "--threads", 2, *sizes, "--output-json", out.name])
            results = json.loads(pathlib.Path(out.name).read_text())["results"]
        shares = {}
        for r in results:
            kernels = {k["kernel"]: k for k in r["kernels"]}
            machine = {"read_gb_per_second": round(r["read_bytes_per_second"] / 1e9, 1), "int8_tops": round(r["int8_ops"] / 1e12, 3),
                       "bfloat16_tflops": round(r["bfloat16_flops"] / 1e12, 3)}
            shares[r["threads"]] = {
                "tg": machine | {"step_of_read_limit": round(r["decode_tokens_per_second"] / r["decode_limit"], 3)}
                      | {name: round(k["decode_share_of_read"], 3) for name, k in kernels.items()},
                "pp": machine | {name: round(k["prefill_share_of_peak"], 3) for name, k in kernels.items() if name != "lm_head"},
                "weight_bytes": r["weight_bytes"]}
        return shares

    # ---- servers over HTTP; our load client for all of them

    def load(self, port, seed):
        with tempfile.TemporaryDirectory() as out:
            run([self.a.binary, "bench", "serve", "--backend", "openai", "--base-url", f"http://127.0.0.1:{port}", "--endpoint", "/v1/completions", "--model", "m",
                 "--dataset-name", "random", "--random-input-len", 128, "--random-output-len", 128, "--num-prompts", 32, "--max-concurrency", 32, "--ignore-eos",
                 "--seed", seed, "--disable-tqdm", "--save-result", "--result-dir", out, "--result-filename", "r.json"])
            r = json.loads(pathlib.Path(out, "r.json").read_text())
        assert r["completed"] == 32 and r["total_output_tokens"] == 32 * 128, f"{r['completed']} of 32 done, {r['total_output_tokens']} tokens"
        assert r["output_throughput"] * r["duration"] > 0.99 * 32 * 128 and r["median_ttft_ms"] > 0, r
        return r

    def serve(self, kinds, rounds):
        """{name: {metric: values}} of servers that take turns."""
        figures = {name: {"throughput": [], "ttft": []} for name, _, _ in kinds}
        for round_ in range(rounds):
            for name, command, env in kinds:
                port = free_port()
                server = Running(name.replace(" ", "_"), command(port), port, env)
                try:
                    r = self.load(port, round_)
                    figures[name]["throughput"].append(r["output_throughput"])
                    figures[name]["ttft"].append(r["median_ttft_ms"] / 1e3)
                finally:
                    server.stop()
        return figures

    def serve_ours(self, model):
        return lambda port: [self.a.binary, "serve", model, "--host", "127.0.0.1", "--port", str(port), "--served-model-name", "m", "--max-model-len", "4096",
                             "--disable-uvicorn-access-log", "--threads", "2"]

    def serve_llama(self, model):
        return lambda port: [str(self.a.llama / "llama-server"), "-m", str(model), "--host", "127.0.0.1", "--port", str(port), "--alias", "m", "--parallel", "32",
                             "-c", "16384", "-t", "2", "--no-webui"]

    def many_at_once(self, folder, gguf, bf16_gguf):
        vllm_env = {"VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_CPU_OMP_THREADS_BIND": "0-1", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}
        for label, model, peer_model in [("bf16", folder, bf16_gguf), ("Q4_1", gguf, gguf)]:
            kinds = [("ours", self.serve_ours(model), {}), ("llama.cpp", self.serve_llama(peer_model), {})]
            figures = self.serve(kinds, self.a.serve_rounds)
            if self.a.client and label == "bf16":
                command = lambda port: [self.a.client, "serve", str(folder), "--dtype", "bfloat16", "--max-model-len", "4096", "--host", "127.0.0.1", "--port", str(port),
                                        "--served-model-name", "m"]
                figures |= self.serve([("vLLM", command, vllm_env)], 1)
            ours = figures.pop("ours")
            name = f"SmolLM2 {label}, 128:128:32 over HTTP, 2 threads"
            self.add(name, "output throughput", "tok/s", ours["throughput"], {n: f["throughput"] for n, f in figures.items()}, 1.5)
            self.add(name, "median TTFT", "s", ours["ttft"], {n: f["ttft"] for n, f in figures.items()}, 0.6)

    def start(self, gguf, weight_bytes):
        starts, llama_starts, idle, memory = [], [], [], []
        for _ in range(self.a.rounds):
            for kind, values in [("llama", llama_starts), ("ours", starts)]:
                port = free_port()
                server = Running(kind, (self.serve_ours if kind == "ours" else self.serve_llama)(gguf)(port), port, {})
                try:
                    values.append(server.start_s)
                    if kind == "ours":
                        time.sleep(0.5)
                        ticks = lambda: sum(int(x) for x in pathlib.Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13])
                        before = ticks()
                        time.sleep(2)
                        idle.append((ticks() - before) / os.sysconf("SC_CLK_TCK") / 2 * 100)
                        memory.append(server.memory_mib() - weight_bytes / (1 << 20))
                finally:
                    server.stop()
        self.add("SmolLM2 Q4_1", "exec to /health", "s", starts, {"llama.cpp": llama_starts}, at_most=0.25)
        self.add("SmolLM2 Q4_1, idle", "memory beside packed weights (PSS)", "MiB", memory, {}, at_most=60)
        self.add("SmolLM2 Q4_1, idle", "CPU", "%", idle, {}, at_most=0)

    def pair(self, target, draft):
        """The 0.5B drafting for the 1.5B, one request at a time, beside the 1.5B alone: tokens a second of decode, and the same answers."""
        prompts = ["Write a Python function that returns the n-th Fibonacci number, with a docstring.", "Write a C function that reverses a singly linked list.",
                   "Write a SQL query that lists the ten customers with the highest total of orders in 2023.", "Write a JavaScript class for a stack with push, pop and peek."]
        speeds, texts = {"pair": [], "alone": []}, {}
        with tempfile.TemporaryDirectory() as scratch:
            data = pathlib.Path(scratch, "prompts.jsonl")
            data.write_text("".join(json.dumps({"prompt": p, "output_tokens": 96}) + "\n" for p in prompts))
            for _ in range(max(1, self.a.rounds - 1)):
                for name, flags in [("alone", []), ("pair", ["--spec-model", str(draft), "--spec-tokens", "3"])]:
                    port = free_port()
                    server = Running(name, self.serve_ours(target)(port) + flags, port, {})
                    try:
                        run([self.a.binary, "bench", "serve", "--backend", "openai-chat", "--base-url", f"http://127.0.0.1:{port}", "--endpoint", "/v1/chat/completions", "--model", "m",
                             "--dataset-name", "custom", "--dataset-path", data, "--custom-output-len", -1, "--num-prompts", len(prompts), "--max-concurrency", 1, "--disable-shuffle",
                             "--temperature", 0, "--ignore-eos", "--disable-tqdm", "--save-result", "--save-detailed", "--result-dir", scratch, "--result-filename", f"{name}.json"])
                    finally:
                        server.stop()
                    r = json.loads(pathlib.Path(scratch, f"{name}.json").read_text())
                    assert r["total_output_tokens"] == 96 * len(prompts), r["total_output_tokens"]
                    speeds[name].append(1e3 / r["mean_tpot_ms"])
                    texts.setdefault(name, r["generated_texts"])
                    assert r["generated_texts"] == texts["alone"], "the pair's answers differ"
        self.add("Qwen2.5-Coder-1.5B Q4_K_M, drafts of 3 by the 0.5B, 4 coding prompts, one at a time", "decode", "tok/s", speeds["pair"], {"without drafts": speeds["alone"]}, 1.4)

    def long_prompt(self, model):
        ours, llama = [], []
        llama.append(8192 / self.llama_once(model, 8192))
        ours.append(min(self.ours_once(model, 8192)))
        self.add("Qwen2.5-Coder-1.5B Q4_K_M, 8k-token prompt, 2 threads", "time to first token", "s", ours, {"llama.cpp": llama}, 0.5)

    def llama_once(self, model, tokens):
        out = run([self.a.llama / "llama-bench", "-m", model, "-t", 2, "-p", tokens, "-n", 0, "-r", 1, "--no-warmup", "-o", "json"])
        return json.loads(out)[0]["samples_ts"][0]

    def ours_once(self, model, tokens):
        with tempfile.NamedTemporaryFile(suffix=".json") as out:
            run([self.a.binary, "bench", "latency", model, "--threads", 2, "--input-len", tokens, "--output-len", 1, "--batch-size", 1, "--num-iters", 1, "--num-iters-warmup", 0,
                 "--max-model-len", tokens + 64, "--output-json", out.name])
            return json.loads(pathlib.Path(out.name).read_text())["first_token_latencies"]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--llama", type=pathlib.Path, required=True, help="folder of llama-bench, llama-server, llama-quantize")
    p.add_argument("--models", type=pathlib.Path, required=True)
    p.add_argument("--client", help="vLLM's CPU package: .../bin/vllm")
    p.add_argument("--binary", default=str(ROOT / "build/release/bin/vllm"))
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--serve-rounds", type=int, default=2)
    p.add_argument("--rows", default="steps,serve,start,spec,long")
    a = p.parse_args()
    rows = a.rows.split(",")
    smol, smol_folder = a.models / "smollm2-q4_1.gguf", a.models / "hf-smollm2-q4_1"
    small, large = a.models / "qwen2.5-coder-0.5b-q4_k_m.gguf", a.models / "qwen2.5-coder-1.5b-q4_k_m.gguf"
    table = Table(a)
    begin, failed = time.time(), []
    print("| load | ours | best peer | ratio (of the best runs) | reach |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        smol_bf16 = pathlib.Path(scratch, "bf16.gguf")
        run([a.llama / "llama-quantize", "--allow-requantize", smol, smol_bf16, "BF16"])
        shares = table.roofline(smol) if "steps" in rows or "start" in rows else {}
        sections = {"steps": [], "serve": [lambda: table.many_at_once(smol_folder, smol, smol_bf16)], "start": [lambda: table.start(smol, shares[1]["weight_bytes"])],
                    "spec": [lambda: table.pair(large, small)], "long": [lambda: table.long_prompt(large)]}
        for threads in (1, 2):
            sections["steps"].append(lambda threads=threads: table.steps("SmolLM2 Q4_1", smol, smol, threads, 128, 1.25, 1.5, shares, a.rounds))
        # The larger models take longer a run: their kernels are judged in smaller steps.
        sizes = ("--prefill-len", 64, "--batch-size", 8)
        sections["steps"] += [
            lambda: table.steps("SmolLM2 bf16", smol_folder, smol_bf16, 2, 128, 1.25, 1.5, table.roofline(smol_folder), a.rounds),
            lambda: table.steps("Qwen2.5-Coder-1.5B Q4_K_M", large, large, 2, 64, 1.25, 1.5, table.roofline(large, *sizes), a.rounds),
            lambda: table.steps("Qwen2.5-Coder-0.5B Q4_K_M", small, small, 2, 64, 1.5, 3.0, table.roofline(small, *sizes), a.rounds)]
        for section in rows:
            for measure in sections[section]:
                try:
                    measure()
                except Exception as e:
                    failed.append(section)
                    print(f"| {section} FAILED: {e!r} |", flush=True)
            print(f"<!-- {section} done after {time.time() - begin:.0f} s -->", flush=True)
    print(f"\n{cpu()}, commit {table.commit}, {time.time() - begin:.0f} s")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
