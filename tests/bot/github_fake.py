"""GitHub's REST API as far as the bot uses it: real HTTP on loopback, and picky about requests.

A request that GitHub would not take is answered 400 and noted in `violations`; every request is
noted in `calls`. `fail` plans bad answers.
"""

import http.server
import json
import re
import threading
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.bot.github_model import Call, InvalidError, Repository

TOKEN = "ghs_sentinel_that_must_never_be_seen"
PER_PAGE = 30


@dataclass
class Fault:
    """A bad answer: a status, or `drop` (no answer), `garbage` (no JSON), `shape` (other JSON)."""

    method: str
    path: str
    what: int | str
    times: int = 1_000
    headers: dict[str, str] = field(default_factory=dict)

    def takes(self, method: str, path: str) -> bool:
        if self.times and method == self.method and re.search(self.path, path):
            self.times -= 1
            return True
        return False


class _DroppedError(Exception):
    """The connection is to be closed without an answer."""


class GithubFake(Repository):
    """The repository with servers in front of it."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[Fault] = []
        self.calls: list[Call] = []
        self.violations: list[str] = []
        self._blobs = _serve(_Blobs, self)
        self._server = _serve(_Api, self)
        self.blobs = f"http://127.0.0.1:{self._blobs.server_port}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        for server in (self._server, self._blobs):
            server.shutdown()
            server.server_close()

    def fail(self, method: str, path: str, what: int | str, **more: Any) -> None:
        self.faults.append(Fault(method, path, what, **more))

    def writes(self) -> list[Call]:
        """Requests that change something."""
        return [call for call in self.calls if call.method != "GET"]


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    fake: GithubFake


def _serve(handler: type[http.server.BaseHTTPRequestHandler], fake: GithubFake) -> _Server:
    server = _Server(("127.0.0.1", 0), handler)
    server.fake = fake
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.002}, daemon=True
    ).start()
    return server


class _Api(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: 40 ms each otherwise
    server: _Server

    def do_GET(self) -> None:
        fake = self.server.fake
        self.headers_of_fault: dict[str, str] = {}
        split = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        length = int(self.headers.get("content-length") or 0)
        try:
            call = Call(
                self.command, split.path, query, json.loads(self.rfile.read(length) or b"null")
            )
            fake.calls.append(call)
            self._check_headers()
            status, answer = self._faulty(call) or fake.answer(call)
        except _DroppedError:
            self.close_connection = True
            return
        except Exception as error:  # a route's own mistake is noted too, never "no answer"
            fake.violations.append(f"{type(error).__name__}: {error}")
            status, answer = 400, {"message": "Bad Request"}
        self._send(status, answer, split.path, query)

    def do_POST(self) -> None:
        self.do_GET()

    def do_PATCH(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass

    def _check_headers(self) -> None:
        if self.headers.get("authorization") not in (f"Bearer {TOKEN}", f"token {TOKEN}"):
            raise InvalidError("no token")
        if "application/vnd.github" not in self.headers.get("accept", ""):
            raise InvalidError(f"accept: {self.headers.get('accept')}")
        for name in ("user-agent", "x-github-api-version"):
            if not self.headers.get(name):
                raise InvalidError(f"no {name}")

    def _faulty(self, call: Call) -> tuple[int, Any] | None:
        fault = next((f for f in self.server.fake.faults if f.takes(call.method, call.path)), None)
        if fault is None:
            return None
        if fault.what == "drop":
            raise _DroppedError
        self.headers_of_fault = fault.headers
        if isinstance(fault.what, int):
            return fault.what, {"message": f"planned, with {TOKEN}"}
        return 200, b"<html>" if fault.what == "garbage" else {"surprise": [1]}

    def _send(self, status: int, answer: Any, path: str, query: dict[str, str]) -> None:
        headers = dict(self.headers_of_fault)
        if status == 302:
            headers["location"], answer = answer, {}
        if status == 200 and "/git/trees/" not in path:  # trees are cut short, not paged
            answer, more = _page(answer, query)
            if more:
                further = urlencode(query | {"page": int(query.get("page", 1)) + 1})
                headers["link"] = f'<{self.server.fake.url}{path}?{further}>; rel="next"'
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def _page(answer: Any, query: dict[str, str]) -> tuple[Any, bool]:
    """One page of a list, or of the one list that an object holds."""
    key = None
    if isinstance(answer, dict):
        key = next((name for name, value in answer.items() if isinstance(value, list)), None)
    rows = answer[key] if key else answer
    if not isinstance(rows, list):
        return answer, False
    size, page = min(int(query.get("per_page", PER_PAGE)), 100), int(query.get("page", 1))
    part = rows[(page - 1) * size : page * size]
    # A list that says how long it is ends at 1,000 all the same.
    more = len(rows) > page * size and not (key and page * size >= 1_000)
    return ({**answer, key: part} if key else part), more


class _Blobs(http.server.BaseHTTPRequestHandler):
    """Where artifacts lie: another origin, which must not see the token."""

    server: _Server

    def do_GET(self) -> None:
        if self.headers.get("authorization"):
            self.server.fake.violations.append("the token went to the artifacts' server")
        data = self.server.fake.archives[int(self.path.strip("/"))]
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass
