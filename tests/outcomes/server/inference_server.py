"""A small inference server: tokens over HTTP, streamed, from a worker process of its own.

`python inference_server.py PORT [MODE]`. A request names its prompt and how many tokens it wants;
the next token follows from the last one. MODE `dies` ends the worker at token 5, `leaks` keeps a
helper process, `slow` takes a while per token, `mute` never answers.
"""

import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WORKER = r"""
import json, os, sys, time
mode = sys.argv[1]
for line in sys.stdin:
    token = json.loads(line)
    if mode == "dies" and token == 5:
        sys.stderr.write("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB.\n")
        sys.stderr.flush()
        os.kill(os.getpid(), 9)
    time.sleep(0.2 if mode == "slow" else 0)
    print(json.dumps((token * 3 + 1) % 17), flush=True)
"""


class Worker:
    """The process that makes tokens, one at a time."""

    def __init__(self, mode: str) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-c", WORKER, mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def step(self, token: int) -> int:
        """Return the next token. End the server if the worker died, as engines do."""
        with self._lock:
            assert self._process.stdin is not None and self._process.stdout is not None
            try:
                self._process.stdin.write(f"{token}\n")
                self._process.stdin.flush()
                return int(self._process.stdout.readline())
            except (ValueError, OSError):
                sys.stderr.write("the worker died; the server ends\n")
                sys.stderr.flush()
                threading.Timer(0.05, os._exit, [9]).start()
                raise


def make_handler(worker: Worker, mode: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"
        aborted = 0

        def do_GET(self) -> None:
            time.sleep(600 if mode == "mute" else 0)
            self._answer(json.dumps({"aborted": Handler.aborted}))

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()
            token = asked["prompt"]
            try:
                for _ in range(asked["tokens"]):
                    token = worker.step(token)
                    self.wfile.write(f"data: {token}\n\n".encode())
                    self.wfile.flush()
            except OSError:
                Handler.aborted += 1

        def _answer(self, text: str) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def main() -> None:
    port, mode = int(sys.argv[1]), (sys.argv[2] if len(sys.argv) > 2 else "plain")
    if mode == "leaks":
        subprocess.Popen(["sleep", "300"], start_new_session=True)
    server = ThreadingHTTPServer(("127.0.0.1", port), make_handler(Worker(mode), mode))
    sys.stderr.write(f"The server is fired up on port {port}\n")
    server.serve_forever()


if __name__ == "__main__":
    main()
