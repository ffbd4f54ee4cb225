#!/usr/bin/env python3
"""Make the tokenizer goldens: small tokenizers of every family's real shape, and what Hugging Face's library does with them.

    python make.py                       writes corpus.json and <family>/{tokenizer.json,expected.json}, llama2/vocab.gguf
    python make.py --vectors DIR...      writes DIR/tokenizer_vectors.json for the tokenizer.json of a real checkpoint
                                         and DIR/../tokenizer_corpus.json, for text_tokenizer_models_test

Made with tokenizers 0.23.3, gguf 0.19.0 (vocab.gguf only) and sentencepiece 0.2.3 (unigram only). Training is deterministic: a second run writes the same bytes.
"""
import collections
import json
import random
import struct
import sys
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import corpus

HERE = Path(__file__).parent
TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
WORD = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
QWEN2, LLAMA3 = WORD + r"|\p{N}" + TAIL, WORD + r"|\p{N}{1,3}" + TAIL
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = [r"\p{N}{1,3}", r"[一-龥぀-ゟ゠-ヿ]+",
            r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|"
            r" ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"]
VOCAB = 1100


def byte_level(steps, normalizer=None, vocab=VOCAB):
    tok = Tokenizer(models.BPE())
    if normalizer:
        tok.normalizer = normalizer
    tok.pre_tokenizer = pre_tokenizers.Sequence(steps) if len(steps) > 1 else steps[0]
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocab, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tok.train_from_iterator(training_texts(), trainer)
    return tok


def split(*patterns):
    return [pre_tokenizers.Split(Regex(p), "isolated") for p in patterns] + [pre_tokenizers.ByteLevel(False, use_regex=False)]


def special(*names):
    return [AddedToken(n, special=True, normalized=False) for n in names]


def training_texts():
    # Long runs are left out; English and code count more, so that real merges form.
    plain = [t for name, t in corpus.TEXTS.items() if name not in ("long word", "repeats", "ignored merges")]
    return plain + [corpus.TEXTS[n] for n in ("english", "python", "chat", "markdown", "c++", "newlines", "spaces")] * 3


def gpt2():
    tok = byte_level([pre_tokenizers.ByteLevel(False)])
    tok.add_special_tokens(special("<|endoftext|>"))
    tok.post_processor = processors.ByteLevel(trim_offsets=False)
    return tok


def smollm():
    tok = byte_level([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)])
    tok.add_special_tokens(special("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    return tok


def llama3():
    tok = byte_level(split(LLAMA3))
    data = json.loads(tok.to_str())
    data["model"]["ignore_merges"] = True
    data["model"]["vocab"]["Ġzebra"] = len(data["model"]["vocab"])  # no merges reach it
    data["model"]["merges"] = [m if isinstance(m, str) else " ".join(m) for m in data["model"]["merges"]]  # the older form
    tok = Tokenizer.from_str(json.dumps(data))
    tok.add_special_tokens(special("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"))
    template = processors.TemplateProcessing(
        single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1",
        special_tokens=[("<|begin_of_text|>", tok.token_to_id("<|begin_of_text|>"))])
    tok.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    out = json.loads(tok.to_str())
    out["model"]["merges"] = data["model"]["merges"]
    return out


def qwen2():
    tok = byte_level(split(QWEN2), normalizers.NFC())
    tok.add_special_tokens(special("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    tok.add_tokens([AddedToken(n, special=False, normalized=False) for n in ("<tool_call>", "</tool_call>", "<think>", "</think>")])
    tok.post_processor = processors.ByteLevel(trim_offsets=False)
    return tok


def o200k():
    tok = byte_level(split(O200K))
    tok.add_special_tokens(special("<|endoftext|>"))
    return tok


def deepseek():
    tok = byte_level(split(*DEEPSEEK), normalizers.Sequence([]))
    tok.add_special_tokens(special("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"))
    return tok


def corners():
    """Added tokens of every kind, prefix space, and the rarer pre-tokenizers and normalizers."""
    tok = byte_level([pre_tokenizers.Split(" - ", "merged_with_previous"), pre_tokenizers.Split(Regex(r"\d+"), "removed"),
                      pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.ByteLevel(True)],
                     normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), normalizers.Strip(),
                                           normalizers.Replace(Regex("é+"), "e"), normalizers.Replace("ß", "ss")]))
    tok.add_tokens([AddedToken("MID", normalized=False), AddedToken("LEFT", lstrip=True, normalized=False),
                    AddedToken("RIGHT", rstrip=True, normalized=False), AddedToken("BOTH", lstrip=True, rstrip=True, normalized=False),
                    AddedToken("WORD", single_word=True, normalized=False), AddedToken("Norm", normalized=True),
                    AddedToken("STRIP", lstrip=True, rstrip=True, normalized=True), AddedToken("<s>", special=True, normalized=False),
                    AddedToken("</s>", special=True, normalized=False), AddedToken("\n\n", normalized=False)])
    tok.post_processor = processors.RobertaProcessing(("</s>", tok.token_to_id("</s>")), ("<s>", tok.token_to_id("<s>")))
    return tok


def sentencepiece(normalizer, pre=None, extra=(), fuse_unk=True):
    """A BPE over characters with byte fallback. Its training sees blanks as ▁; it learns no merge across words but runs of ▁."""
    tok = Tokenizer(models.BPE())
    tok.normalizer = normalizers.Replace(" ", "▁")
    tok.pre_tokenizer = pre_tokenizers.Split(Regex("▁+[^▁]*|[^▁]+"), "isolated")
    names = ["<unk>", "<s>", "</s>", *extra, *(f"<0x{b:02X}>" for b in range(256))]
    counts = collections.Counter("".join(training_texts()).replace(" ", "▁"))
    alphabet = sorted(counts, key=lambda c: (-counts[c], c))[:400]  # the library's own choice differs from run to run
    trainer = trainers.BpeTrainer(vocab_size=VOCAB + 256, show_progress=False, special_tokens=names, limit_alphabet=400,
                                  initial_alphabet=alphabet)
    tok.train_from_iterator(training_texts(), trainer)
    data = json.loads(tok.to_str())
    data["model"].update(byte_fallback=True, fuse_unk=fuse_unk, unk_token="<unk>")
    data["added_tokens"] = [t for t in data["added_tokens"] if not t["content"].startswith("<0x")]
    tok = Tokenizer.from_str(json.dumps(data))
    tok.normalizer, tok.pre_tokenizer = normalizer, pre
    tok.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    return tok


SPM_DECODER = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]


