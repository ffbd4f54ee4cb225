"""vllm serve --ssl-...: the official client over TLS, client certificates, `vllm health`, new files in a running server."""
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time

import openai
import pytest

from conftest import BINARY


def run(*command):
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


def make_certificate(folder, name, issuer=None):
    """NAME.crt and NAME.key for 127.0.0.1, signed by `issuer` or by itself."""
    key, crt = folder / f"{name}.key", folder / f"{name}.crt"
    new_key = ["-newkey", "rsa:2048", "-nodes", "-keyout", key, "-subj", f"/CN={name}"]
    if issuer is None:
        run("openssl", "req", "-x509", "-days", "1", *new_key, "-addext", "subjectAltName=IP:127.0.0.1", "-out", crt)
    else:
        run("openssl", "req", *new_key, "-out", folder / "request")
        run("openssl", "x509", "-req", "-days", "1", "-in", folder / "request", "-CA", folder / f"{issuer}.crt",
            "-CAkey", folder / f"{issuer}.key", "-set_serial", "7", "-out", crt)
    return crt, key


def flags_of(crt, key):
    return ["--ssl-certfile", str(crt), "--ssl-keyfile", str(key)]


def health(server):
    """What `vllm health` says of this server: its line, and whether it is well."""
    asked = subprocess.run([BINARY, "health"], capture_output=True, text=True)
    line = next(line for line in asked.stdout.splitlines() if f":{server.port}:" in line)
    return line, ": healthy" in line


def test_openai_client_over_tls(start, tmp_path):
    crt, key = make_certificate(tmp_path, "server")
    trust = ssl.create_default_context(cafile=crt)
    server = start(*flags_of(crt, key), tls=trust)
    client = server.client()
    answer = client.completions.create(model="m", prompt="The capital of France is", max_tokens=8, temperature=0)
    stream = client.completions.create(model="m", prompt="The capital of France is", max_tokens=8, temperature=0, stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == answer.choices[0].text
    assert health(server) == (f"https://127.0.0.1:{server.port}: healthy", True)
    assert f"Starting vLLM server on https://127.0.0.1:{server.port}" in server.log_text()

    def bench(*flags, env=None):
        return subprocess.run([BINARY, "bench", "serve", "--base-url", f"https://127.0.0.1:{server.port}", "--model", "m", "--num-prompts", "4",
                               "--random-input-len", "8", "--random-output-len", "4", "--skip-tokenizer-init", *flags],
                              capture_output=True, text=True, timeout=60, env={**os.environ, **(env or {})})

    for run_of_it in (bench("--insecure"), bench(env={"SSL_CERT_FILE": str(crt)})):
        assert run_of_it.returncode == 0, run_of_it.stderr
        assert "Successful requests:                     4" in run_of_it.stdout, run_of_it.stdout
    assert "certificate verify failed" in bench().stdout

    # A client that does not trust the certificate, one that speaks plain HTTP, one that speaks nothing: only they fail.
    with pytest.raises(openai.APIConnectionError):
        openai.OpenAI(base_url=f"https://127.0.0.1:{server.port}/v1", api_key="k", max_retries=0).models.list()
    with pytest.raises(openai.APIConnectionError):
        openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="k", max_retries=0).models.list()
    with socket.create_connection(("127.0.0.1", server.port)):
        assert client.models.list().data[0].id == "m"
    assert "failed: " in server.log_text()
    assert server.stop() == 0


