#!/usr/bin/env python3
"""Time from exec to the first token with real files: writes a random bfloat16 checkpoint of a model in models/ (safetensors, so that it is in
the page cache), then runs `vllm bench startup` on it. Needs torch and safetensors on the machine with the GPU.

    startup.py --binary build/cuda/bin/vllm --tokenizer DIR --model qwen3-8b [--folder /tmp/ckpt] [--commit HASH] [--out gpu.jsonl]
"""
import argparse
import datetime
import json
import pathlib
import shutil
import subprocess

import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).resolve().parent


def tensors(c):
    hidden, heads, kv = c["hidden_size"], c["num_attention_heads"] * c["head_dim"], c["num_key_value_heads"] * c["head_dim"]
    yield "model.embed_tokens.weight", (c["vocab_size"], hidden)
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        for name, shape in [("self_attn.q_proj", (heads, hidden)), ("self_attn.k_proj", (kv, hidden)), ("self_attn.v_proj", (kv, hidden)), ("self_attn.o_proj", (hidden, heads)),
                            ("mlp.gate_proj", (c["intermediate_size"], hidden)), ("mlp.up_proj", (c["intermediate_size"], hidden)), ("mlp.down_proj", (hidden, c["intermediate_size"])),
                            ("input_layernorm", (hidden,)), ("post_attention_layernorm", (hidden,)), ("self_attn.q_norm", (c["head_dim"],)), ("self_attn.k_norm", (c["head_dim"],))]:
            yield p + name + ".weight", shape
    yield "model.norm.weight", (hidden,)
    if not c["tie_word_embeddings"]:
        yield "lm_head.weight", (c["vocab_size"], hidden)


def write(folder, config, shard_bytes=4 << 30):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    index, shard, size, total, count = {}, {}, 0, 0, 0

    def flush():
        nonlocal shard, size, count
        if shard:
            count += 1
            name = f"model-{count:05}.safetensors"
            save_file(shard, folder / name)
            index.update({key: name for key in shard})
            shard, size = {}, 0

    for name, shape in tensors(config):
        x = torch.ones(shape, dtype=torch.bfloat16) if len(shape) == 1 else (torch.randn(shape, device=device, dtype=torch.bfloat16) * 0.02).cpu()
        shard[name], size, total = x, size + x.numel() * 2, total + x.numel() * 2
        if size >= shard_bytes:
            flush()
    flush()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": index}))
    return total


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--binary", required=True)
    p.add_argument("--tokenizer", required=True)
    p.add_argument("--model", required=True)
    p.add_argument("--folder", default="/tmp/checkpoints")
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--commit", default="")
    p.add_argument("--out")
    a = p.parse_args()
    folder = pathlib.Path(a.folder, a.model)
    if not folder.exists():
        folder.mkdir(parents=True)
        for file in pathlib.Path(a.tokenizer).glob("*.json"):
            shutil.copy(file, folder)
        config = json.loads((HERE / "models" / a.model / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config))
        print(f"{a.model}: {write(folder, config) / 2**30:.2f} GiB written", flush=True)
    result = folder / "startup.json"
    subprocess.run([a.binary, "bench", "startup", "--model", str(folder), "--max-model-len", "8192", "--num-iters-cold", "0", "--num-iters-warm", str(a.runs), "--output-json", str(result)],
                   check=True)
    r = json.loads(result.read_text())
    print(json.dumps(r)[:2000])
    if a.out:
        gpu = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], capture_output=True, text=True).stdout.strip()
        with open(a.out, "a") as f:
            for key, value in r.items():
                if isinstance(value, (int, float)):
                    f.write(json.dumps({"date": datetime.date.today().isoformat(), "machine": gpu, "commit": a.commit, "command": "tests/gpu/startup.py", "load": f"{a.model}-bf16 startup",
                                        "metric": key, "value": round(value, 4), "unit": "s"}) + "\n")


main()
