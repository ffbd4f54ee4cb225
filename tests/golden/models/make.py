#!/usr/bin/env python3
"""Make tiny random checkpoints of every built family and what transformers computes with them.

    make.py [case...]  (all, or those named; writes <case>/{config.json,model.safetensors,expected.safetensors} beside itself)

Made with transformers 5.23.0, torch 2.13.0, safetensors 0.6+; float32, eager attention, seed 0 per case. Weights are stored as bfloat16,
the logits come from the same numbers in float32. expected.safetensors: token_ids [n] int32, logits [n, vocab] float32.
Families that transformers lacks come from reference.py. src/model/golden_test.cc reads them.
"""
import pathlib
import shutil
import sys

import torch
from safetensors.torch import save_file
from transformers import (AutoModelForCausalLM, Cohere2Config, CohereConfig, FalconConfig, Gemma2Config, Gemma3TextConfig, GPT2Config,
                          GraniteConfig, LlamaConfig, MistralConfig, Olmo2Config, OPTConfig, Phi3Config, Qwen2Config, Qwen3Config,
                          StableLmConfig)

import reference

HERE = pathlib.Path(__file__).parent
SMALL = dict(vocab_size=80, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0, initializer_range=0.3)
ONE = SMALL | dict(num_hidden_layers=1)
TWO_HEADS = SMALL | dict(num_attention_heads=2, num_key_value_heads=1)  # head_dim 16
GPT2 = dict(vocab_size=80, n_embd=32, n_layer=2, n_head=4, n_positions=64, bos_token_id=1, eos_token_id=2, initializer_range=0.3)
OPT = dict(vocab_size=80, hidden_size=32, ffn_dim=48, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=64, bos_token_id=1,
           eos_token_id=2, pad_token_id=0, init_std=0.3)
FALCON = dict(vocab_size=80, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=64, bos_token_id=1,
              eos_token_id=2, initializer_range=0.3)


def rope(kind, **more):
    return dict(rope_parameters=dict(rope_type=kind, rope_theta=10000.0, **more))


