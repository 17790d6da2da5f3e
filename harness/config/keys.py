"""Endpoint -> its API key, from the one environment variable that its entry names; and what keeps keys out of text.

The only reader of key variables. A key is never stored in a value, a file, a log line or a process argument.
"""

import os
import re

from harness.errors import InputError, Mistake
from harness.providers import Endpoint

#: How the keys of well-known providers begin. Long enough after the prefix, so that a model's name is no key.
_KEY_SHAPE = re.compile(
    r"(?i:bearer\s+\S{8,})"
    r"|(?<![A-Za-z0-9])(?:sk-|gsk_|csk-|tgp_|fw_|hf_|xai-|nvapi-|pplx-|r8_|AIza|ghp_)[A-Za-z0-9_.\-]{8,}"
)
#: Fields that hold secrets elsewhere; here they are refused by name, whatever they hold.
_SECRET_FIELDS = frozenset(
    "api_key apikey key secret password passwd authorization proxy_authorization x_api_key bearer "
    "access_token auth_token token cookie credentials".split()
)
#: Capitals only: a pasted hexadecimal key must not pass as a variable's name and then be printed as one.
VARIABLE_NAME = re.compile(r"[A-Z_][A-Z0-9_]{0,63}", re.ASCII)
#: What may stand in an HTTP header value without being folded or cut.
_HEADER_SAFE = re.compile(r"[\x21-\x7e]+", re.ASCII)

HIDDEN = "a text that looks like a key (not shown)"
ADVICE = "no key in a file: export it, and write `api_key_env: NAME_OF_THE_VARIABLE`"


def read_key(endpoint: Endpoint) -> str | None:
    """The key of `endpoint`, or None where its entry names no variable. Never echoes what it found."""
    variable = endpoint.api_key_env
    if variable is None:
        return None
    key = os.environ.get(variable)
    problem = _problem(key)
    if problem:
        mistake = Mistake("environment", variable, problem, f"the API key of endpoint {endpoint.name}")
        raise InputError([mistake], hint=f"export {variable}=... in the shell that starts trueyield")
    return key


def _problem(key: str | None) -> str:
    if key is None:
        return "not set"
    if not key.strip():
        return "empty"
    if "\n" in key or "\r" in key:
        return "a value with a line break (not shown)"
    if not _HEADER_SAFE.fullmatch(key):
        return "a value with spaces or characters that no HTTP header may carry (not shown)"
    return ""


def scrub(text: str, key: str | None = None) -> str:
    """`text` without `key` and without anything that looks like one: for messages that quote a server or a file."""
    if key:
        text = text.replace(key, "[key]")
    return _KEY_SHAPE.sub("[key]", text)


def looks_like_key(text: str) -> bool:
    """True for a text that carries something shaped like a provider's key."""
    return _KEY_SHAPE.search(text) is not None


def is_secret_field(name: str) -> bool:
    """True for a field or header whose very name says that it holds a secret."""
    return name.lower().replace("-", "_") in _SECRET_FIELDS