def llama2():
    tok = sentencepiece(normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]))
    tok.decoder = decoders.Sequence(SPM_DECODER + [decoders.Strip(" ", 1, 0)])
    return tok


def gemma():
    extra = ["<pad>", "<eos>", "<bos>", "<start_of_turn>", "\n\n", "\n\n\n", "▁▁", "▁▁▁"]
    tok = sentencepiece(normalizers.Replace(" ", "▁"), extra=extra)
    tok.decoder = decoders.Sequence(SPM_DECODER)
    return tok


def mistral():
    """Metaspace as a pre-tokenizer, before the first word only; unknown bytes are unknown tokens."""
    tok = sentencepiece(normalizers.Sequence([]), pre_tokenizers.Metaspace(prepend_scheme="first", split=False), fuse_unk=False)
    tok.decoder = decoders.Sequence(SPM_DECODER + [decoders.Strip(" ", 1, 0)])
    data = json.loads(tok.to_str())
    data["normalizer"] = None
    for byte in range(0xC0, 0x100):  # characters of two bytes and more lack their bytes: they are <unk>
        del data["model"]["vocab"][f"<0x{byte:02X}>"]
    return data


def falcon():
    tok = byte_level([pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.ByteLevel(False),
                      pre_tokenizers.Digits(individual_digits=False), pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated")])
    tok.add_special_tokens(special("<|endoftext|>"))
    return tok


def bert():
    tok = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tok.normalizer = normalizers.BertNormalizer()
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tok.decoder = decoders.WordPiece()
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    counts = collections.Counter(tok.normalizer.normalize_str("".join(training_texts())).replace(" ", ""))
    alphabet = sorted(counts, key=lambda c: (-counts[c], c))[:200]
    trainer = trainers.WordPieceTrainer(vocab_size=900, show_progress=False, special_tokens=names, limit_alphabet=200, initial_alphabet=alphabet)
    tok.train_from_iterator(training_texts(), trainer)
    tok.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]",
                                                       special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return tok


def spm_model(kind, **options):
    """A SentencePiece model (bytes) of 700 pieces with a character map of a few rules and byte fallback or not."""
    import io
    import tempfile
    import sentencepiece
    rules = [("ａ", "a"), ("Ａ", "A"), ("ﬁ", "fi"), ("…", "..."), ("\u3000", " "), ("\t", " "), ("\n", " "), ("\u00a0", " "), ("①", "1"), ("e\u0301", "\u00e9")]
    with tempfile.NamedTemporaryFile("w", suffix=".tsv", encoding="utf-8") as tsv:
        for a, b in rules:
            tsv.write(" ".join(f"{ord(c):X}" for c in a) + "\t" + " ".join(f"{ord(c):X}" for c in b) + "\n")
        tsv.flush()
        out = io.BytesIO()
        lines = [line for text in training_texts() for line in text.split("\n") if line.strip()]
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=out, model_type=kind, vocab_size=700, num_threads=1,
                                                 normalization_rule_tsv=tsv.name, character_coverage=0.98, minloglevel=2,
                                                 hard_vocab_limit=False, **options)
    return out.getvalue()


