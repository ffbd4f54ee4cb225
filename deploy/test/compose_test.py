#!/usr/bin/env python3
"""The compose files, on the CPU image: deploy/test/engine.sh python3 deploy/test/compose_test.py MODEL.gguf

Server and Nginx come up healthy; a stream passes Nginx event by event, over http and https; a restart keeps the cache; stopping
ends with 0; the guides' compose files (deploy/test/guides) start with nothing changed but the image's name, what asks for a GPU and
the port. IMAGE as in commands_test.py. Standard library only; docker-compose comes from lint.sh's environment.
"""
import http.client
import json
import os
import pathlib
import ssl
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
COMPOSE_FILES = HERE.parent / "compose"
COMPOSE = HERE.parents[1] / "build/deploy-venv/bin/docker-compose"
DOCKER = os.environ.get("DOCKER", "docker")
IMAGE = os.environ.get("IMAGE", "vllm-openai-cpu:test")
PROJECT = f"vllm-compose-{os.getpid()}"
COMMIT = "0123456789012345678901234567890123456789"


def run(*args, **kwargs):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True, **kwargs)
    assert done.returncode == 0, f"{' '.join(map(str, args))}: {done.stdout}{done.stderr}"
    return done.stdout


def compose(files, *args, env):
    flags = [x for f in files for x in ("-f", f)]
    return run(COMPOSE, "-p", PROJECT, *flags, *args, env={**os.environ, **env})


def nginx_image(work):
    """What nginx:stable is to these files, made of Debian's packages: no registry is needed."""
    (work / "nginx").mkdir()
    (work / "nginx/Dockerfile").write_text(
        "FROM debian:bookworm-slim\nRUN apt-get update -qq && apt-get install -y -qq --no-install-recommends nginx-light curl >/dev/null\n"
        'CMD ["nginx", "-g", "daemon off;"]\n')
    run(DOCKER, "build", "-q", "--network", "host", "-t", "vllm-nginx:test", work / "nginx", env={**os.environ, "DOCKER_BUILDKIT": "1"})
    return "vllm-nginx:test"


def free_ports(count):
    import socket
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def stream(connection, num_tokens):
    """Seconds after the request at which each event of a chat stream arrived."""
    begin = time.time()
    body = {"model": "m", "messages": [{"role": "user", "content": "Count."}], "max_tokens": num_tokens, "stream": True, "ignore_eos": True}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    times = []
    while line := answer.readline():
        if line.startswith(b"data: "):
            times.append(time.time() - begin)
        if line.strip() == b"data: [DONE]":
            break
    return times


def check_stream(connection, what):
    times = stream(connection, 48)
    # One token an event: were they held back, most of them would come together at the end.
    middle = sum(1 for t in times if times[0] + 0.15 * (times[-1] - times[0]) < t < times[-1] - 0.15 * (times[-1] - times[0]))
    assert len(times) >= 48 and middle >= 0.4 * len(times), f"{what}: events came at {times}"
    print(f"compose_test: {what}: {len(times)} events, the first after {times[0]:.2f} s, the last after {times[-1]:.2f} s", flush=True)


def exit_code(service, files, env):
    container = compose(files, "ps", "-aq", service, env=env).split()[0]
    return run(DOCKER, "inspect", "-f", "{{.State.ExitCode}}", container).strip()


