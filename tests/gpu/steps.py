#!/usr/bin/env python3
"""Measure what a step costs inside of the engine on a GPU, dummy weights of real shapes: decode steps at 1 to 256 sequences and the GPU's idle time between
them (from profiles), and the prefill of one prompt of 8k tokens as a share of the GEMM rate.

    steps.py --binary build/cuda/bin/vllm --tokenizer DIR [--models qwen3-0.6b,qwen3-8b] [--sequences 1,2,...] [--gemm-tflops 790] [--commit HASH] [--out gpu.jsonl]

DIR as for serve_table.py. The GEMM rate is that of large bfloat16 products on the same kind of GPU (cuBLASLt, random data).
"""
import argparse
import json
import os
import pathlib
import subprocess
import tempfile

import common
from serve_table import model_folder

CONTEXT, OUTPUT, PROMPT = 1024, 64, 8192


def bench(binary, folder, flags):
    command = [binary, "bench", "latency", str(folder), "--load-format", "dummy", "--temperature", "0", "--max-model-len", "16384", *map(str, flags)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, env=common.program_env(pathlib.Path(binary).parent))
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def flops(config, tokens):
    """Of a prefill: the layers' matrices, and causal attention."""
    heads, dim = config["num_attention_heads"], config["head_dim"]
    hidden, layers = config["hidden_size"], config["num_hidden_layers"]
    weights = hidden * dim * (2 * heads + 2 * config["num_key_value_heads"]) + 3 * hidden * config["intermediate_size"]
    return layers * (2 * weights * tokens + 4 * heads * dim * tokens * tokens / 2)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--binary", required=True)
    p.add_argument("--tokenizer", required=True)
    p.add_argument("--models", default="qwen3-0.6b,qwen3-8b")
    p.add_argument("--sequences", default="1,2,4,8,16,32,64,128,256")
    p.add_argument("--gemm-tflops", type=float, default=790)
    p.add_argument("--commit", default="")
    p.add_argument("--out", default=os.devnull)
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as root:
        for model in a.models.split(","):
            folder = model_folder(model, a.tokenizer, root)
            load = f"{model}-bf16"
            result = pathlib.Path(root, "prefill.json")
            bench(a.binary, folder, ["--input-len", PROMPT, "--output-len", 1, "--batch-size", 1, "--num-iters-warmup", 2, "--num-iters", 5, "--output-json", result])
            seconds = sorted(json.loads(result.read_text())["latencies"])[2]
            rate = flops(json.loads((folder / "config.json").read_text()), PROMPT) / seconds / 1e12
            common.record(a.out, a.commit, "tests/gpu/steps.py", f"{load} prefill of {PROMPT}",
                          {"ttft_ms": (round(seconds * 1000, 3), "ms"), "tflops": (round(rate, 1), "TFLOP/s"), "share_of_gemm_rate": (round(rate / a.gemm_tflops, 4), "")})
            for count in map(int, a.sequences.split(",")):
                traces = pathlib.Path(root, f"{model}-{count}")
                bench(a.binary, folder, ["--input-len", CONTEXT, "--output-len", OUTPUT if count > 8 else 4 * OUTPUT, "--batch-size", count, "--num-iters-warmup", 1 if count > 8 else 2,
                                         "--max-num-batched-tokens", 8192, "--max-mixed-batch-tokens", 8192, "--profile", "--profiler-config.torch_profiler_dir", traces])
                summary = json.loads(next(traces.iterdir()).read_text())["otherData"]
                step, idle = summary["decode_step_by_sequences"].get(str(count)), summary["gpu_idle_us"]
                if step is None:
                    print(f"{load}: no decode steps of {count} sequences")
                    continue
                common.record(a.out, a.commit, "tests/gpu/steps.py", f"{load} decode {count} x {CONTEXT}",
                              {"engine_step_ms": (round(step["p50_us"] / 1000, 4), "ms"), "engine_step_p99_ms": (round(step["p99_us"] / 1000, 4), "ms"),
                               "gpu_idle_p50_us": (round(idle["p50"], 2), "us"), "gpu_idle_p99_us": (round(idle["p99"], 2), "us")})


if __name__ == "__main__":
    main()