def unigram():
    """XLM-R's shape."""
    import sentencepiece
    model = sentencepiece.SentencePieceProcessor(model_proto=spm_model("unigram", byte_fallback=False))
    vocab = [(model.id_to_piece(i), model.get_score(i)) for i in range(model.get_piece_size())]
    tok = Tokenizer(models.Unigram(vocab, unk_id=0, byte_fallback=False))
    charsmap = spm_charsmap(model.serialized_model_proto())
    tok.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap), normalizers.Replace(Regex(" {2,}"), " ")])
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tok.decoder = decoders.Metaspace()
    tok.add_special_tokens(special("<unk>", "<s>", "</s>"))
    tok.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    return tok


def proto_fields(data):
    """(field number, value) of a protobuf message."""
    def varint(at):
        value = shift = 0
        while True:
            value |= (data[at] & 127) << shift
            shift += 7
            at += 1
            if data[at - 1] < 128:
                return value, at
    at = 0
    while at < len(data):
        key, at = varint(at)
        if key & 7 == 0:
            value, at = varint(at)
        elif key & 7 == 2:
            size, at = varint(at)
            value, at = data[at:at + size], at + size
        else:
            size = {1: 8, 5: 4}[key & 7]
            value, at = data[at:at + size], at + size
        yield key >> 3, value


def spm_charsmap(model):
    spec = [value for number, value in proto_fields(model) if number == 3][0]
    return [value for number, value in proto_fields(spec) if number == 2][0]


FAMILIES = [gpt2, smollm, llama3, qwen2, o200k, deepseek, corners, llama2, gemma, mistral, falcon, bert, unigram]


def fnv(ids):
    """FNV-1a, 64 bits, over the ids as little-endian int32."""
    value = 0xCBF29CE484222325
    for byte in struct.pack(f"<{len(ids)}i", *ids):
        value = (value ^ byte) * 0x100000001B3 % (1 << 64)
    return f"{value:016x}"


def expect(tok, entry):
    text = corpus.text_of(entry)
    ids = tok.encode(text).ids
    if "unit" in entry:
        return {"count": len(ids), "fnv": fnv(ids)}
    decoded = tok.decode(ids, skip_special_tokens=True)
    return {"ids": ids, **({} if decoded == text else {"decoded": decoded})}


def random_decodes(tok, count):
    """Random streams. With byte fallback the library writes one U+FFFD per byte of a run that is ill-formed anywhere, where
    ours keeps the run's good characters: byte tokens are left out there."""
    rng = random.Random(7)
    model = json.loads(tok.to_str())["model"]
    fallback, word_piece = model.get("byte_fallback"), model["type"] == "WordPiece"
    ids = [i for text, i in sorted(tok.get_vocab().items(), key=lambda x: x[1]) if not (fallback and text.startswith("<0x"))]
    out = []
    for _ in range(count):
        picked = [rng.choice(ids) for _ in range(rng.randint(1, 12))]
        if word_piece and (tok.id_to_token(picked[0]) or "").startswith("##"):
            continue  # the library shows the ## of a continuation that nothing precedes
        out.append({"ids": picked, "all": tok.decode(picked, skip_special_tokens=False), "skip": tok.decode(picked, skip_special_tokens=True)})
    return out


def write_json(path, value):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def write_expected(tok, path, entries, decodes):
    write_json(path, {"encode": [expect(tok, e) for e in entries], "decode": random_decodes(tok, decodes)})


def write_gguf(path, tokenizer):
    """The llama2 golden as a GGUF vocabulary: scores fall with the rank of the merge that first makes a token."""
    import gguf
    data = json.loads(tokenizer.to_str())
    vocab = data["model"]["vocab"]
    made = {}
    for rank, (a, b) in enumerate(data["model"]["merges"]):
        made.setdefault(a + b, rank)
    tokens = sorted(vocab, key=vocab.get)
    kinds = [2 if t == "<unk>" else 3 if t in ("<s>", "</s>") else 6 if t.startswith("<0x") and len(t) == 6 else 1 for t in tokens]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([-float(made.get(t, 10 ** 6)) for t in tokens])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_space_prefix(True)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def main():
    if sys.argv[1:2] == ["--vectors"]:
        for folder in map(Path, sys.argv[2:]):
            entries = corpus.entries(3000)
            tok = Tokenizer.from_file(str(folder / "tokenizer.json"))
            write_expected(tok, folder / "tokenizer_vectors.json", entries, 500)
            write_json(folder.parent / "tokenizer_corpus.json", entries)
        return
    entries = corpus.entries(150)
    write_json(HERE / "corpus.json", entries)
    for family in FAMILIES:
        made = family()
        data = made if isinstance(made, dict) else json.loads(made.to_str())
        write_json(HERE / family.__name__ / "tokenizer.json", data)
        tok = Tokenizer.from_file(str(HERE / family.__name__ / "tokenizer.json"))
        write_expected(tok, HERE / family.__name__ / "expected.json", entries, 60)
        if family is llama2:
            write_gguf(HERE / "llama2" / "vocab.gguf", tok)


if __name__ == "__main__":
    main()
