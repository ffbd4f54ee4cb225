"""Write the series, label names and buckets of a vLLM server's /metrics, one a line.

    make.py http://localhost:8000/metrics > vllm-0.32.0.txt

Made from vllm 0.32.0 (CPU build), SmolLM2-135M-Instruct, --max-model-len 4096, after a mixed load of good and bad requests.
Label values are kept where they name a kind (reason, source, finished_reason). Standard library only.
"""
import re, sys, urllib.request

KINDS = ("reason", "source", "finished_reason")
lines, series = [], {}
for line in urllib.request.urlopen(sys.argv[1]).read().decode().splitlines():
    if line.startswith("# TYPE "): lines.append(line)
    if line.startswith("#") or not line: continue
    name, labels = re.match(r"([^{ ]+)(?:\{(.*)\})? ", line).groups()
    pairs = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels or "")
    shown = sorted(f"{k}={v}" if k in KINDS else k for k, v in pairs if k != "le")
    key = f"{name}{{{','.join(shown)}}}"
    if key not in series: series[key] = []; lines.append(key)
    le = dict(pairs).get("le")
    if le and le not in series[key]: series[key].append(le)
for line in lines: print(line + (" le: " + " ".join(series[line]) if series.get(line) else ""))
