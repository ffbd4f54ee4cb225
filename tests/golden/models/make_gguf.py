#!/usr/bin/env python3
"""Convert the tiny checkpoints to GGUF with llama.cpp's own converter, so that its tensor names, orders and metadata are tested.

    make_gguf.py LLAMA_CPP [case...]     (writes <case>/model.gguf; LLAMA_CPP: a source folder with conversion/ and gguf-py/)

Made with llama.cpp 0c1e570. The vocabulary is left out (the checkpoints have none), and so is what a golden config lacks
that published ones have. src/model/golden_test.cc reads them.
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
LLAMA_CPP = pathlib.Path(sys.argv[1])
sys.path[:0] = [str(LLAMA_CPP), str(LLAMA_CPP / "gguf-py")]
import gguf  # noqa: E402
from conversion import get_model_class  # noqa: E402
from conversion.base import ModelBase, ModelType, get_model_architecture  # noqa: E402

CASES = ["llama", "llama-llama3", "qwen2", "qwen3", "gemma2", "phi3", "granite", "olmo2", "cohere", "cohere2", "stablelm",
         "internlm2", "gpt2", "falcon", "falcon-groups", "qwen"]  # this converter fails on StableLM's norms of heads, and gemma3 without tokenizer
# Fields of published config.json files that transformers no longer writes.
LEGACY = {"cohere2": {"rotary_pct": 1.0}, "gpt2": {"n_ctx": 64}, "falcon": {"num_kv_heads": 1}}

for case in sys.argv[2:] or CASES:
    folder = HERE / case
    hparams = ModelBase.load_hparams(folder, False) | LEGACY.get(case, {})
    model_class = get_model_class(get_model_architecture(hparams, ModelType.TEXT))
    model = model_class(folder, gguf.LlamaFileType.MOSTLY_BF16, folder / "model.gguf", hparams=hparams)
    model.set_vocab = lambda: None
    model.write()
    print(case, (folder / "model.gguf").stat().st_size, "bytes")
