#!/usr/bin/env python3
"""Blocks of random bits of every GGUF type, and what the `gguf` package makes of them.

gguf 0.19.0, numpy 2.4.6. Run in this folder: python make.py. Writes <type>.bin (raw blocks) and <type>.f32 (values).
Random bits reach every bit position; only the float16 scales are drawn from a sane range.
"""
import hashlib
import pathlib

import gguf
import numpy as np

HERE = pathlib.Path(__file__).parent
# type: (block bytes, offsets of the float16 fields)
TYPES = {
    "Q4_0": (18, [0]), "Q4_1": (20, [0, 2]), "Q5_0": (22, [0]), "Q5_1": (24, [0, 2]), "Q8_0": (34, [0]),
    "Q2_K": (84, [80, 82]), "Q3_K": (110, [108]), "Q4_K": (144, [0, 2]), "Q5_K": (176, [0, 2]), "Q6_K": (210, [208]),
}


def main():
    rng = np.random.default_rng(20261121)
    sums = []
    for name, (size, halves) in TYPES.items():
        blocks = rng.integers(0, 256, (2 if name.endswith("K") else 4, size), dtype=np.uint8)
        for offset in halves:
            scale = rng.normal(0, 0.05, len(blocks)).astype(np.float16)
            blocks[:, offset:offset + 2] = scale.view(np.uint8).reshape(len(blocks), 2)
        values = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[name]).astype(np.float32)
        low = name.lower().replace("_k", "_K")
        for suffix, data in ((".bin", blocks.tobytes()), (".f32", values.tobytes())):
            (HERE / (low + suffix)).write_bytes(data)
            sums.append(f"{hashlib.sha256(data).hexdigest()}  {low}{suffix}\n")
    (HERE / "sha256").write_text("".join(sums))


main()
