#!/usr/bin/env python3
"""Print Markdown tables of docs/measurements/gpu.jsonl: the newest line of every (load, metric) without a note. table.py [FILE]"""
import json
import pathlib
import sys

FILE = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2] / "docs/measurements/gpu.jsonl")
COLUMNS = [("output_tok_s", "tok/s"), ("ttft_ms", "TTFT ms"), ("ttft_p99_ms", "p99"), ("tpot_ms", "TPOT ms"), ("itl_p99_ms", "ITL p99 ms")]


def main():
    newest, order = {}, []
    for line in FILE.read_text().splitlines():
        row = json.loads(line)
        if "note" in row:  # an attempt, or a run that is not comparable
            continue
        key = (row["load"], row["metric"])
        if key not in newest:
            order.append(key)
        newest[key] = row
    served = list(dict.fromkeys(load for load, metric in order if metric == "output_tok_s"))
    print("| load (input:output:at once) | " + " | ".join(title for _, title in COLUMNS) + " |\n|" + "---|" * (len(COLUMNS) + 1))
    for load in served:
        print(f"| {load} | " + " | ".join(f"{newest[load, m]['value']:,.4g}" if newest[load, m]["value"] < 1000 else f"{newest[load, m]['value']:,.0f}" for m, _ in COLUMNS) + " |")
    print("\n| load | metric | value | unit |\n|---|---|---|---|")
    for load, metric in order:
        if load not in served:
            row = newest[load, metric]
            print(f"| {load} | {metric} | {row['value']:,.4g} | {row['unit']} |")


main()
