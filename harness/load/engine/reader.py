"""The engine's own process: calls come in over a socket pair, records go out. One epoll loop.

Streams are read in ticks of 2 ms while several are running: one wake then serves many reads, and the kernel's
stamps keep each arrival true. Submissions, new connections and calls whose time has come interrupt the wait. Decoding
fills the time between two ticks, at most a millisecond at a go, in slices; what is due goes before the next slice.
"""

import gc
import os
import resource
import select

import msgspec

from harness.load.calls import Live, Withdrawn
from harness.load.engine.channel import Cancellation, Channel, Hello, Kind, Submission
from harness.load.engine.connection import Connection
from harness.load.engine.decoding import Decoding
from harness.load.engine.departures import Departures
from harness.load.engine.dialer import Dialer
from harness.load.engine.exchange import Exchange
from harness.load.engine.lookout import Lookout
from harness.load.engine.pauses import PauseClock
from harness.load.engine.pool import Pool
from harness.load.engine.stamps import ArrivalClock, now_ns
from harness.load.engine.tap import Tap
from harness.load.engine.timers import Timers
from harness.load.hot import FORM, Left, Reads
from harness.load.hot.plain import MOST_EVENTS
from harness.load.stream.verdict import CloseReason

_SECOND = 1_000_000_000
TICK_NS = 2_000_000
#: With fewer streams than this, each wake reads at once: there is nothing to gather.
_FEW = 8
_SWEEP_NS = 100_000_000
_SWEEPS_A_SECOND = _SECOND // _SWEEP_NS

_READABLE = select.EPOLLIN
_WRITABLE = select.EPOLLOUT