def server_and_nginx(work, model):
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost", "-keyout", work / "tls.key", "-out", work / "tls.crt")
    http_port, https_port = free_ports(2)
    env = {"VLLM_IMAGE": IMAGE, "MODEL": "acme/tiny", "SERVED_MODEL_NAME": "m", "PORT": str(http_port), "HTTPS_PORT": str(https_port), "TLS_DIR": str(work),
           "MODELS_DIR": str(work), "HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "NGINX_IMAGE": nginx_image(work)}
    files = [COMPOSE_FILES / "compose.yaml", COMPOSE_FILES / "compose.nginx.yaml"]
    try:
        # The hub's cache, a named volume, gets its model from a container of the same image.
        volume = PROJECT + "_huggingface"
        run(DOCKER, "volume", "create", volume, "--label", f"com.docker.compose.project={PROJECT}", "--label", "com.docker.compose.volume=huggingface")
        repo = "/root/.cache/huggingface/hub/models--acme--tiny"
        run(DOCKER, "run", "--rm", "--network", "none", "-v", f"{volume}:/root/.cache/huggingface", "-v", f"{model}:/model.gguf:ro", "--entrypoint", "sh", IMAGE, "-c",
            f"mkdir -p {repo}/refs {repo}/snapshots/{COMMIT} && printf {COMMIT} > {repo}/refs/main && cp /model.gguf {repo}/snapshots/{COMMIT}/")
        begin = time.time()
        compose(files, "up", "-d", "--wait", "--wait-timeout", "240", env=env)
        print(f"compose_test: server and Nginx healthy after {time.time() - begin:.1f} s", flush=True)
        check_stream(http.client.HTTPConnection("127.0.0.1", http_port, timeout=120), "http through Nginx")
        trust = ssl.create_default_context(cafile=work / "tls.crt")
        check_stream(http.client.HTTPSConnection("localhost", https_port, timeout=120, context=trust), "https through Nginx")
        big = http.client.HTTPConnection("127.0.0.1", http_port, timeout=120)
        big.request("POST", "/v1/completions", json.dumps({"model": "m", "prompt": "a " * 1_000_000}), {"Content-Type": "application/json"})
        answer = big.getresponse()
        assert answer.status == 400 and b"maximum context length" in answer.read(), "a body of 2 MB"
        compose(files, "restart", "vllm", env=env)
        compose(files, "up", "-d", "--wait", "--wait-timeout", "240", env=env)
        log = compose(files, "logs", "vllm", env=env)
        assert log.count("Application startup complete.") == 2 and log.count("Application shutdown complete.") == 1, log
        compose(files, "down", env=env)  # the containers go, the volume stays
        compose(files, "up", "-d", "--wait", "--wait-timeout", "240", env=env)
        check_stream(http.client.HTTPConnection("127.0.0.1", http_port, timeout=120), "after down and up, from the kept cache")
        begin = time.time()
        compose(files, "stop", env=env)
        assert exit_code("vllm", files, env) == "0", "the server's exit status"
        print(f"compose_test: stopped in {time.time() - begin:.1f} s with status 0", flush=True)
    finally:
        compose(files, "down", "-v", "--timeout", "5", env=env)


def guide(name, key, work, model):
    """A guide's own file: the image's name replaced, and on top what a machine without a GPU needs."""
    home = work / ("home-" + name)
    folder = home / ".cache/huggingface/hub/models--Qwen--Qwen3-8B"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs/main").write_text(COMMIT)
    (folder / "snapshots" / COMMIT).mkdir(parents=True)
    os.link(model, folder / "snapshots" / COMMIT / "model.gguf")
    text = (HERE / "guides" / name).read_text().replace("vllm/vllm-openai:latest", IMAGE)
    port, = free_ports(1)
    service = json.loads(run(COMPOSE, "-f", HERE / "guides" / name, "config", "--format", "json"))["services"]
    (work / name).write_text(text)
    (work / "override.yaml").write_text(
        "services:\n" + "".join(f"  {s}:\n    runtime: !reset null\n    deploy: !reset null\n    container_name: !reset null\n    ports: !override ['127.0.0.1:{port}:8000']\n"
                                f"    environment:\n      VLLM_CPU_KVCACHE_SPACE: '1'\n    healthcheck:\n      interval: 2s\n" for s in service))
    files, env = [work / name, work / "override.yaml"], {"HOME": str(home)}
    try:
        compose(files, "up", "-d", "--wait", "--wait-timeout", "240", env=env)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/v1/models", headers={"Authorization": "Bearer " + key})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        print(f"compose_test: {name}: healthy, serves {json.load(answer)['data'][0]['id']}", flush=True)
    finally:
        compose(files, "down", "--timeout", "20", env=env)


def main():
    assert COMPOSE.exists(), "run deploy/test/lint.sh first: it installs docker-compose"
    model = os.path.realpath(sys.argv[1])
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        copy = work / "model.gguf"
        run("cp", model, copy)
        work.chmod(0o755)
        server_and_nginx(work, copy)
        guide("compose-list.yaml", "", work, copy)
        guide("compose-folded.yaml", "sk-test", work, copy)
    print("compose_test: passed")


if __name__ == "__main__":
    main()
