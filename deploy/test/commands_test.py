#!/usr/bin/env python3
"""Runs commands.txt, the commands of deployment guides, with an image of ours: deploy/test/engine.sh python3 deploy/test/commands_test.py MODEL.gguf

IMAGE (default vllm-openai-cpu:test) is what runs, MODEL what every hub id of the table becomes. Standard library only.
"""
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).parent
DOCKER = os.environ.get("DOCKER", "docker")
IMAGE = os.environ.get("IMAGE", "vllm-openai-cpu:test")
NAME = f"vllm-command-{os.getpid()}"
HUB_IDS = ["mistralai/Mistral-7B-v0.1", "Qwen/Qwen3-0.6B", "meta-llama/Meta-Llama-3-8B-Instruct"]
COMMIT = "0123456789012345678901234567890123456789"
GPU_OPTIONS = {"--gpus": 1, "--runtime": 1}  # and how many values


def docker(*args, check=True, **kwargs):
    return subprocess.run([DOCKER, *args], check=check, capture_output=True, text=True, **kwargs)


def read_table():
    cases = []
    for block in re.split(r"\n(?=\[)", (HERE / "commands.txt").read_text())[1:]:
        head, _, command = block.partition("\n")
        row, expected, name = re.match(r"\[(\d+) \| (.*)\] (.*)", head).groups()
        cases.append((int(row), expected, name, command.strip().replace("\\\n", " ")))
    return cases


def prepare_home(model):
    """A home as the guides' readers have: models in the hub's cache and in a folder, an empty log folder, a config file."""
    home = pathlib.Path(tempfile.mkdtemp())
    for repo in HUB_IDS:
        folder = home / ".cache/huggingface/hub" / ("models--" + repo.replace("/", "--"))
        (folder / "refs").mkdir(parents=True)
        (folder / "refs/main").write_text(COMMIT)
        (folder / "snapshots" / COMMIT).mkdir(parents=True)
        os.link(model, folder / "snapshots" / COMMIT / "model.gguf")
    (home / "models/Qwen3-8B").mkdir(parents=True)
    os.link(model, home / "models/Qwen3-8B/model.gguf")
    (home / "models/pointers").mkdir()
    (home / "models/pointers/config.json").write_text("{}")
    (home / "models/pointers/model.safetensors").write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 1234567\n")
    (home / "vllm/logs").mkdir(parents=True)
    (home / "vllm/logs").chmod(0o777)
    (home / "vllm/config").mkdir()
    (home / "vllm/config/config.yaml").write_text("max-model-len: 2048\n")
    subprocess.run(["chmod", "-R", "a+rX", home], check=True)
    return home


def adapt(command, home):
    """The command for this machine, and whether an option that asks for a GPU was dropped."""
    words = shlex.split(command)
    out, dropped, i = [], False, 0
    while i < len(words):
        word = words[i]
        if word in GPU_OPTIONS:
            dropped, i = True, i + 1 + GPU_OPTIONS[word]
            continue
        if word == "-p":
            out += ["-p", "127.0.0.1::" + words[i + 1].split(":")[-1]]
            i += 2
            continue
        if word == "vllm/vllm-openai:latest":  # what no guide says: no network here, little memory
            out += ["--name", NAME, "-e", "HF_HUB_OFFLINE=1"]
            if not any(w.startswith("VLLM_CPU_KVCACHE_SPACE") for w in words):
                out += ["-e", "VLLM_CPU_KVCACHE_SPACE=1"]
            word = IMAGE
        out.append(word.replace("~", str(home), 1) if word.startswith("~") else word)
        i += 1
    assert out[0] == "docker"
    return out[1:], dropped


def ask(url, command):
    key = re.search(r"--api-key (\S+)", command)
    headers = {"Content-Type": "application/json", **({"Authorization": "Bearer " + key[1]} if key else {})}

    def get(path, body=None):
        request = urllib.request.Request(url + path, json.dumps(body).encode() if body else None, headers)
        return json.load(urllib.request.urlopen(request, timeout=120))
    card = get("/v1/models")["data"][0]
    missing = {"id", "root", "parent", "max_model_len", "permission"} - set(card)  # row 13
    assert not missing, f"/v1/models has no {missing}"
    body = {"model": card["id"], "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}
    assert get("/v1/chat/completions", body)["choices"][0]["message"]["content"] is not None


def serves(args, command, home):
    if "-d" not in args:
        args = [args[0], "-d", *args[1:]]
    docker(*args)
    end = time.time() + 120
    while True:
        logs = docker("logs", NAME)
        log = logs.stdout + logs.stderr
        if "Application startup complete." in log:
            break
        running = docker("inspect", "-f", "{{.State.Running}}", NAME).stdout.strip() == "true"
        assert running and time.time() < end, f"it did not start:\n{log}"
        time.sleep(0.2)
    assert "Successfully loaded model" in log
    published = docker("port", NAME).stdout.split("->")[1].split()[0]
    ask("http://" + published, command)
    if "--log-file" in command:
        assert "Application startup complete." in (home / "vllm/logs/vllm.log").read_text()
        assert "/etc/vllm/config.yaml" in log and "max-model-len 2048" in log
    begin = time.time()
    docker("stop", "-t", "20", NAME)
    code = docker("inspect", "-f", "{{.State.ExitCode}}", NAME).stdout.strip()
    assert code == "0", f"exit status {code} after {time.time() - begin:.1f} s"


def ends(args, text, code):
    args = [a for a in args if a != "--rm"]
    done = docker(*args, check=False, timeout=120)
    out = done.stdout + done.stderr
    assert text in out, f"its output has no '{text}':\n{out}"
    assert (done.returncode == 0) == (code == 0), f"exit status {done.returncode}:\n{out}"


def main():
    home = prepare_home(os.path.realpath(sys.argv[1]))
    wanted = sys.argv[2] if len(sys.argv) > 2 else ""
    passed, failed, without_gpu = 0, 0, 0
    try:
        for row, expected, name, command in read_table():
            if wanted not in name:
                continue
            args, dropped = adapt(command, home)
            try:
                if expected == "serves":
                    serves(args, command, home)
                elif expected.startswith("prints "):
                    ends(args, expected[len("prints "):], 0)
                else:
                    ends(args, expected[len("says "):], 1)
                passed += 1
                without_gpu += dropped
                print(f"row {row}: {name}: {expected.split()[0]}{', but for the GPU options' if dropped else ', as written'}", flush=True)
            except (AssertionError, OSError, subprocess.SubprocessError) as e:
                failed += 1
                detail = e.stderr if isinstance(e, subprocess.CalledProcessError) else e
                print(f"row {row}: {name}: FAILED: {detail}\n  {command}", flush=True)
            docker("rm", "-f", NAME, check=False)
    finally:
        subprocess.run(["rm", "-rf", home], check=True)
    print(f"{without_gpu} of the commands ran without their GPU options")
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
