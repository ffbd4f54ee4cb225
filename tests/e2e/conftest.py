"""The real binary on the default model, started once per set of flags, on a free port of the loopback interface."""
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

import openai
import pytest

BINARY = os.environ["VLLM_BINARY"]
MODEL = os.environ["VLLM_TEST_MODEL"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, *flags, model=MODEL, env=None, wait=True, log_path=None, tls=None):
        """`tls`: an ssl.SSLContext, for a server with --ssl-certfile."""
        self.port = free_port()
        self.tls = tls
        self.log_path = log_path
        self.log = open(log_path, "wb") if log_path else subprocess.DEVNULL
        self.process = subprocess.Popen(
            [BINARY, "serve", model, "--host", "127.0.0.1", "--port", str(self.port), "--served-model-name", "m", *flags],
            stderr=self.log, stdout=self.log, env={**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", **(env or {})})
        if wait:
            self.wait_ready()

    def wait_ready(self, seconds=60):
        end = time.time() + seconds
        while time.time() < end:
            assert self.process.poll() is None, f"the server ended with {self.process.returncode}: {self.log_text()}"
            try:
                if self.request("GET", "/health")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise TimeoutError(self.log_text())

    def log_text(self):
        return pathlib.Path(self.log_path).read_text() if self.log_path else ""

    def request(self, method, path, body=None, headers=None, timeout=60):
        """Returns (status, headers, parsed JSON or text)."""
        if self.tls:
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=self.tls)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        headers = dict(headers or {})
        data = body
        if isinstance(body, (dict, list)):
            data = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        connection.close()
        try:
            return answer.status, dict(answer.getheaders()), json.loads(text)
        except ValueError:
            return answer.status, dict(answer.getheaders()), text

    def client(self, key="none"):
        options = {"http_client": openai.DefaultHttpxClient(verify=self.tls)} if self.tls else {}
        return openai.OpenAI(base_url=f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/v1", api_key=key, max_retries=0, **options)

    def metric(self, name):
        for line in self.request("GET", "/metrics")[2].splitlines():
            if line.startswith(name + "{") or line.startswith(name + " "):
                return float(line.rsplit(" ", 1)[1])
        raise KeyError(name)

    def wait_idle(self, seconds=10):
        """A stop string or a client that left ends a sequence a moment after the answer."""
        end = time.time() + seconds
        while self.metric("vllm:num_requests_running") + self.metric("vllm:num_requests_waiting"):
            assert time.time() < end, "the engine still generates"
            time.sleep(0.05)

    def stop(self, sig=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    s = Server("--max-model-len", "4096", log_path=str(tmp_path_factory.mktemp("log") / "server.log"))
    yield s
    assert s.stop() == 0


@pytest.fixture
def start(tmp_path):
    servers = []

    def make(*flags, **kwargs):
        servers.append(Server(*flags, log_path=str(tmp_path / f"server{len(servers)}.log"), **kwargs))
        return servers[-1]

    yield make
    for s in servers:
        s.stop()
