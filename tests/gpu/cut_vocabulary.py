#!/usr/bin/env python3
"""Cut a GGUF file's vocabulary, so that a model whose file is mostly embeddings can travel; every other weight stays as it is.

    cut_vocabulary.py FILE.gguf HF_FOLDER OUT.gguf KEEP.json [--first 24576]

Keeps the first tokens and all that tests/parity/prompts.json uses; KEEP.json lists their old ids in order (for reference.py
--keep). Only for files that tie the output to the embeddings and whose tokenizer has scores, not merges. Needs gguf, transformers.
"""
import argparse
import json
import pathlib
import sys

import gguf
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "parity"))
from compare import encode_prompts  # noqa: E402


def main():
    parser = argparse.ArgumentParser()
    for name in ("file", "folder", "out", "keep"):
        parser.add_argument(name)
    parser.add_argument("--first", type=int, default=24576)
    args = parser.parse_args()
    used = {i for ids in encode_prompts(args.folder, None) for i in ids}
    keep = np.array(sorted(used | set(range(args.first))))
    pathlib.Path(args.keep).write_text(json.dumps(keep.tolist()))
    reader = gguf.GGUFReader(args.file)
    vocab = len(reader.fields["tokenizer.ggml.tokens"].data)
    writer = gguf.GGUFWriter(args.out, reader.fields["general.architecture"].contents())
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        value, kind = field.contents(), field.types[0]
        if kind == gguf.GGUFValueType.ARRAY:
            if len(value) == vocab:
                value = [value[i] for i in keep]
            writer.add_array(field.name, value)
        else:
            writer.add_key_value(field.name, value, kind)
    for tensor in reader.tensors:
        data = tensor.data
        if tensor.name == "token_embd.weight":
            data = np.ascontiguousarray(data[keep])
        writer.add_tensor(tensor.name, data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    print(f"{args.out}: {len(keep)} of {vocab} tokens, {pathlib.Path(args.out).stat().st_size} bytes")


main()
