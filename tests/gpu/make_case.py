#!/usr/bin/env python3
"""Say what reference.py needs to know of a model beside its GGUF file: its config and the token ids of the prompts.

    make_case.py HF_FOLDER OUT.json [--keep KEEP.json]

--keep: the vocabulary rows that cut_vocabulary.py left. The last prompt repeats all others, 1,000 tokens: longer than a sliding window of
512. Needs transformers.
"""
import argparse
import json
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "parity"))
from compare import encode_prompts  # noqa: E402


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("out")
    parser.add_argument("--keep")
    args = parser.parse_args()
    config = json.loads(pathlib.Path(args.folder, "config.json").read_text())
    prompts = encode_prompts(args.folder, None)
    if args.keep:
        keep = np.array(json.loads(pathlib.Path(args.keep).read_text()))
        prompts = [np.searchsorted(keep, ids).tolist() for ids in prompts]
        config["vocab_size"] = len(keep)
    prompts.append((sum(prompts, []) * 3)[:1000])
    pathlib.Path(args.out).write_text(json.dumps({"config": config, "prompts": prompts}))
    print(f"{args.out}: {len(prompts)} prompts of {min(map(len, prompts))} to {max(map(len, prompts))} tokens")


main()
