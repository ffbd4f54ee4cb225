#!/usr/bin/env python3
"""Make cases.json: folders with vocab.json and merges.txt but no tokenizer.json, and what transformers' tokenizers do with them.

    python make.py

Made with transformers 5.23.0 and tokenizers 0.23.3. vocab.json and merges.txt are the golden ../gpt2 with <|endoftext|> and </s> as its last tokens;
a case adds files to them.
"""
import json
import sys
import tempfile
from pathlib import Path

from transformers import AutoTokenizer

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import corpus  # noqa: E402
import make as goldens  # noqa: E402

NUM_TEXTS, NUM_DECODES = 90, 20


def token(content, special=True, **options):
    return {"content": content, "lstrip": False, "rstrip": False, "single_word": False, "normalized": not special, "special": special, **options}


def files(vocab_size):
    added = {str(vocab_size): token("<|im_start|>"), str(vocab_size + 1): token("<|im_end|>"), str(vocab_size + 2): token("<think>", False)}
    return {
        "by model type": {"config.json": {"model_type": "gpt2"}},
        "qwen by model type": {"config.json": {"model_type": "qwen3"}},
        "older files": {
            "tokenizer_config.json": {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True, "bos_token": {"__type": "AddedToken", **token("</s>")}},
            "special_tokens_map.json": {"eos_token": "<|im_end|>", "pad_token": {"content": "<pad>", "lstrip": False, "rstrip": True, "single_word": False, "normalized": False}},
            "added_tokens.json": {"<|im_end|>": vocab_size, "<pad>": vocab_size + 1, "<think>": vocab_size + 2},
        },
        "qwen": {"tokenizer_config.json": {"tokenizer_class": "Qwen2Tokenizer", "add_bos_token": False, "bos_token": None, "eos_token": "<|im_end|>", "added_tokens_decoder": added}},
        "gpt-neox with a blank in front": {"tokenizer_config.json": {"tokenizer_class": "GPTNeoXTokenizerFast", "add_prefix_space": True, "pad_token": None}},
        "codegen": {"tokenizer_config.json": {"tokenizer_class": "CodeGenTokenizer", "added_tokens_decoder": added}},
    }


def main():
    model = json.loads((HERE.parent / "gpt2" / "tokenizer.json").read_text())["model"]
    vocab = model["vocab"]
    for text in ("<|endoftext|>", "</s>"):
        vocab[text] = len(vocab)
    goldens.write_json(HERE / "vocab.json", vocab)
    (HERE / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in model["merges"]))
    entries = corpus.entries(150)[:NUM_TEXTS]
    cases = []
    for name, contents in files(len(vocab)).items():
        with tempfile.TemporaryDirectory() as folder:
            for file, value in {"vocab.json": vocab, **contents}.items():
                (Path(folder) / file).write_text(json.dumps(value))
            (Path(folder) / "merges.txt").write_text((HERE / "merges.txt").read_text())
            tokenizer = AutoTokenizer.from_pretrained(folder)
            backend = tokenizer.backend_tokenizer
            for entry in entries[:30]:
                text = corpus.text_of(entry)
                assert tokenizer(text)["input_ids"] == backend.encode(text).ids, (name, text)
            cases.append({"name": name, "files": contents, "bos": tokenizer.bos_token_id, "eos": tokenizer.eos_token_id,
                          "encode": [goldens.expect(backend, e) for e in entries], "decode": goldens.random_decodes(backend, NUM_DECODES)})
    goldens.write_json(HERE / "cases.json", cases)


if __name__ == "__main__":
    main()
