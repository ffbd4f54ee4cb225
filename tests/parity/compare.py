#!/usr/bin/env python3
"""Hold model_logits against transformers on forced tokens.

    compare.py HF_FOLDER [--binary build/release/bin/model_logits] [--model FILE.gguf] [--dtypes float32 bfloat16] [--limit N]

Runs every prompt of prompts.json through transformers (float32, eager attention; then its own bfloat16 as a yardstick) and
through model_logits, and prints the 50th, 99th and 100th percentile of |difference of log probabilities| over all (position,
token) pairs that the float32 reference gives more than 0.001. Limits: float32 p99 <= 0.005; bfloat16 p99 <= 1.25 x
transformers' own bfloat16. --model compares another file (a GGUF of the same weights) with the folder's float32 reference and
only prints. Exit status 1 if a limit is broken. Needs torch 2, transformers 5, numpy. No server, no network.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

HERE = pathlib.Path(__file__).parent


def encode_prompts(folder, limit):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prompts = []
    for entry in json.loads((HERE / "prompts.json").read_text())[:limit]:
        if isinstance(entry, str):
            ids = tokenizer(entry)["input_ids"]
        elif tokenizer.chat_template:
            ids = tokenizer(tokenizer.apply_chat_template(entry, tokenize=False), add_special_tokens=False)["input_ids"]
        else:
            ids = tokenizer("\n".join(m["content"] for m in entry))["input_ids"]
        prompts.append(ids)
    return prompts


def reference(folder, prompts, dtype):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()
    with torch.no_grad():
        for ids in prompts:
            logits = model(torch.tensor([ids])).logits[0].float()
            yield torch.log_softmax(logits, -1).numpy()


def ours(binary, model, prompts, dtype, vocab):
    with tempfile.TemporaryDirectory() as tmp:
        prompts_file, out = pathlib.Path(tmp, "prompts.json"), pathlib.Path(tmp, "out.bin")
        prompts_file.write_text(json.dumps(prompts))
        subprocess.run([binary, model, prompts_file, out, "--dtype", dtype], check=True)
        rows = np.memmap(out, np.float32, "r").reshape(-1, vocab)
        start = 0
        for ids in prompts:
            yield np.array(rows[start:start + len(ids)])
            start += len(ids)


def percentiles(truth, masks, rows):
    diffs = np.concatenate([np.abs(r - t)[m] for t, m, r in zip(truth, masks, rows)])
    kl = np.concatenate([(np.exp(t) * (t - r)).sum(-1) for t, r in zip(truth, rows)]).mean()
    same = np.mean(np.concatenate([t.argmax(-1) == r.argmax(-1) for t, r in zip(truth, rows)]))
    return dict(p50=float(np.percentile(diffs, 50)), p99=float(np.percentile(diffs, 99)), max=float(diffs.max()), kl=float(kl),
                top1_equal=float(same), pairs=len(diffs))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--binary", default="build/release/bin/model_logits")
    parser.add_argument("--model")
    parser.add_argument("--dtypes", nargs="*", default=["float32", "bfloat16"])
    parser.add_argument("--limit", type=int)
    args = parser.parse_args()
    prompts = encode_prompts(args.folder, args.limit)
    truth = list(reference(args.folder, prompts, torch.float32))
    vocab = truth[0].shape[-1]
    masks = [t > np.log(0.001) for t in truth]
    name, failed = pathlib.Path(args.model or args.folder).name, False
    for dtype in args.dtypes:
        rows = list(ours(args.binary, args.model or args.folder, prompts, dtype, vocab))
        found = percentiles(truth, masks, rows)
        limit = None
        if not args.model and dtype == "float32":
            limit = 0.005
        elif not args.model:
            theirs = percentiles(truth, masks, list(reference(args.folder, prompts, getattr(torch, dtype))))
            print(json.dumps(dict(model=name, who="transformers", dtype=dtype, **theirs)))
            limit = 1.25 * theirs["p99"]
        print(json.dumps(dict(model=name, who="vllm", dtype=dtype, prompts=len(prompts), tokens=sum(map(len, prompts)), limit=limit, **found)))
        failed |= limit is not None and not found["p99"] <= limit
    sys.exit(failed)


if __name__ == "__main__":
    main()
