"""Starts the server once for its class, as engines' suites do. MODE decides how it behaves."""

import http.client
import json
import os
import subprocess
import sys
import time
import unittest
from pathlib import Path

PORT = int(os.environ["HARNESS_PORT"])
MODE = os.environ.get("MODE", "plain")
SERVER = Path(__file__).with_name("inference_server.py")


def ask(prompt: int, tokens: int) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=5)
    connection.request("POST", "/generate", json.dumps({"prompt": prompt, "tokens": tokens}))
    return connection.getresponse()


class TestServer(unittest.TestCase):
    process: subprocess.Popen[bytes]

    @classmethod
    def setUpClass(cls) -> None:
        cls.process = subprocess.Popen([sys.executable, str(SERVER), str(PORT), MODE])
        deadline = time.monotonic() + (2 if MODE == "mute" else 20)
        while time.monotonic() < deadline:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=1)
                connection.request("GET", "/health")
                connection.getresponse().read()
                return
            except OSError:
                if cls.process.poll() is not None:
                    code = cls.process.returncode
                    raise RuntimeError(f"Server process exited with code {code}.") from None
                time.sleep(0.05)
        raise TimeoutError("Server failed to start within the timeout period.")

    @classmethod
    def tearDownClass(cls) -> None:
        if MODE != "left":
            cls.process.kill()
            cls.process.wait()

    def test_streams_tokens(self) -> None:
        lines = ask(1, 4).read().split()
        self.assertEqual(lines, b"data: 4 data: 13 data: 6 data: 2".split())

    def test_survives_an_abort(self) -> None:
        answer = ask(1, 4 if MODE == "dies" else 1000)
        answer.read(8)
        answer.close()
        self.assertEqual(ask(1, 1).read(), b"data: 4\n\n")

    def test_worker_stays_alive(self) -> None:
        ask(0, 17).read()
        time.sleep(0.2)
        self.assertEqual(ask(1, 1).status, 200)
