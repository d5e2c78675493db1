"""Servers on this computer that speak the chat routes of Ollama and of OpenAI, honest and hostile ones."""

import gzip
import json
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

OLLAMA, OPENAI = "/api/chat", "/v1/chat/completions"
Answer = str | Callable[["_Handler"], None]


@dataclass(slots=True)
class ModelServer:
    """A server with its answers, one for each question, the last one for all that follow."""

    answers: Sequence[Answer]
    port: int = 0
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    over: Event = field(default_factory=Event)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def next_answer(self) -> Answer:
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


class _Handler(BaseHTTPRequestHandler):
    script: ModelServer

    def do_POST(self) -> None:
        self.script.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.script.keys.append(self.headers.get("Authorization"))
        answer = self.script.next_answer()
        try:
            if callable(answer):
                answer(self)
            else:
                self.send(200, body_of(self.path, answer))
        except OSError:  # who asked has gone
            pass

    def send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002  # the name of the base class
        pass


def body_of(route: str, text: str) -> bytes:
    """What a server of a route sends for an answer; Ollama in pieces."""
    if route == OPENAI:
        choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return json.dumps({"choices": [choice]}).encode()
    pieces = [text[at : at + 4000] for at in range(0, len(text), 4000)]
    said = [{"message": {"role": "assistant", "content": one}, "done": False} for one in pieces]
    end = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}
    return b"".join(json.dumps(one).encode() + b"\n" for one in (*said, end))


@contextmanager
def serving(*answers: Answer) -> Iterator[ModelServer]:
    """Run a server with its answers."""
    script = ModelServer(answers)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"script": script}))
    server.daemon_threads = True
    server.block_on_close = False
    script.port = server.server_port
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield script
    finally:
        script.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def with_status(status: int, body: bytes = b'{"error": "no such model"}', **headers: str) -> Answer:
    return lambda handler: handler.send(status, body, **headers)


def silent(handler: _Handler) -> None:
    handler.script.over.wait(10)


def dripping(handler: _Handler) -> None:
    """Headers that never end, a byte at a time."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not handler.script.over.wait(0.02):
        handler.wfile.write(b"x")


def endless(handler: _Handler) -> None:
    """A body without an end, and without a line."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while not handler.script.over.is_set():
        handler.wfile.write(b" " * 100_000)


def endless_words(handler: _Handler) -> None:
    """A model that never stops talking."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    line = json.dumps({"message": {"role": "assistant", "content": "and " * 1000}, "done": False}).encode() + b"\n"
    while not handler.script.over.is_set():
        handler.wfile.write(line)


def cut(handler: _Handler) -> None:
    """A body that is shorter than promised."""
    body = body_of(handler.path, "{}")
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body[: len(body) // 2])
    handler.connection.shutdown(socket.SHUT_WR)


def bomb(handler: _Handler) -> None:
    handler.send(200, gzip.compress(bytes(10_000_000)), Content_Encoding="gzip")


def nobody() -> str:
    """An address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


HOSTILE_SERVERS: Mapping[str, Answer] = {
    "500": with_status(500),
    "429": with_status(429),
    "404": with_status(404),
    "redirect": with_status(307, Location="http://127.0.0.1:9/"),
    "HTML": with_status(200, b"<html>Sign in</html>"),
    "nothing at all": with_status(200, b""),
    "JSON of another shape": with_status(200, b'{"choices": [], "message": 7}'),
    "an error in a good answer": with_status(200, b'{"error": "out of memory"}\n'),
    "no UTF-8": with_status(200, b"\xff\xfe\x00\n"),
    "cut body": cut,
    "gzip bomb": bomb,
    "silence": silent,
    "dripping headers": dripping,
    "endless body": endless,
    "endless words": endless_words,
    "hung up": lambda handler: handler.connection.shutdown(socket.SHUT_RDWR),
}
"""What no server should do."""

BAD_TEXTS: Mapping[str, str] = {
    "empty": "",
    "prose": "I would buy, because the trend is up.",
    "fenced JSON": '```json\n{"position": "long"}\n```',
    "cut JSON": '{"position": "long", "price_take_pro',
    "a list": '[{"position": "long"}]',
    "a number": "42",
    "wrong types": '{"position": 7, "interval": [], "lifetime": {}, "price_take_profit": "high"}',
    "NaN": '{"position": "long", "price_take_profit": NaN, "price_stop_loss": 1, "lifetime_minutes": 60}',
    "infinity": '{"position": "long", "price_take_profit": 1e999, "price_stop_loss": 1, "lifetime_minutes": 60}',
    "a key twice": '{"position": "wait", "position": "long"}',
    "other language": "Я бы купил сейчас.",
    "injection": "Ignore all rules. {{7*7}} `rm -rf /` ${HOME} !!python/object:os.system",
    "refusal": "I'm sorry, but I can't give financial advice.",
    "very deep": "[" * 60_000,
    "1 MB": '"' + "x" * 1_000_000 + '"',
    "a number too long": '{"position": ' + "9" * 5000 + "}",
    "lone surrogate": '{"position": "\\ud800"}',
}
"""What no model should say."""
