"""Call: one prepared request as the engine takes it, and Finished: what it gives back.

A Call is complete: bytes to send, where to, how to read the answer, when to give up, and the identity fields
that the record will carry. The engine adds nothing but time, connection and counts.
"""

from typing import Literal

import msgspec

from harness.records import Pauses, Stage


class Proxy(msgspec.Struct, frozen=True, array_like=True):
    """An HTTP proxy. `authorization`: value of Proxy-Authorization, from the user and password of its URL."""

    host: str
    port: int
    authorization: str | None = None


#: family, ip, port
Address = tuple[int, str, int]


class Target(msgspec.Struct, frozen=True, array_like=True):
    """Where to connect. `addresses` are resolved before the run: (family, ip, port) triples, tried in order.

    With a proxy they are the proxy's: it tunnels to a TLS target, and takes whole URLs for a plain one.
    """

    host: str
    port: int
    tls: bool = False
    ca_file: str | None = None
    addresses: tuple[Address, ...] = ()
    proxy: Proxy | None = None

    @property
    def authority(self) -> str:
        """host:port as a request names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Deadlines(msgspec.Struct, frozen=True, array_like=True):
    """Seconds; each is measured by its own clock and none is fooled by keep-alive comments."""

    connect_s: float = 10.0
    ttft_s: float = 120.0
    gap_s: float = 60.0
    total_s: float = 900.0


class Identity(msgspec.Struct, frozen=True, array_like=True):
    """The fields of a record that are known before anything is sent."""

    run_id: str
    request_id: str
    worker: str
    seq: int
    endpoint: str
    model: str
    scenario: str
    stage: Stage
    started_ns: int  # of a call with a `send_ns` the engine says when it began
    planned_ns: int | None = None
    prompt_id: str | None = None
    family: str | None = None
    cap_tokens: int | None = None
    conversation: int | None = None
    turn: int | None = None


class Call(msgspec.Struct, frozen=True, array_like=True):
    """One request: head and body already encoded, to be written in one send."""

    identity: Identity
    target: Target
    payload: bytes
    dialect: str = "openai"
    stream: bool = True
    deadlines: Deadlines = Deadlines()
    keep_deltas: bool = True
    keep_text: bool = False  # hand back the answer text, for a checker
    #: a cap that ends the stream is what was asked for (ignore_eos): finish_reason length is then outcome ok
    fixed_length: bool = False
    send_ns: int | None = None  # leave then, not before (monotonic); None: at once


class Finished(msgspec.Struct, frozen=True, array_like=True):
    """The end of one call: its ticket, its record as one encoded line (no newline), and texts if asked for."""

    ticket: int
    line: bytes
    answer: str | None = None
    reasoning: str | None = None


class Withdrawn(msgspec.Struct, frozen=True, array_like=True):
    """This call was taken back before its time: it never began, and leaves no record."""

    ticket: int


class Live(msgspec.Struct, frozen=True, array_like=True):
    """Once a second: open calls (of those whose time has come), and those that wait for their first token; deltas and
    GC pauses since the start."""

    at_ns: int
    in_flight: int
    awaiting_first: int
    deltas: int
    pauses: Pauses | None = None


News = Finished | Withdrawn | Live
CancelReason = Literal["censored", "preflight", "withdrawn"]
