"""Record a result of vLLM's own load client, which our figures and keys are compared with.

    make.py VLLM_PROGRAM BASE_URL MODEL TOKENIZER     (made with vLLM 0.32.0; any OpenAI-compatible server will do)

Writes vllm_result.json beside this file: one small run with every option that adds keys or figures.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

program, url, model, tokenizer = sys.argv[1:]
with tempfile.TemporaryDirectory() as folder:
    subprocess.run([program, "bench", "serve", "--backend", "openai", "--base-url", url, "--model", model, "--tokenizer", tokenizer,
                    "--random-input-len", "24", "--random-output-len", "8", "--random-range-ratio", "0.5", "--num-prompts", "8",
                    "--request-rate", "12", "--max-concurrency", "2", "--temperature", "0", "--disable-tqdm",
                    "--percentile-metrics", "ttft,tpot,itl,e2el,client_queue_time,e2el_including_client_queue",
                    "--metric-percentiles", "10,50,99,99.9", "--goodput", "ttft:250", "e2el:600", "--label", "recorded", "--metadata", "who=vllm",
                    "--save-result", "--save-detailed", "--result-dir", folder, "--result-filename", "result.json"], check=True)
    result = json.loads((pathlib.Path(folder) / "result.json").read_text())
result.update(model_id="model", tokenizer_id="tokenizer")  # paths of the machine
lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in result.items()]
(pathlib.Path(__file__).parent / "vllm_result.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
