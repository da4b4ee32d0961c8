"""Process time of `harness bot parse` from its start to the acknowledging reaction, and in all.

    python benchmarks/bot_ack.py [RUNS]

A loopback server stands for GitHub and answers the reaction alone: parse then gives up, which is
after what is measured. User and system time of the process, imports included, not the network's.
"""

import http.server
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import psutil

LIMIT_S = 2.0
EVENT = {
    "action": "created",
    "comment": {
        "id": 1,
        "body": "/rerun-test test_a.py --repeats 50",
        "user": {"login": "someone", "type": "User"},
        "created_at": "2026-11-23T10:00:00Z",
        "updated_at": "2026-11-23T10:00:00Z",
    },
    "issue": {"number": 1, "pull_request": {}},
}


class Server(http.server.ThreadingHTTPServer):
    """Notes the client's process time at the first request."""

    client: psutil.Process | None = None
    acknowledged_s: float | None = None


class Handler(http.server.BaseHTTPRequestHandler):
    """The reaction is taken, anything else is not found."""

    server: Server

    def do_POST(self) -> None:
        if self.path.endswith("/reactions") and self.server.client:
            times = self.server.client.cpu_times()
            self.server.acknowledged_s = times.user + times.system
        self.rfile.read(int(self.headers["content-length"]))
        self.answer(201)

    def do_GET(self) -> None:
        self.answer(404)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


def environment(folder: Path, port: int) -> dict[str, str]:
    (folder / "event.json").write_text(json.dumps(EVENT))
    url = f"http://127.0.0.1:{port}"
    return os.environ | {
        "GITHUB_API_URL": url,
        "GITHUB_SERVER_URL": url,
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        "GITHUB_REPOSITORY": "someone/something",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_RUN_ID": "1",
        "GITHUB_TOKEN": "none",
        "GITHUB_WORKFLOW_REF": "someone/something/.github/workflows/rerun-test.yml@refs/heads/main",
    }


def acknowledge(server: Server, env: dict[str, str]) -> float:
    command = [sys.executable, "-c", "from harness.cli.main import main; main()", "bot", "parse"]
    started = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)
    server.client = psutil.Process(started.pid)
    server.acknowledged_s = None
    started.wait()
    if server.acknowledged_s is None:
        raise SystemExit("no reaction was asked for")
    return server.acknowledged_s


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        env = environment(Path(folder), server.server_port)
        times = sorted(acknowledge(server, env) for _ in range(runs))
    print(
        f"{runs} runs: process time to the reaction {times[0]:.2f} s least, "
        f"{statistics.median(times):.2f} s median, {times[-1]:.2f} s most (limit {LIMIT_S:g} s)"
    )
    sys.exit(times[-1] > LIMIT_S)


if __name__ == "__main__":
    main()
