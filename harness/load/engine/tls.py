"""Ciphertext in, plaintext out: TLS on a memory BIO, so that the engine keeps the socket and its kernel stamps."""

import ssl

_contexts: dict[str | None, ssl.SSLContext] = {}


def context_for(ca_file: str | None) -> ssl.SSLContext:
    """One shared context per CA file (None: the system's). Verification is always on; HTTP/1.1 only."""
    if ca_file not in _contexts:
        context = ssl.create_default_context(cafile=ca_file)
        context.set_alpn_protocols(["http/1.1"])
        _contexts[ca_file] = context
    return _contexts[ca_file]


class Tls:
    """The TLS side of one connection."""

    __slots__ = ("_incoming", "_outgoing", "_session", "clean_end")

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self.clean_end = False  # the peer said that it had no more to send

    def handshake(self, ciphertext: bytes) -> bool:
        """One step; True when done. Raises ssl.SSLError, e.g. where the certificate does not hold."""
        self._incoming.write(ciphertext)
        try:
            self._session.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def encrypt(self, plaintext: bytes) -> bytes:
        """Ciphertext to send."""
        view = memoryview(plaintext)
        while view:
            view = view[self._session.write(view) :]
        return self._outgoing.read()

    def decrypt(self, ciphertext: bytes) -> bytes:
        """Plaintext of these bytes, b"" while a TLS record is unfinished. Raises ssl.SSLError."""
        self._incoming.write(ciphertext)
        most = len(ciphertext)
        pieces: list[bytes] = []
        try:
            while piece := self._session.read(most):
                if len(piece) < most and not self._incoming.pending:  # asking once more would raise: that costs more
                    if not pieces:
                        return piece  # nearly every read is one record
                    pieces.append(piece)
                    break
                pieces.append(piece)
            else:
                self.clean_end = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.clean_end = True
        return b"".join(pieces)

    def to_send(self) -> bytes:
        """What TLS itself wants to say: handshake messages, answers to key updates."""
        return self._outgoing.read() if self._outgoing.pending else b""