def test_client_certificates(start, tmp_path):
    crt, key = make_certificate(tmp_path, "server")
    make_certificate(tmp_path, "root")
    good, bad = make_certificate(tmp_path, "client", "root"), make_certificate(tmp_path, "stranger")
    trust = ssl.create_default_context(cafile=crt)
    trust.load_cert_chain(*good)
    server = start(*flags_of(crt, key), "--ssl-ca-certs", str(tmp_path / "root.crt"), "--ssl-cert-reqs", "2", tls=trust)
    assert server.client().models.list().data[0].id == "m"
    for certificate in (bad, None):
        other = ssl.create_default_context(cafile=crt)
        if certificate:
            other.load_cert_chain(*certificate)
        server.tls = other
        with pytest.raises(openai.APIConnectionError):
            server.client().models.list()
    assert health(server) == (f"https://127.0.0.1:{server.port}: healthy", True), "it shows the server's own certificate"

    # Files that were replaced or broken since the start are no reason to call a server ill that has the old ones.
    for text in (bad[0].read_text(), "broken", None):
        crt.unlink() if text is None else crt.write_text(text)
        line, well = health(server)
        assert well and f"{crt} is of no use" in line, line
    server.process.send_signal(signal.SIGSTOP)
    line, well = health(server)
    server.process.send_signal(signal.SIGCONT)
    assert not well, line


def test_health_where_client_certificates_are_optional(start, tmp_path):
    crt, key = make_certificate(tmp_path, "server")
    trust = ssl.create_default_context(cafile=crt)
    server = start(*flags_of(crt, key), "--ssl-ca-certs", str(crt), "--ssl-cert-reqs", "1", tls=trust)
    for text in (crt.read_text(), make_certificate(tmp_path, "stranger")[0].read_text(), "broken"):
        crt.write_text(text)
        assert health(server) == (f"https://127.0.0.1:{server.port}: healthy", True), text


def test_refresh(start, tmp_path):
    crt, key = make_certificate(tmp_path, "server")
    new_crt, new_key = make_certificate(tmp_path, "new")
    trust = ssl.create_default_context(cafile=crt)
    trust.load_verify_locations(new_crt)
    server = start(*flags_of(crt, key), "--enable-ssl-refresh", tls=trust)

    def shown():
        return ssl.get_server_certificate(("127.0.0.1", server.port))

    def wait_for_log(text):
        end = time.time() + 10
        while text not in server.log_text():
            assert time.time() < end, server.log_text()
            time.sleep(0.1)

    assert shown() == crt.read_text()
    os.replace(shutil.copy(new_key, tmp_path / "k"), key)
    os.replace(shutil.copy(new_crt, tmp_path / "c"), crt)
    wait_for_log("New connections use the new TLS certificate")
    assert shown() == new_crt.read_text()
    crt.write_text("broken")
    wait_for_log("the old one stays")
    assert shown() == new_crt.read_text()
    assert server.client().models.list().data[0].id == "m"


@pytest.mark.parametrize("make, flags, words", [
    (lambda d: None, ["--ssl-certfile", "none.crt"], ["--ssl-certfile", "no such file"]),
    (lambda d: make_certificate(d, "a"), ["--ssl-certfile", "a.crt"], ["--ssl-certfile", "no private key"]),
    (lambda d: (make_certificate(d, "a"), make_certificate(d, "b")), ["--ssl-certfile", "a.crt", "--ssl-keyfile", "b.key"],
     ["--ssl-keyfile", "is not the key of"]),
    (lambda d: (make_certificate(d, "a"), run("openssl", "pkey", "-in", d / "a.key", "-aes128", "-passout", "pass:x", "-out", d / "locked.key")),
     ["--ssl-certfile", "a.crt", "--ssl-keyfile", "locked.key"], ["--ssl-keyfile", "encrypted", "openssl pkey"]),
    (lambda d: make_certificate(d, "a"), ["--ssl-certfile", "a.crt", "--ssl-keyfile", "a.key", "--ssl-cert-reqs", "2"], ["--ssl-ca-certs"]),
    (lambda d: None, ["--ssl-cert-reqs", "3"], ["--ssl-cert-reqs", "0 to 2"]),
])
def test_files_that_cannot_be_used(tmp_path, make, flags, words):
    make(tmp_path)
    ended = subprocess.run([BINARY, "serve", "no-model-is-looked-for", "--port", "0", *flags], cwd=tmp_path, capture_output=True,
                           text=True, timeout=20)
    assert ended.returncode in (1, 2)
    for word in words:
        assert word in ended.stderr + ended.stdout
