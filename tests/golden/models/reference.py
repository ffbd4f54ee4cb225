"""Families whose code lives in their model repositories, written anew in plain torch: for make.py.

Straight from the formulas, one token and one head at a time; float32 throughout, no cache, weights rounded to bfloat16.
"""
import json
import math

import torch
from safetensors.torch import save_file

VOCAB, HIDDEN, INNER, LAYERS, HEADS, HEAD_DIM = 80, 32, 48, 2, 4, 8


def rms_norm(x, weight, eps):
    return x / torch.sqrt((x * x).mean() + eps) * weight


def turn(x, position, base):
    """Rotate dimensions i and i + half of one head."""
    half = len(x) // 2
    out = x.clone()
    for i in range(half):
        angle = position / base ** (2 * i / len(x))
        out[i] = x[i] * math.cos(angle) - x[i + half] * math.sin(angle)
        out[i + half] = x[i + half] * math.cos(angle) + x[i] * math.sin(angle)
    return out


def attend(queries, keys, values, position):
    """One head's output for the query at `position`."""
    scores = torch.stack([queries[position] @ keys[j] for j in range(position + 1)]) / math.sqrt(HEAD_DIM)
    return sum(p * values[j] for j, p in enumerate(torch.softmax(scores, 0)))


def attention(heads, kv_heads, length):
    """heads: [head][position] turned queries, kv_heads: [kv head] of (keys, values); -> [position] joined heads."""
    per_group = len(heads) // len(kv_heads)
    return [torch.cat([attend(q, *kv_heads[h // per_group], t) for h, q in enumerate(heads)]) for t in range(length)]


def random_weights(shapes):
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for name, shape in shapes.items():
        is_norm = "norm" in name or ".ln_" in name
        value = torch.randn(shape, generator=generator) * (0.2 if is_norm or len(shape) == 1 else 0.3) + (1.0 if is_norm else 0.0)
        weights[name] = value.to(torch.bfloat16)
    return weights


def write(folder, config, shapes, length, forward):
    weights = random_weights(shapes)
    folder.mkdir(exist_ok=True)
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    ids = torch.randint(3, VOCAB, (length,), generator=torch.Generator().manual_seed(1))
    logits = forward({k: v.float() for k, v in weights.items()}, ids.tolist())
    save_file({"token_ids": ids.to(torch.int32), "logits": logits.contiguous()}, folder / "expected.safetensors")
    print(folder.name, sum(f.stat().st_size for f in folder.iterdir()), "bytes, logits std", logits.std().item())


def internlm2(folder):
    """InternLM2: wqkv holds, for each KV head, its query heads, its key and its value; dynamic NTK at the whole prompt's length."""
    kv, length, trained, factor = 2, 48, 24, 2.0
    config = dict(architectures=["InternLM2ForCausalLM"], model_type="internlm2", vocab_size=VOCAB, hidden_size=HIDDEN, intermediate_size=INNER,
                  num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=kv, max_position_embeddings=trained, bias=False,
                  hidden_act="silu", rms_norm_eps=1e-5, rope_theta=10000, rope_scaling=dict(type="dynamic", factor=factor),
                  tie_word_embeddings=False, bos_token_id=1, eos_token_id=2, torch_dtype="bfloat16")
    shapes = {"model.tok_embeddings.weight": (VOCAB, HIDDEN), "model.norm.weight": (HIDDEN,), "output.weight": (VOCAB, HIDDEN)}
    for i in range(LAYERS):
        p = f"model.layers.{i}."
        shapes |= {p + "attention_norm.weight": (HIDDEN,), p + "ffn_norm.weight": (HIDDEN,),
                   p + "attention.wqkv.weight": ((HEADS + 2 * kv) * HEAD_DIM, HIDDEN), p + "attention.wo.weight": (HIDDEN, HEADS * HEAD_DIM),
                   p + "feed_forward.w1.weight": (INNER, HIDDEN), p + "feed_forward.w3.weight": (INNER, HIDDEN),
                   p + "feed_forward.w2.weight": (HIDDEN, INNER)}
    base = 10000 * (factor * length / trained - (factor - 1)) ** (HEAD_DIM / (HEAD_DIM - 2))

    def forward(w, ids):
        xs = [w["model.tok_embeddings.weight"][t] for t in ids]
        for i in range(LAYERS):
            p = f"model.layers.{i}."
            rows = [w[p + "attention.wqkv.weight"] @ rms_norm(x, w[p + "attention_norm.weight"], 1e-5) for x in xs]
            queries, kv_heads, per_group = [], [], HEADS // kv
            for g in range(kv):
                part = [[r[((per_group + 2) * g + j) * HEAD_DIM:][:HEAD_DIM] for r in rows] for j in range(per_group + 2)]
                queries += [[turn(x, t, base) for t, x in enumerate(q)] for q in part[:per_group]]
                kv_heads.append(([turn(x, t, base) for t, x in enumerate(part[-2])], part[-1]))
            joined = attention(queries, kv_heads, len(ids))
            xs = [x + w[p + "attention.wo.weight"] @ a for x, a in zip(xs, joined)]
            for t, x in enumerate(xs):
                h = rms_norm(x, w[p + "ffn_norm.weight"], 1e-5)
                gate = w[p + "feed_forward.w1.weight"] @ h
                xs[t] = x + w[p + "feed_forward.w2.weight"] @ (gate * torch.sigmoid(gate) * (w[p + "feed_forward.w3.weight"] @ h))
        return torch.stack([w["output.weight"] @ rms_norm(x, w["model.norm.weight"], 1e-5) for x in xs])

    write(folder, config, shapes, length, forward)


def qwen(folder):
    """The first Qwen: one biased tensor for Q, K, V; base by ceil(log2(length / seq_length) + 1); log-n queries; w2 is the gate."""
    length, trained = 60, 16
    config = dict(architectures=["QWenLMHeadModel"], model_type="qwen", vocab_size=VOCAB, hidden_size=HIDDEN, intermediate_size=2 * INNER,
                  num_hidden_layers=LAYERS, num_attention_heads=HEADS, kv_channels=HEAD_DIM, max_position_embeddings=64, seq_length=trained,
                  layer_norm_epsilon=1e-6, no_bias=True, rotary_emb_base=10000, rotary_pct=1.0, scale_attn_weights=True,
                  tie_word_embeddings=False, use_dynamic_ntk=True, use_logn_attn=True, torch_dtype="bfloat16")
    shapes = {"transformer.wte.weight": (VOCAB, HIDDEN), "transformer.ln_f.weight": (HIDDEN,), "lm_head.weight": (VOCAB, HIDDEN)}
    for i in range(LAYERS):
        p = f"transformer.h.{i}."
        shapes |= {p + "ln_1.weight": (HIDDEN,), p + "ln_2.weight": (HIDDEN,), p + "attn.c_attn.weight": (3 * HIDDEN, HIDDEN),
                   p + "attn.c_attn.bias": (3 * HIDDEN,), p + "attn.c_proj.weight": (HIDDEN, HIDDEN), p + "mlp.w1.weight": (INNER, HIDDEN),
                   p + "mlp.w2.weight": (INNER, HIDDEN), p + "mlp.c_proj.weight": (HIDDEN, INNER)}
    alpha = max(2 ** math.ceil(math.log(length / trained, 2) + 1) - 1, 1)
    base = 10000 * alpha ** (HEAD_DIM / (HEAD_DIM - 2))

    def log_n(position):
        return math.log(position + 1, trained) if position + 1 > trained else 1.0

    def forward(w, ids):
        xs = [w["transformer.wte.weight"][t] for t in ids]
        for i in range(LAYERS):
            p = f"transformer.h.{i}."
            rows = [w[p + "attn.c_attn.weight"] @ rms_norm(x, w[p + "ln_1.weight"], 1e-6) + w[p + "attn.c_attn.bias"] for x in xs]
            part = [[r[j * HEAD_DIM:][:HEAD_DIM] for r in rows] for j in range(3 * HEADS)]
            queries = [[turn(x, t, base) * log_n(t) for t, x in enumerate(q)] for q in part[:HEADS]]
            kv_heads = [([turn(x, t, base) for t, x in enumerate(k)], v) for k, v in zip(part[HEADS:2 * HEADS], part[2 * HEADS:])]
            joined = attention(queries, kv_heads, len(ids))
            xs = [x + w[p + "attn.c_proj.weight"] @ a for x, a in zip(xs, joined)]
            for t, x in enumerate(xs):
                h = rms_norm(x, w[p + "ln_2.weight"], 1e-6)
                gate = w[p + "mlp.w2.weight"] @ h
                xs[t] = x + w[p + "mlp.c_proj.weight"] @ (gate * torch.sigmoid(gate) * (w[p + "mlp.w1.weight"] @ h))
        return torch.stack([w["lm_head.weight"] @ rms_norm(x, w["transformer.ln_f.weight"], 1e-6) for x in xs])

    write(folder, config, shapes, length, forward)


CASES = {"internlm2": internlm2, "qwen": qwen}
