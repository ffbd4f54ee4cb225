#!/usr/bin/env python3
"""Hold the GPU engine with real models against the float32 references of reference.py.

    parity.py --bin FOLDER --parity FOLDER --out FOLDER [--commit HASH] [--only NAME] [--device cpu]

--parity has NAME.gguf and NAME-DTYPE.npz. For each pair: forced tokens through cuda_logits (whole prompts, all prompts in one
batch, one token at a time from graphs), p99 of |difference of log probabilities| over the recorded pairs; limits: float32
0.005, else 1.25 x transformers' own p99 in that dtype, where it was recorded. Then 64 greedy tokens of every prompt through
`vllm serve`, alone and all at once: equal up to the first token whose reference had two tokens within 0.1 nat. --device cpu runs
the same with model_logits and the CPU engine (give it an F32 file: others stay quantized there). Needs numpy.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from common import Server, program_env, record  # noqa: E402

NEAR_TIE = 0.1
FLOAT32_LIMIT = 0.005
MODES = {"whole prompts": [], "one batch, chunks of 100": ["--together", "--chunk", "100"], "token by token, graphs": ["--together", "--prefill", "5", "--graphs"],
         "without cuBLASLt": ["--together", "--no-cublaslt"]}
CPU_MODES = {"whole prompts": [], "one batch, chunks of 100": ["--together", "--chunk", "100"]}


class Case:
    def __init__(self, path, options):
        self.options = options
        self.name, self.dtype = path.stem.rsplit("-", 1)
        self.model = path.parent / f"{self.name}.gguf"
        self.truth = np.load(path)
        ends = np.cumsum(self.truth["lengths"])
        self.prompts = [ids.tolist() for ids in np.split(self.truth["ids"], ends[:-1])]
        self.failed = False

    def fail(self, text):
        print(f"FAILED {self.name} {self.dtype}: {text}", flush=True)
        self.failed = True

    def limit(self):
        if self.dtype == "float32":
            return FLOAT32_LIMIT
        key = f"p99_{self.dtype}"
        return 1.25 * float(self.truth[key]) if key in self.truth else None

    def save(self, load, values):
        record(self.options.out / "gpu.jsonl", self.options.commit, "tests/gpu/parity.py", f"{self.name} {self.dtype} {load}", values)

    def forced(self, mode, flags):
        truth, vocab = self.truth, int(self.truth["vocab"])
        with tempfile.TemporaryDirectory() as tmp:
            prompts, out = pathlib.Path(tmp, "prompts.json"), pathlib.Path(tmp, "out.bin")
            prompts.write_text(json.dumps(self.prompts))
            done = subprocess.run([self.options.bin / self.options.tool, self.model, prompts, out, "--dtype", self.dtype, *flags], capture_output=True, text=True,
                                  env=program_env(self.options.bin))
            if done.returncode:
                self.fail(f"{mode}: {done.stderr[-500:]}")
                return
            rows = np.memmap(out, np.float32, "r").reshape(-1, vocab)
            if len(rows) != len(truth["ids"]):
                self.fail(f"{mode}: {len(rows)} rows")
                return
            diffs = np.abs(rows[truth["rows"], truth["tokens"]] - truth["values"])
            same = float(np.mean(np.argmax(rows, 1) == truth["best"]))
        p99, limit = float(np.percentile(diffs, 99)), self.limit()
        self.save(f"forced tokens, {mode}", {"p50 dlogprob": (float(np.percentile(diffs, 50)), "nat"), "p99 dlogprob": (p99, "nat"), "max dlogprob": (float(diffs.max()), "nat"),
                                             "top1 equal": (same, ""), **({"p99 limit": (limit, "nat")} if limit else {})})
        if not np.isfinite(diffs).all() or (limit and not p99 <= limit):
            self.fail(f"{mode}: p99 {p99} is over {limit}")

    def compare(self, load, answers):
        whole, gaps = 0, []
        for tokens, expected, gap in zip(answers, self.truth["greedy"], self.truth["gaps"]):
            if len(tokens) != len(expected):
                self.fail(f"greedy {load}: {len(tokens)} tokens came instead of {len(expected)}")
                continue
            off = np.nonzero(np.array(tokens) != expected)[0]
            if len(off) == 0:
                whole += 1
                continue
            gaps.append(float(gap[off[0]]))
            print(f"  split at step {off[0]}, gap {gaps[-1]:.4f}")
        self.save(f"greedy, {load}", {"runs": (len(answers), ""), "runs equal for all tokens": (whole, ""), "largest gap at a split": (max(gaps, default=0.0), "nat")})
        if max(gaps, default=0) >= NEAR_TIE:
            self.fail(f"greedy {load}: left the reference where its gap was {max(gaps):.3f}")

    def greedy(self):
        flags = ["--device", self.options.device, "--dtype", self.dtype, "--max-model-len", "2048", "--kv-cache-memory-bytes", "4G", "--max-num-seqs", "64"]
        server = Server(self.options.bin / "vllm", self.model, flags, self.options.out / f"parity-{self.name}-{self.dtype}.log",
                        env=program_env(self.options.bin))
        count = self.truth["greedy"].shape[1]

        def ask(ids):
            status, body = server.post("/v1/completions", {"model": "m", "prompt": ids, "max_tokens": count, "temperature": 0, "ignore_eos": True, "return_token_ids": True})
            return json.loads(body)["choices"][0]["token_ids"] if status == 200 else []

        self.compare("one at a time", [ask(ids) for ids in self.prompts])
        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            self.compare("all at once", list(pool.map(ask, self.prompts)))
        if server.stop() != 0:
            self.fail(f"the server's exit status; see {server.log}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--parity", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--commit", default="unknown")
    parser.add_argument("--only", default="")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    options.tool, modes = ("cuda_logits", MODES) if options.device == "cuda" else ("model_logits", CPU_MODES)
    failed, cases = False, 0
    for path in sorted(options.parity.glob("*.npz")):
        case = Case(path, options)
        if options.only not in path.stem or not case.model.exists():
            continue
        start = time.time()
        cases += 1
        for mode, flags in modes.items():
            case.forced(mode, flags)
        case.greedy()
        failed |= case.failed
        print(f"{path.stem}: {'FAILED' if case.failed else 'ok'} in {time.time() - start:.1f} s", flush=True)
    print(f"parity: {cases} cases, {'FAILED' if failed else 'all ok'}")
    os._exit(int(failed or cases == 0))


main()
