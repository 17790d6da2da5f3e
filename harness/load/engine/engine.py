"""Engine: hand in Calls, get back Finished records and Live counts, all behind one file descriptor.

The sockets are owned by a process of its own (`reader`), which a busy or blocked worker cannot disturb. This side
does no network work and never blocks for long, so that it can live in a gevent hub or in a plain program.
"""

import _socket
import contextlib
import os
import select
import signal
import sys
import time
from pathlib import Path

import msgspec

import harness
from harness.errors import Outcome, TrueyieldError
from harness.load.calls import Call, CancelReason, Finished, Identity, Live, News, Withdrawn
from harness.load.clock import now_ns
from harness.load.engine import tap
from harness.load.engine.channel import Cancellation, Channel, Hello, Kind, Submission
from harness.load.hot import VARIABLE, Form
from harness.records import Pauses, StreamRecord, encode_record

_START_S = 20.0
_CLOSE_S = 2.0
_CHANNEL_BYTES = 4 * 1024 * 1024
_PREFIXES_KEPT = ("PYTHON", "LD_", "SSL_", "LC_")
_NAMES_KEPT = frozenset({"PATH", "HOME", "LANG", "TZ", "TMPDIR", VARIABLE, tap.VARIABLE})
#: Ctrl-C and kill reach the whole process group; the engine must live on to bring in what was seen.
_SIGNALS_HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Engine:
    """The worker's side of one engine process."""

    def __init__(self) -> None:
        self._channel: Channel | None = None
        self._pid = 0
        self._pidfd = -1
        self._next_ticket = 1
        self._open: dict[int, Identity] = {}
        self._early: list[News] = []
        self._hello: Hello | None = None
        self._pauses: Pauses | None = None
        self._finished = msgspec.msgpack.Decoder(Finished)
        self._withdrawn = msgspec.msgpack.Decoder(Withdrawn)
        self._live = msgspec.msgpack.Decoder(Live)

    # -- life

    def start(self) -> None:
        """Start the process and wait until it is ready (about 0.1 s)."""
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
        for end in (ours, theirs):
            end.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDBUF, _CHANNEL_BYTES)
        fd = theirs.detach()
        try:
            self._pid = _spawn(fd)
        finally:
            os.close(fd)
        self._pidfd = os.pidfd_open(self._pid)
        self._channel = Channel(ours.detach())
        self._wait_for_hello()

    @property
    def alive(self) -> bool:
        """The process is there and answers."""
        return self._channel is not None and self._channel.open

    @property
    def pid(self) -> int:
        """Process id of the engine, for those who weigh or kill it."""
        return self._pid

    @property
    def kernel_clock(self) -> bool:
        """Arrivals are stamped by the kernel (else by the engine's clock right after each read)."""
        return self._hello is not None and self._hello.kernel_clock

    @property
    def hot_path(self) -> Form | None:
        """How the engine reads: compiled, or in plain Python."""
        return None if self._hello is None else self._hello.hot_path

    @property
    def tap(self) -> bool | None:
        """The engine hears of every segment (else of the newest in each read)."""
        return None if self._hello is None else self._hello.tap

    @property
    def pauses(self) -> Pauses | None:
        """Garbage collections of the engine process, as it last told (once a second)."""
        return self._pauses

    def close(self) -> None:
        """End the process, within two seconds. Calls still open end with it: cancel them before."""
        channel, self._channel = self._channel, None
        if channel is None:
            return
        channel.send(Kind.QUIT)
        deadline = time.monotonic() + _CLOSE_S
        while not self._reaped() and time.monotonic() < deadline:
            time.sleep(0.002)
        if not self._reaped():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            while not self._reaped() and time.monotonic() < deadline + _CLOSE_S:
                time.sleep(0.002)
        os.close(self._pidfd)
        os.close(channel.fd)

    # -- calls

    def fileno(self) -> int:
        """Readable when `poll` has something. After the engine's death it stays readable: stop watching then."""
        return self._running().fd

    def submit(self, call: Call) -> int:
        """Hand in a call, which leaves at its `send_ns`; its ticket comes back in Finished."""
        ticket, self._next_ticket = self._next_ticket, self._next_ticket + 1
        channel = self._running()
        self._open[ticket] = call.identity
        channel.send(Kind.CALL, Submission(ticket, call))
        return ticket

    def cancel(self, ticket: int, reason: CancelReason = "censored") -> None:
        """Close the call's connection, so that the server stops; what was seen comes back as a censored record."""
        if ticket in self._open:
            self._running().send(Kind.CANCEL, Cancellation(ticket, reason))

    def withdraw(self, ticket: int) -> None:
        """Take back a call whose time has not come: then its end is Withdrawn. One that has left goes on: Finished."""
        self.cancel(ticket, "withdrawn")

    def poll(self) -> list[News]:
        """Everything that has come since; never blocks. A dead engine ends its open calls as engine_lost."""
        channel = self._running()
        news, self._early = self._early, []
        if channel.open:
            channel.flush()
            for kind, body in channel.receive()[0]:
                self._take(kind, body, news)
        if not channel.open:
            self._reaped()
            news += [_lost(ticket, identity) for ticket, identity in self._open.items()]
            self._open.clear()
        return news

    def wait(self, timeout_s: float) -> list[News]:
        """Like `poll`, but waits for news first."""
        if self.alive and not self._early:
            poller = select.poll()
            poller.register(self.fileno(), select.POLLIN)
            poller.poll(max(0.0, timeout_s) * 1000)
        return self.poll()

    # -- inside

    def _running(self) -> Channel:
        if self._channel is None:
            raise TrueyieldError("the engine is not running")
        return self._channel

    def _take(self, kind: Kind, body: bytes, news: list[News]) -> None:
        if kind is Kind.FINISHED:
            finished = self._finished.decode(body)
            if self._open.pop(finished.ticket, None) is not None:
                news.append(finished)
        elif kind is Kind.WITHDRAWN:
            withdrawn = self._withdrawn.decode(body)
            if self._open.pop(withdrawn.ticket, None) is not None:
                news.append(withdrawn)
        elif kind is Kind.LIVE:
            live = self._live.decode(body)
            self._pauses = live.pauses
            news.append(live)
        elif kind is Kind.HELLO:
            self._hello = msgspec.msgpack.decode(body, type=Hello)

    def _wait_for_hello(self) -> None:
        deadline = time.monotonic() + _START_S
        while self._hello is None and self.alive and time.monotonic() < deadline:
            self._early += self.wait(deadline - time.monotonic())
        if self._hello is None:
            self.close()
            raise TrueyieldError("the engine process did not start", "its last words are on standard error")

    def _reaped(self) -> bool:
        """The process has ended and is nobody's zombie. gevent may have reaped it before us."""
        try:
            return os.waitpid(self._pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            return True


def _spawn(fd: int) -> int:
    """Never a fork of this process, which may be patched by gevent: a fresh interpreter, its channel on descriptor 0.

    It gets none of the environment but what Python needs: keys stay here.
    """
    root = str(Path(harness.__file__).parent.parent)
    environment = {
        name: value for name, value in os.environ.items() if name in _NAMES_KEPT or name.startswith(_PREFIXES_KEPT)
    }
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    arguments = [sys.executable, "-P", "-m", "harness.load.engine.reader_process", *_if_main_thread()]
    actions = [(os.POSIX_SPAWN_DUP2, fd, 0), (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    return os.posix_spawn(sys.executable, arguments, environment, file_actions=actions, setsigmask=_SIGNALS_HELD)


def _if_main_thread() -> list[str]:
    """The kernel's parent-death signal follows the *thread* that spawned us: only the main one may ask for it."""
    _, _, thread = os.readlink("/proc/thread-self").split("/")
    return ["--die-with-parent"] if int(thread) == os.getpid() else []


def _lost(ticket: int, identity: Identity) -> Finished:
    record = StreamRecord(
        **msgspec.structs.asdict(identity),
        ended_ns=max(now_ns(), identity.started_ns),  # a call that waits for its time is to start in the future
        outcome=Outcome.ENGINE_LOST,
        error="the engine process died",
    )
    return Finished(ticket, encode_record(record))
