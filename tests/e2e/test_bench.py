"""`vllm bench` against a server of ours: what it counts, what it keeps, and that its keys are those of vLLM's client."""
import json
import pathlib
import subprocess

import pytest
from conftest import BINARY, MODEL

RECORDED = pathlib.Path(__file__).parents[1] / "golden" / "bench" / "vllm_result.json"
LOAD = ["--random-input-len", "24", "--random-output-len", "8", "--num-prompts", "8", "--temperature", "0"]


def bench(*args, timeout=120):
    done = subprocess.run([BINARY, "bench", *map(str, args)], capture_output=True, text=True, timeout=timeout)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("backend", ["openai", "vllm", "openai-chat"])
def test_serve_counts_and_keeps_what_vllm_keeps(server, tmp_path, backend):
    tokenizer = ["--tokenizer", MODEL] if backend == "openai-chat" else []
    status, out, err = bench("serve", "--backend", backend, "--base-url", f"http://127.0.0.1:{server.port}", *LOAD, *tokenizer,
                             "--max-concurrency", 2, "--request-rate", 50, "--goodput", "ttft:60000", "--metadata", "who=vllm",
                             "--percentile-metrics", "ttft,tpot,itl,e2el,client_queue_time,e2el_including_client_queue",
                             "--metric-percentiles", "10,50,99,99.9", "--num-warmups", 1, "--ready-check-timeout-sec", 30,
                             "--save-result", "--save-detailed", "--result-dir", tmp_path, "--result-filename", "r.json")
    assert status == 0, err
    assert "Successful requests:                     8" in out and "Mean TTFT (ms):" in out
    result = json.loads((tmp_path / "r.json").read_text())
    assert list(result) == list(json.loads(RECORDED.read_text()))
    assert (result["completed"], result["failed"], result["total_output_tokens"]) == (8, 0, 64)
    assert result["output_lens"] == [8] * 8 and result["errors"] == [""] * 8
    assert result["total_input_tokens"] == sum(result["input_lens"])
    if backend != "openai-chat":  # a chat template adds tokens
        assert result["input_lens"] == [24] * 8
    assert all(0 < t < latency < result["duration"] for t, latency in zip(result["ttfts"], result["latencies"]))
    assert all(len(itls) <= 7 for itls in result["itls"]) and sum(map(len, result["itls"])) > 0
    assert result["output_throughput"] == pytest.approx(64 / result["duration"])
    assert result["request_goodput"] == pytest.approx(8 / result["duration"])
    assert 0 < result["median_tpot_ms"] <= result["median_e2el_ms"] < 1000 * result["duration"]
    assert 1 <= result["max_concurrent_requests"] <= 8


def test_serve_file_name_append_and_text_prompts(server, tmp_path):
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "Once upon a time", "output_tokens": 3}\n{"prompt": "Hello there", "output_tokens": 3}\n')
    common = ["serve", "--port", server.port, "--dataset-name", "custom", "--dataset-path", prompts, "--custom-output-len", -1,
              "--num-prompts", 2, "--ignore-eos", "--temperature", 0, "--append-result", "--result-dir", tmp_path / "new", "--label", "x"]
    status, out, err = bench(*common)
    assert status == 0, err
    [file] = (tmp_path / "new").iterdir()
    assert file.name.startswith("x-infqps-m-")
    assert bench(*common, "--result-filename", file.name)[0] == 0
    first, second = map(json.loads, file.read_text().splitlines())
    assert first["total_output_tokens"] == second["total_output_tokens"] == 6 and "itls" not in first


def test_serve_says_what_is_wrong(server):
    status, out, err = bench("serve", "--port", server.port, "--model", "no-such-model", *LOAD)
    assert status == 1 and "no-such-model" in out and "all requests failed" in err
    status, out, err = bench("serve", "--port", 1, *LOAD)
    assert status == 1 and "connecting" in err
    assert bench("serve", "--num-promts", 3)[0] == 2
    assert bench("nothing")[0] == 2
    for command in ["serve", "latency", "throughput", "startup"]:
        assert bench(command, "--help")[0] == 0


def test_in_process_commands(tmp_path):
    flags = ["--model", MODEL, "--max-model-len", 256, "--input-len", 8, "--output-len", 4, "--output-json", tmp_path / "r.json"]
    status, out, err = bench("latency", *flags, "--batch-size", 2, "--num-iters", 2, "--num-iters-warmup", 1)
    assert status == 0 and "Avg latency:" in out, err
    result = json.loads((tmp_path / "r.json").read_text())
    assert len(result["latencies"]) == 2 and list(result["percentiles"]) == ["10", "25", "50", "75", "90", "99"]
    assert result["avg_latency"] == pytest.approx(sum(result["latencies"]) / 2)

    status, out, err = bench("throughput", *flags, "--num-prompts", 5, "--n", 2)
    assert status == 0 and "Throughput:" in out, err
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["num_requests"] == 5 and result["total_num_tokens"] == 5 * 8 + 10 * 4
    assert result["tokens_per_second"] == pytest.approx(result["total_num_tokens"] / result["elapsed_time"])

    status, out, err = bench("latency", *flags, "--output-len", 250)
    assert status == 1 and "--max-model-len" in err


def test_startup(tmp_path):
    status, out, err = bench("startup", MODEL, "--max-model-len", 256, "--num-iters-cold", 1, "--num-iters-warmup", 0, "--num-iters-warm", 2,
                             "--output-json", tmp_path / "r.json")
    assert status == 0, err
    result = json.loads((tmp_path / "r.json").read_text())
    assert len(result["cold_startup_times"]) == 1 and len(result["warm_startup_times"]) == 2
    assert all(0 < h < t for h, t in zip(result["warm_startup_times"], result["warm_first_token_times"]))
    status, out, err = bench("startup", str(tmp_path / "none.gguf"), "--num-iters-cold", 0, "--num-iters-warmup", 0, "--num-iters-warm", 1)
    assert status == 1 and "none.gguf" in err
