#!/usr/bin/env python3
"""KL divergence of a quantized file to its own dequantized float32 model, ours beside llama.cpp's.

    kl.py MODEL.gguf TOKENIZER_FOLDER --llama LLAMA_BUILD/bin [--binary build/release/bin/model_logits] [--chunks 8] [--theirs KL]
          [--record docs/measurements/kl.jsonl]

Both engines see the same chunks of 512 forced tokens (licence texts of Debian's base system) and are judged on the second half
of each, as llama-perplexity does; llama.cpp runs with --no-repack, or is not run where --theirs has its figure from an earlier
run (same files and chunks: most of the time is its). Prints mean KL of each and the ratio; the limit is 1.1.
Needs numpy, tokenizers and a llama.cpp build (llama-quantize, llama-perplexity).
"""
import argparse
import datetime
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
from tokenizers import Tokenizer

CONTEXT = 512


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout + done.stderr


def cpu():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    name = next(l.split(":")[1].strip() for l in lines if l.startswith("model name"))
    flags = next(l for l in lines if l.startswith("flags")).split()
    return f"{name} ({' '.join(f for f in flags if f.startswith(('amx', 'avx512', 'avx_vnni')) or f == 'avx2')})"


def log_probs(binary, model, prompts, dtype, work):
    out = work / "out.bin"
    run(binary, model, prompts, out, "--dtype", dtype)
    rows = len(json.loads(prompts.read_text())) * CONTEXT
    return np.fromfile(out, np.float32).reshape(rows // CONTEXT, CONTEXT, -1)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("model")
    args.add_argument("tokenizer")
    args.add_argument("--llama", type=pathlib.Path, required=True)
    args.add_argument("--binary", default="build/release/bin/model_logits")
    args.add_argument("--chunks", type=int, default=8)
    args.add_argument("--theirs", type=float)
    args.add_argument("--record", type=pathlib.Path, help="append the figures there, a JSON object a line")
    args = args.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        text = "".join(pathlib.Path("/usr/share/common-licenses", n).read_text() for n in ("GPL-2", "Apache-2.0", "GPL-3"))
        (work / "text").write_text(text)
        float_model = work / "float32.gguf"
        run(args.llama / "llama-quantize", "--allow-requantize", args.model, float_model, "F32")
        theirs = args.theirs
        if theirs is None:
            base = work / "base.kld"
            common = ["-f", work / "text", "-c", CONTEXT, "-b", CONTEXT, "--chunks", args.chunks, "-t", 2, "--no-repack", "--kl-divergence-base", base]
            run(args.llama / "llama-perplexity", "-m", float_model, *common)
            report = run(args.llama / "llama-perplexity", "-m", args.model, *common, "--kl-divergence")
            theirs = float(re.search(r"Mean\s+KLD:\s+([0-9.eE+-]+)", report).group(1))

        tokenizer = Tokenizer.from_file(str(pathlib.Path(args.tokenizer, "tokenizer.json")))
        ids = tokenizer.encode(text).ids
        bos = ids[0] if ids[:1] != tokenizer.encode(text, add_special_tokens=False).ids[:1] else None
        chunks = [ids[i * CONTEXT:(i + 1) * CONTEXT] for i in range(args.chunks)]
        if bos is not None:
            chunks = [[bos] + c[1:] for c in chunks]
        total, count = 0.0, 0
        for chunk in chunks:
            prompts = work / "prompts.json"
            prompts.write_text(json.dumps([chunk]))
            p = log_probs(args.binary, float_model, prompts, "float32", work)[0, CONTEXT // 2:-1].astype(np.float64)
            q = log_probs(args.binary, args.model, prompts, "float16", work)[0, CONTEXT // 2:-1].astype(np.float64)
            total += (np.exp(p) * (p - q)).sum()
            count += len(p)
    ours = total / count
    print(f"{args.model}: mean KL over {count} tokens: ours {ours:.6f}, llama.cpp {theirs:.6f}, ratio {ours / theirs:.3f} (limit 1.1)")
    if args.record:
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
        row = {"date": datetime.date.today().isoformat(), "machine": cpu(), "commit": commit, "command": f"tests/parity/kl.py --chunks {args.chunks}",
               "load": f"{pathlib.Path(args.model).name}, {count} forced tokens", "metric": "mean KL", "unit": "nat"}
        with args.record.open("a") as f:
            for engine, value in (("vllm.cpp", ours), ("llama.cpp --no-repack", theirs))[:1 if args.theirs else 2]:
                f.write(json.dumps({**row, "engine": engine, "value": round(float(value), 6)}) + "\n")
    sys.exit(int(ours > 1.1 * theirs))


main()