class Reader:
    """Everything that the engine process does. `run` returns when the worker says QUIT or is gone."""

    def __init__(self, fd: int, clock: ArrivalClock, pauses: PauseClock) -> None:
        self._clock = clock
        self._pauses = pauses
        self._channel = Channel(fd)
        self._departures = Departures()
        self._lookout = Lookout(self._departures.alarm)
        self._control = select.epoll()  # submissions, departures, connections in the making, unsent bytes, `_streams`
        self._streams = select.epoll()  # connections from which answers are read
        self._control.register(fd, _READABLE)
        self._control.register(self._departures.alarm.fd, _READABLE)
        self._control.register(self._streams.fileno(), _READABLE)
        self._reads = Reads()
        self._tap = Tap(self._reads)
        self._connections: dict[int, Connection] = {}
        self._open: dict[int, Exchange] = {}
        self._dialer = Dialer(self._control, clock, self._reads, self._connections, self)
        self._decoding = Decoding(self)
        self._pool = Pool()
        self._timers = Timers(self._open)
        self._deltas = 0  # of exchanges that were handed back
        self._ticking = False
        self._next_tick_ns = self._next_sweep_ns = 0
        self._sweeps = 0
        self._running = True
        self._calls = msgspec.msgpack.Decoder(Submission)
        self._cancellations = msgspec.msgpack.Decoder(Cancellation)

    def run(self) -> None:
        """Serve until told to stop."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._channel.send(Kind.HELLO, Hello(os.getpid(), self._clock.kernel, soft, FORM, self._tap.open))
        while self._running:
            self._turn()
        self._lookout.end()

    def _turn(self) -> None:
        events = self._lookout.sleep(self._control, self._patience_s())
        self._clock.renew()
        self._depart()
        readable = False
        for fd, mask in events:
            if fd == self._channel.fd:
                self._obey(mask)
            elif fd == self._streams.fileno():
                readable = True
            elif connection := self._connections.get(fd):
                self._advance(connection, mask)
        self._dialer.shake_hands()
        self._dialer.dial()
        self._read(readable)
        self._decoding.go_on()
        now = now_ns()
        for exchange in self._timers.expired(now):
            self._expire(exchange, now)
        if now >= self._next_sweep_ns:
            self._sweep(now)
        if self._channel.unsent:
            self._flush_channel()

    def _patience_s(self) -> float:
        """How long to sleep if nothing comes."""
        if self._decoding.busy or self._dialer.busy:
            return 0
        until = self._next_sweep_ns
        if self._ticking:
            until = min(until, self._next_tick_ns)
        if self._timers.next_ns is not None:
            until = min(until, self._timers.next_ns)
        return max(0, until - now_ns()) / 1e9

    # -- the worker's wishes

    def _obey(self, mask: int) -> None:
        frames, size = self._channel.receive()
        for kind, body in frames:
            if kind is Kind.CALL:
                submission = self._calls.decode(body)
                self._tap.aim(submission.call.target.addresses)
                self._departures.add(submission)
                if submission.call.send_ns is not None:
                    self._lookout.begin()
                self._depart()
            elif kind is Kind.CANCEL:
                self._cancel(self._cancellations.decode(body))
            elif kind is Kind.QUIT:
                self._running = False
        if size >= 64 * 1024:
            self._channel.put(Kind.DRAINED)
        if not self._channel.open:
            self._running = False

    def _depart(self) -> None:
        for exchange in self._departures.due(now_ns()):
            self._begin(exchange)

    def give_way(self) -> None:
        """What is due goes before the next slice of decoding."""
        self._depart()
        self._dialer.dial()

    def _cancel(self, wish: Cancellation) -> None:
        exchange = self._open.get(wish.ticket)
        if exchange is None and (exchange := self._departures.recall(wish.ticket, now_ns())):
            if wish.reason == "withdrawn":
                self._channel.put(Kind.WITHDRAWN, Withdrawn(wish.ticket))
                return
            self._open[wish.ticket] = exchange
        if exchange is None or exchange.over or wish.reason == "withdrawn":
            return
        if exchange.connection is not None and exchange.connection.state == "open":
            clock = self._clock
            self._look_at(self._reads.read(exchange.connection.sock, clock.offset_ns, not clock.stepped))  # it was seen
        if not exchange.over:
            self._stop(exchange, "censored", max(now_ns(), exchange.call.identity.started_ns), None)

    def _begin(self, exchange: Exchange) -> None:
        self._open[exchange.ticket] = exchange
        exchange.stream.timeline.clock = "kernel" if self._clock.kernel else "user"
        connection, dead = self._pool.take(exchange.call.target, exchange.taken_ns)
        for each in dead:
            self._drop(each)
        if connection is None:
            self._dialer.want(exchange)
            self.set_timer(exchange)
            return
        exchange.stream.timeline.connection = "reused"
        self._send(connection, exchange)

    # -- connections

    def ready(self, connection: Connection) -> None:
        """The dialer has a connection: send what it was made for."""
        exchange = connection.exchange
        assert exchange is not None
        self._control.unregister(connection.fd)
        self._streams.register(connection.fd, _READABLE)
        self._send(connection, exchange)

    def _send(self, connection: Connection, exchange: Exchange) -> None:
        connection.exchange, exchange.connection = exchange, connection
        self._reads.carry(connection.sock, None if connection.tls else exchange.stream.short_way.taken)
        connection.request(exchange.call.payload)
        if connection.unsent:
            self._control.register(connection.fd, _WRITABLE)
        self.set_timer(exchange)

    def _advance(self, connection: Connection, mask: int) -> None:
        """Something happened on a connection in the making, or there is room for unsent bytes."""
        if connection.state != "open":
            self._dialer.advance(connection, mask)
        elif connection.flush():
            self._control.unregister(connection.fd)
            if connection.exchange is not None:
                self.set_timer(connection.exchange)

    def _drop(self, connection: Connection) -> None:
        self._dialer.forget(connection)
        if self._connections.get(connection.fd) is connection:
            del self._connections[connection.fd]
        if connection.fd >= 0:
            self._reads.drop(connection.sock)
        connection.close()

    def lose(self, connection: Connection, reason: CloseReason, at_ns: int, error: str | None) -> None:
        """The connection is gone; so is the exchange on it, if there is one."""
        exchange = connection.exchange
        if exchange is None:
            self._pool.forget(connection, now_ns())
            self._drop(connection)
        else:
            self._stop(exchange, reason, at_ns, error)

    # -- reading

    def _read(self, readable: bool) -> None:
        now = now_ns()
        if self._ticking:
            if now >= self._next_tick_ns:
                self._next_tick_ns = now + TICK_NS
                if not self._read_ready():
                    self._tick(False)
        elif readable:
            if len(self._open) >= _FEW and self._clock.kernel:
                self._tick(True)
                self._next_tick_ns = now + TICK_NS // 2
            else:
                self._read_ready()

    def _tick(self, on: bool) -> None:
        """While ticking, readable streams do not wake the loop."""
        self._ticking = on
        self._control.modify(self._streams.fileno(), 0 if on else _READABLE)

    def _read_ready(self) -> int:
        """Read every stream that has something, about once; how many had."""
        clock, read = self._clock, 0
        while read <= len(self._connections):
            ready, left = self._reads.read_ready(self._streams, clock.offset_ns, not clock.stepped)
            self._look_at(left)
            read += ready
            if ready < MOST_EVENTS:
                break
            self._take_in()
        return read

    def _take_in(self) -> None:
        """What is due or comes in between two batches of reads: a request must not wait for other people's answers."""
        self._depart()
        for fd, mask in self._control.poll(0):
            if fd == self._channel.fd:
                self._obey(mask)

    def _look_at(self, left: list[Left]) -> None:
        """Reads that were not taken."""
        for fd, data, arrival_ns, read_ns in left:
            connection = self._connections.get(fd)
            if connection is None:
                continue
            if isinstance(data, OSError):
                self.lose(connection, "reset", read_ns, data.strerror)
            elif connection.exchange is None or not data:  # an idle connection has nothing to say but its end
                self._end_of_file(connection, read_ns)
            else:
                self._feed(connection, data, arrival_ns, read_ns)

    def _feed(self, connection: Connection, data: bytes, arrival_ns: int | None, read_ns: int) -> None:
        exchange = connection.exchange
        assert exchange is not None
        stream = exchange.stream
        if arrival_ns is None:
            arrival_ns = read_ns
            stream.timeline.clock = "user"
        if connection.tls is not None:
            data = self._decrypted(connection, data, read_ns)
        if data and stream.feed(data, arrival_ns, read_ns):
            self.whole(exchange)
        elif stream.pending_bytes and stream.short_way.short_reads:  # one event unlike the others, likely
            self._decoding.slice(exchange)

    def _decrypted(self, connection: Connection, data: bytes, read_ns: int) -> bytes:
        try:
            plain = connection.decrypt(data)
        except OSError as error:
            self.lose(connection, "reset", read_ns, f"TLS: {error}")
            return b""
        if not plain and connection.tls is not None and connection.tls.clean_end:
            self._end_of_file(connection, read_ns)
        return plain

    def _end_of_file(self, connection: Connection, read_ns: int) -> None:
        torn = connection.tls is not None and not connection.tls.clean_end
        self.lose(connection, "reset" if torn else "eof", read_ns, "the server closed the connection")

    # -- the end of an exchange

    def whole(self, exchange: Exchange) -> None:
        """The body has ended: the connection may serve again."""
        connection, stream = exchange.connection, exchange.stream
        exchange.end("ended", stream.ended_ns or now_ns())
        self._decoding.finish(exchange)
        if connection is None:
            return
        exchange.connection = None
        self._reads.carry(connection.sock, None)
        fit = stream.reusable and not connection.unsent and not (connection.tls and connection.tls.clean_end)
        if not fit or not self._pool.give(connection, now_ns()):
            self._drop(connection)

    def _stop(self, exchange: Exchange, reason: CloseReason, at_ns: int, error: str | None) -> None:
        """End an exchange that is not whole, and its connection with it."""
        connection, exchange.connection = exchange.connection, None
        if connection is not None:
            self._drop(connection)
        exchange.end(reason, at_ns, error)
        self._decoding.finish(exchange)

    def hand_back(self, exchange: Exchange) -> None:
        """It is decoded to its end: the worker gets its record."""
        del self._open[exchange.ticket]
        self._channel.put(Kind.FINISHED, exchange.finished())
        self._deltas += exchange.stream.deltas

    # -- time

    def set_timer(self, exchange: Exchange) -> None:
        self._timers.set(exchange)

    def _expire(self, exchange: Exchange, now: int) -> None:
        while self._decoding.slice(exchange):
            pass  # what has arrived counts before the deadline does
        due_ns, reason, words = exchange.due()
        if exchange.over:
            return
        if due_ns > now:
            self.set_timer(exchange)
        elif reason == "ended":
            self._stop(exchange, reason, exchange.stream.transcript.last_event_ns or now, None)
        else:
            self._stop(exchange, reason, now, words)

    def _sweep(self, now: int) -> None:
        """Ten times a second: streams with bytes worth decoding. Once a second: counts, old connections, garbage."""
        self._next_sweep_ns = now + _SWEEP_NS
        self._sweeps += 1
        self._reads.note()
        full = self._sweeps % _SWEEPS_A_SECOND == 0
        self._decoding.look_through(self._open.values(), full)
        if full:
            for connection in self._pool.expired(now):
                self._drop(connection)
            gc.collect(0)
            self._report(now)

    def _report(self, now: int) -> None:
        if not self._channel.unsent:  # a worker that does not listen needs no old counts
            awaiting = sum(exchange.awaiting_first for exchange in self._open.values())
            deltas = self._deltas + sum(exchange.stream.deltas for exchange in self._open.values())
            self._channel.put(Kind.LIVE, Live(now, len(self._open), awaiting, deltas, self._pauses.so_far()))

    def _flush_channel(self) -> None:
        self._channel.flush()
        mask = _READABLE | (_WRITABLE if self._channel.unsent else 0)
        self._control.modify(self._channel.fd, mask)
        if not self._channel.open:
            self._running = False
