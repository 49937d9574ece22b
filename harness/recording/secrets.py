"""Secrets of the target are run with, never recorded: a marker stands in their place.

What is a secret, of what `target.yaml` holds:
- an attribute of a tenant, a variable of an environment, a header, or a key of a request's body, whose name has one of
  the words secret, password, passwd, passphrase, token, credential(s), authorization, cookie, dsn or key
  (`client_secret`, `API_KEY`, `clientSecret`, `x-api-key`; not `monkey`);
- the user's part of a URL with a password, in any text (`postgres://user:password@host`);
- the same value wherever else it stands in the document, if it has eight characters or more.
A value with a placeholder (`"{tenant.secret}"`, `"Bearer {token}"`) is none: it only says where the secret comes from.
"""

import re
from collections.abc import Iterator
from typing import Any

MARKER = "[secret]"
_WORDS = frozenset(
    {"secret", "secrets", "password", "passwd", "passphrase", "token", "credential", "credentials"}
    | {"authorization", "cookie", "dsn", "key", "apikey", "accesskey", "privatekey"}
)
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_PLACEHOLDER = re.compile(r"\{[A-Za-z_][^{}]*\}")
_URL_PASSWORD = re.compile(r"(?P<before>\b[a-z][a-z0-9+.-]*://[^/\s:@]*:)(?P<password>[^/\s@{}]+)(?=@)")
_LONG_ENOUGH = 8
_PLACES = frozenset(("env", "environment", "header", "headers", "body"))


def is_secret_name(name: str) -> bool:
    """Say whether what goes by this name is a secret."""
    return any(part.lower() in _WORDS for part in _PART.findall(name))


def without_secrets(document: dict[str, Any]) -> dict[str, Any]:
    """Return run.json's document with the marker in the place of every secret of its plan."""
    places = list(_places(document["plan"]))
    found = {value for place in places for _, _, value in _secret_entries(place)}
    names = set(_names(document["plan"]))
    everywhere = [value for value in found if len(value) >= _LONG_ENOUGH and value not in names]
    replaced: dict[str, Any] = _replaced(document, sorted(everywhere, key=len, reverse=True))
    for place in _places(replaced["plan"]):
        for holder, key, _ in list(_secret_entries(place)):
            holder[key] = MARKER
    return replaced


def _places(part: Any, name: str = "") -> Iterator[Any]:
    """Yield every part of a plan in which names say what is a secret."""
    if name in _PLACES and isinstance(part, dict | list):
        yield part
    elif name == "tenants" and isinstance(part, dict):
        yield from part.values()
    elif isinstance(part, dict):
        for key, value in part.items():
            yield from _places(value, key)
    elif isinstance(part, list):
        for value in part:
            yield from _places(value)


def _names(part: Any) -> Iterator[str]:
    """Yield every key: other parts of the plan refer to them."""
    if isinstance(part, dict):
        yield from part
    for value in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _names(value)


def _secret_entries(place: Any) -> Iterator[tuple[Any, Any, str]]:
    """Yield (holder, key, value) of each secret below *place*."""
    if isinstance(place, list):
        for item in place:
            yield from _secret_entries(item)
    if isinstance(place, dict):
        for key, value in place.items():
            if isinstance(value, dict | list):
                yield from _secret_entries(value)
            elif value not in (None, "", MARKER) and is_secret_name(str(key)) and not _is_reference(value):
                yield place, key, str(value)


def _is_reference(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, str) and _PLACEHOLDER.search(value) is not None)


def _replaced(part: Any, secrets: list[str]) -> Any:
    if isinstance(part, dict):
        return {key: _replaced(value, secrets) for key, value in part.items()}
    if isinstance(part, list):
        return [_replaced(value, secrets) for value in part]
    if not isinstance(part, str):
        return part
    for secret in secrets:
        part = part.replace(secret, MARKER)
    return _URL_PASSWORD.sub(rf"\g<before>{MARKER}", part)
