#!/usr/bin/env python3
"""Free greedy runs of the server against transformers in float32.

    greedy.py HF_FOLDER [--binary build/release/bin/vllm] [--dtypes float32 bfloat16] [--tokens 64]

Every prompt of prompts.json runs for 64 tokens at temperature 0 through `vllm serve`. The run must follow transformers' argmax up to
the first near-tie: where it leaves it, the two best tokens of the reference must be within 0.1 nat. One forward pass of the
reference over prompt + answer decides. Needs torch, transformers; no network.
"""
import argparse
import http.client
import json
import pathlib
import socket
import subprocess
import sys
import time

import torch
from transformers import AutoModelForCausalLM

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from compare import encode_prompts  # noqa: E402

NEAR_TIE = 0.1


def serve(binary, folder, dtype):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    process = subprocess.Popen([binary, "serve", folder, "--dtype", dtype, "--host", "127.0.0.1", "--port", str(port), "--served-model-name", "m", "--max-model-len", "2048"],
                               stderr=subprocess.DEVNULL)
    for _ in range(1200):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return process, port
        except OSError:
            pass
        time.sleep(0.1)
    sys.exit("the server did not start")


def complete(port, ids, tokens):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    body = {"model": "m", "prompt": ids, "max_tokens": tokens, "temperature": 0, "ignore_eos": True, "return_token_ids": True}
    connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    return json.loads(connection.getresponse().read())["choices"][0]["token_ids"]


def main():
    args = argparse.ArgumentParser()
    args.add_argument("folder")
    args.add_argument("--binary", default="build/release/bin/vllm")
    args.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    args.add_argument("--tokens", type=int, default=64)
    args = args.parse_args()
    prompts = encode_prompts(args.folder, None)
    model = AutoModelForCausalLM.from_pretrained(args.folder, dtype=torch.float32)
    bad = 0
    for dtype in args.dtypes:
        process, port = serve(args.binary, args.folder, dtype)
        whole, splits = 0, []
        for ids in prompts:
            out = complete(port, ids, args.tokens)
            with torch.no_grad():
                rows = model(torch.tensor([ids + out])).logits[0, len(ids) - 1:-1].log_softmax(-1)
            for step, (row, token) in enumerate(zip(rows, out)):
                best = row.topk(2)
                if token != best.indices[0].item():
                    gap = (best.values[0] - best.values[1]).item()
                    splits.append(f"step {step} gap {gap:.3f}")
                    bad += gap >= NEAR_TIE
                    break
            else:
                whole += len(out) == args.tokens
        process.terminate()
        process.wait()
        print(f"{args.folder} {dtype}: {whole} of {len(prompts)} runs equal for {args.tokens} tokens; splits: {', '.join(splits) or 'none'}")
    sys.exit(bad > 0)


main()
