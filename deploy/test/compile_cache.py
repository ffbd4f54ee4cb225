#!/usr/bin/env python3
"""Keeps compiled objects between builds of images: compile_cache.py FOLDER PORT is an HTTP store as ccache's remote_storage wants one.

Every builder can reach it (builds use the host's network), so the second and third builder need not compile what the first one did.
Listens on 127.0.0.1 only; answers GET, HEAD, PUT and DELETE of /NAME. Standard library only.
"""
import http.server
import os
import pathlib
import re
import sys

FOLDER = pathlib.Path(sys.argv[1])


class Store(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def file(self):
        name = self.path.strip("/").replace("/", "-")
        return FOLDER / name if re.fullmatch(r"[0-9a-z-]{8,200}", name) else None

    def do_GET(self):
        file = self.file()
        if file and file.exists():
            self.answer(200, file.read_bytes())
        else:
            self.answer(404)

    do_HEAD = do_GET

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        file = self.file()
        if not file:
            return self.answer(400)
        part = file.with_name(f"{file.name}.{os.getpid()}.{id(self)}")
        part.write_bytes(body)
        part.replace(file)
        return self.answer(201)

    def do_DELETE(self):
        file = self.file()
        if file:
            file.unlink(missing_ok=True)
        self.answer(204)

    def log_message(self, *args):
        pass


FOLDER.mkdir(parents=True, exist_ok=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Store).serve_forever()
