#!/usr/bin/env python3
"""Record what transformers says in float32 on the CPU about the weights of a GGUF file, for parity.py.

    reference.py CASE.json FILE.gguf OUT.npz [--dtype float32|bfloat16] [--tokens 64]
    reference.py CASE.json FILE.gguf --verify HF_FOLDER     the folder has the bfloat16 roundings of the file: is that what is loaded?

CASE.json is made by make_case.py. The weights are the file's, dequantized to float32; with --dtype bfloat16 rounded to that, and
then computed with in float32 as well. OUT.npz: the token ids of every prompt; all (row, token, log probability) with p > 0.001;
the best token of every row; for bfloat16 the p99 of transformers' own run in it; for each prompt 64 greedy tokens and the gaps
between the two best ones. Needs torch, transformers, numpy, gguf.
"""
import argparse
import json
import pathlib
import sys
import time

import gguf
import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM

THRESHOLD = np.log(0.001)
LAYER = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj",
         "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"}
TWO_NORMS = {"ffn_norm": "post_attention_layernorm"}
FOUR_NORMS = {"post_attention_norm": "post_attention_layernorm", "ffn_norm": "pre_feedforward_layernorm", "post_ffw_norm": "post_feedforward_layernorm"}


def weights(path, config):
    """{transformers' name: float32 tensor} of every tensor in the file."""
    gemma = config.model_type.startswith("gemma3")
    layer = {**LAYER, **(FOUR_NORMS if gemma else TWO_NORMS)}
    names = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
    found = {}
    for t in gguf.GGUFReader(path).tensors:
        if t.name == "rope_freqs.weight":
            continue
        value = torch.from_numpy(np.array(gguf.dequantize(t.data, t.tensor_type), np.float32)).reshape([int(n) for n in reversed(t.shape)])
        stem, kind = t.name.rsplit(".", 1)
        if stem.startswith("blk."):
            _, number, op = stem.split(".")
            name = f"model.layers.{number}.{layer[op]}"
            if config.model_type == "llama" and op in ("attn_q", "attn_k"):  # llama.cpp keeps the pairs of a rotation side by side
                heads = config.num_attention_heads if op == "attn_q" else config.num_key_value_heads
                value = value.reshape(heads, -1, 2, *value.shape[1:]).swapaxes(1, 2).reshape(value.shape)
        else:
            name = names[stem]
        found[f"{name}.{kind}"] = value - 1 if gemma and "norm" in name else value
    return found


def load(case, path):
    fields = dict(case["config"])
    config = AutoConfig.for_model(fields.pop("model_type"), **fields)
    torch.set_default_dtype(torch.float32)
    config.torch_dtype = config.dtype = torch.float32
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    found = weights(path, config)
    missing, unexpected = model.load_state_dict(found, strict=False)
    missing = [m for m in missing if not (m == "lm_head.weight" and config.tie_word_embeddings)]
    if missing or unexpected:
        sys.exit(f"missing {missing}, unexpected {unexpected}")
    model.tie_weights()
    return model


def log_probs(model, ids):
    with torch.no_grad():
        return torch.log_softmax(model(torch.tensor([ids])).logits[0].float(), -1).numpy()


def greedy(model, ids, count):
    tokens, gaps, past, feed = [], [], None, ids
    with torch.no_grad():
        for _ in range(count):
            out = model(torch.tensor([feed]), past_key_values=past, use_cache=True, logits_to_keep=1)
            past = out.past_key_values
            best = torch.log_softmax(out.logits[0, -1].float(), -1).topk(2)
            tokens.append(int(best.indices[0])), gaps.append(float(best.values[0] - best.values[1]))
            feed = tokens[-1:]
    return tokens, gaps


def verify(model, folder):
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).state_dict()
    ours = model.state_dict()
    off = [n for n, t in theirs.items() if t.shape == ours[n].shape and not torch.equal(ours[n].bfloat16().float(), t)]
    cut = [n for n, t in theirs.items() if t.shape != ours[n].shape]
    print(f"{folder}: {len(theirs)} tensors, {len(off)} differ {off[:5]}, another shape: {cut}")
    sys.exit(bool(off))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("case")
    parser.add_argument("gguf")
    parser.add_argument("out", nargs="?")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--verify")
    args = parser.parse_args()
    case, start = json.loads(pathlib.Path(args.case).read_text()), time.time()
    model = load(case, args.gguf)
    if args.verify:
        verify(model, args.verify)
    dtype, prompts = getattr(torch, args.dtype), case["prompts"]
    model.to(dtype)
    yardstick = [log_probs(model, ids) for ids in prompts] if args.dtype != "float32" else None
    model.float()
    truth = [log_probs(model, ids) for ids in prompts]
    flat = np.concatenate(truth)
    rows, tokens = np.nonzero(flat > THRESHOLD)
    runs = [greedy(model, ids, args.tokens) for ids in prompts]
    found = dict(ids=np.concatenate(prompts).astype(np.int32), lengths=np.array([len(p) for p in prompts], np.int32), rows=rows.astype(np.int32),
                 tokens=tokens.astype(np.int32), values=flat[rows, tokens], best=flat.argmax(-1).astype(np.int32), vocab=np.int64(flat.shape[1]),
                 greedy=np.array([r[0] for r in runs], np.int32), gaps=np.array([r[1] for r in runs], np.float32))
    if yardstick:
        found[f"p99_{args.dtype}"] = np.percentile(np.abs(np.concatenate(yardstick)[rows, tokens] - found["values"]), 99)
    np.savez_compressed(args.out, **found)
    print(f"{args.out}: {len(flat)} tokens, {len(rows)} pairs, {time.time() - start:.0f} s", {k: float(v) for k, v in found.items() if k.startswith("p99")})


main()
