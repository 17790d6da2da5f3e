"""Payload of a call -> the secrets in its head, and text -> the same text without them."""

_CREDENTIALS = (b"authorization", b"apikey", b"api-key", b"token", b"secret", b"cookie")
_SHORTEST = 6  # a shorter value is no secret, and replacing it would tear ordinary words apart
_SCHEMES = frozenset({"bearer", "digest"})
_PUT_INSTEAD = "[key]"


def secrets_in(payload: bytes) -> tuple[str, ...]:
    """Values of credential headers; of "Bearer X" the X, since a server may echo that alone."""
    values = []
    head = payload[: payload.find(b"\r\n\r\n")]
    lowered = head.lower()
    if not any(word in lowered for word in _CREDENTIALS):
        return ()
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        name = name.lower()
        if any(word in name for word in _CREDENTIALS):
            values.append(value.decode("latin-1").strip())
    words = [word for value in values for word in value.split()]
    return tuple(word for word in words if len(word) >= _SHORTEST and word.lower() not in _SCHEMES)


def scrub(text: str, secrets: tuple[str, ...]) -> str:
    """The text with every secret replaced."""
    for secret in secrets:
        if secret in text:
            text = text.replace(secret, _PUT_INSTEAD)
    return text


def scrub_cut(text: str, secrets: tuple[str, ...]) -> str:
    """The same for a text that was cut off somewhere: an end which may be the beginning of a secret goes too."""
    text = scrub(text, secrets)
    for secret in secrets:
        for size in range(min(len(secret) - 1, len(text)), 3, -1):
            if text.endswith(secret[:size]):
                text = text[:-size] + _PUT_INSTEAD
                break
    return text