# name: (config, prompt length)
CASES = {
    "llama": (LlamaConfig(**SMALL), 40),
    "llama-mqa-tied-biases": (LlamaConfig(**SMALL | dict(num_key_value_heads=1, head_dim=24), attention_bias=True, mlp_bias=True,
                                          tie_word_embeddings=True, rms_norm_eps=1e-3), 40),
    "llama-llama3": (LlamaConfig(**ONE, **rope("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                               original_max_position_embeddings=16)), 60),
    "llama-linear": (LlamaConfig(**ONE, **rope("linear", factor=4.0)), 60),
    # Ours uses the base of the whole stretched context, as vLLM does; transformers gets there when the prompt is that long.
    "llama-dynamic": (LlamaConfig(**ONE | dict(max_position_embeddings=24), **rope("dynamic", factor=2.0)), 48),
    "llama-yarn": (LlamaConfig(**ONE, **rope("yarn", factor=4.0, original_max_position_embeddings=16)), 60),
    "llama-yarn-mscale": (LlamaConfig(**ONE, **rope("yarn", factor=4.0, original_max_position_embeddings=16, beta_fast=16.0, beta_slow=2.0,
                                                    mscale=0.7, mscale_all_dim=1.0, truncate=False)), 60),
    "llama-longrope": (LlamaConfig(**ONE, **rope("longrope", short_factor=[1.0, 1.1, 1.2, 1.3], long_factor=[1.5, 2.0, 3.0, 4.5],
                                                 original_max_position_embeddings=16)), 60),
    "mistral-window": (MistralConfig(**SMALL | dict(head_dim=16), sliding_window=10), 60),
    "qwen2": (Qwen2Config(**SMALL, tie_word_embeddings=True), 40),
    "qwen2-window": (Qwen2Config(**SMALL, use_sliding_window=True, sliding_window=9, max_window_layers=1), 60),
    "qwen3": (Qwen3Config(**SMALL | dict(head_dim=24)), 40),
    "gemma3": (Gemma3TextConfig(**SMALL | dict(num_hidden_layers=4, head_dim=16), sliding_window=8, query_pre_attn_scalar=20,
                                layer_types=["sliding_attention", "full_attention"] * 2, final_logit_softcapping=20.0,
                                attn_logit_softcapping=15.0,
                                rope_parameters=dict(full_attention=dict(rope_type="linear", factor=8.0, rope_theta=1e6),
                                                     sliding_attention=dict(rope_type="default", rope_theta=1e4))), 60),
    "gemma2": (Gemma2Config(**SMALL | dict(head_dim=16), sliding_window=8, query_pre_attn_scalar=20, attn_logit_softcapping=3.0,
                            final_logit_softcapping=10.0), 60),
    "phi3": (Phi3Config(**TWO_HEADS, sliding_window=24, original_max_position_embeddings=16,
                        rope_parameters=dict(rope_type="longrope", rope_theta=10000.0, partial_rotary_factor=0.75,
                                             short_factor=[1.0, 1.1, 1.2, 1.3, 1.4, 1.5], long_factor=[1.5, 2.0, 2.5, 3.0, 3.5, 4.5])), 60),
    "granite": (GraniteConfig(**SMALL, embedding_multiplier=3.0, residual_multiplier=0.4, attention_multiplier=0.2, logits_scaling=2.5,
                              tie_word_embeddings=True), 40),
    "olmo2": (Olmo2Config(**SMALL), 40),
    "cohere": (CohereConfig(**SMALL, logit_scale=0.25), 40),
    "cohere-qk-norm": (CohereConfig(**SMALL, logit_scale=0.25, use_qk_norm=True), 40),
    "cohere2": (Cohere2Config(**SMALL | dict(num_hidden_layers=4), sliding_window=9, logit_scale=0.5), 60),
    "stablelm": (StableLmConfig(**TWO_HEADS, use_qkv_bias=True), 40),
    "stablelm-parallel": (StableLmConfig(**SMALL, use_parallel_residual=True, qk_layernorm=True,
                                         rope_parameters=dict(rope_type="default", rope_theta=10000.0, partial_rotary_factor=0.5)), 40),
    "gpt2": (GPT2Config(**GPT2), 60),
    "opt": (OPTConfig(**OPT), 60),
    "opt-projected": (OPTConfig(**OPT, do_layer_norm_before=False, word_embed_proj_dim=16), 60),
    "falcon": (FalconConfig(**FALCON), 40),
    "falcon-groups": (FalconConfig(**FALCON, new_decoder_architecture=True, num_kv_heads=2), 40),
    "falcon-sequential": (FalconConfig(**FALCON, multi_query=False, parallel_attn=False, bias=True), 40),
}


def make(name, config, length):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32).eval()
    with torch.no_grad():
        for key, value in model.named_parameters():  # norms and biases start as ones and zeros, which would hide mistakes
            if value.dim() == 1 or "norm" in key:
                value.add_(torch.randn_like(value) * 0.2)
    model.to(torch.bfloat16)
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    # Loaded again, not cast back: the cast would leave rotary frequencies rounded to bfloat16.
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    ids = torch.randint(3, config.vocab_size, (length,), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = model(ids[None]).logits[0]
    save_file({"token_ids": ids.to(torch.int32), "logits": logits.contiguous()}, folder / "expected.safetensors")
    print(name, sum(f.stat().st_size for f in folder.iterdir()), "bytes, logits std", logits.std().item())


for name, (config, length) in CASES.items():
    if not sys.argv[1:] or name in sys.argv[1:]:
        make(name, config, length)
for name, make_reference in reference.CASES.items():
    if not sys.argv[1:] or name in sys.argv[1:]:
        make_reference(HERE / name)
