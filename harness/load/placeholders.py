"""The {placeholders} of steps, tokens and ledgers: found wrong before the load starts, filled in for each request."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any
from urllib.parse import quote

from harness.model.errors import UsageError
from harness.model.files.source import did_you_mean
from harness.model.files.target import Target, Tenant

_PLACEHOLDER = re.compile(r"\{(?P<name>[A-Za-z_]+)(?P<argument>[.:][^{}]*)?\}")
_RANGE = re.compile(r":(?P<low>-?\d+)-(?P<high>-?\d+)")


@dataclass(frozen=True, slots=True)
class Values:
    """What placeholders stand for, in one request."""

    tenant: str
    attributes: Mapping[str, str]  # of the tenant: {tenant.KEY}
    run_started_ns: int
    random: Random
    key: str = ""
    token: str = ""
    cursor: str = ""


Fill = Callable[[Values], str]

_COMMON = frozenset(("tenant", "tenant.KEY", "run_started", "number:1-200", "choice:a,b", "key"))
IN_STEP = _COMMON | {"token"}
IN_TOKEN_REQUEST = _COMMON
IN_LEDGER_KEY = frozenset(("tenant", "tenant.KEY", "run_started", "key"))
IN_LEDGER_PATH = frozenset(("tenant", "tenant.KEY", "run_started", "cursor", "token"))
IN_TOKEN_HEADER = frozenset(("tenant", "tenant.KEY", "token"))


def attributes_of(tenant: Tenant) -> dict[str, str]:
    """Return everything that the target file says of a tenant, as text."""
    return {"plan": tenant.plan} | {name: str(value) for name, value in (tenant.model_extra or {}).items()}


def fill(text: str, values: Values, *, in_url: bool = False) -> str:
    """Put values where placeholders are; *in_url* percent-encodes them. Other braces stay as they are."""
    parts = (part if isinstance(part, str) else _encoded(part(values), in_url) for part in _parse(text))
    return "".join(parts)


def fill_body(body: Any, values: Values) -> Any:
    """Fill in every text of a body. One that is nothing but {number:…} or {run_started} becomes a number."""
    if isinstance(body, str):
        whole = _PLACEHOLDER.fullmatch(body)
        text = fill(body, values)
        return int(text) if whole and whole["name"] in ("number", "run_started") else text
    if isinstance(body, Mapping):
        return {fill(str(name), values): fill_body(value, values) for name, value in body.items()}
    return [fill_body(item, values) for item in body] if isinstance(body, list) else body


def check_placeholders(target: Target) -> None:
    """Find what could not be filled in.

    Raises:
        UsageError: naming flow, step and field, one line each.
    """
    problems = [
        f"{where}: {problem}"
        for where, text, known in _texts(target)
        for match in _PLACEHOLDER.finditer(text)
        if (problem := _problem(match, known, target))
    ]
    if problems:
        raise UsageError("\n".join(dict.fromkeys(problems)), hint=f"in the target file of {target.name!r}")


def _texts(target: Target) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Walk through every text that may hold placeholders: where it stands, the text, what may stand in it."""
    for name, flow in target.flows.items():
        for step in flow.steps:
            at = f"flow {name!r}, step {step.name!r}"
            yield f"{at}, path", step.path, IN_STEP
            yield from ((f"{at}, header {h!r}", text, IN_STEP) for h, text in step.headers.items())
            yield from ((f"{at}, body", text, IN_STEP) for text in _texts_in(step.body))
            if step.ledger:
                yield f"{at}, ledger key", step.ledger.key, IN_LEDGER_KEY
    for name, ledger in target.ledgers.items():
        yield f"ledger {name!r}, path", ledger.path, IN_LEDGER_PATH
    if target.token:
        request = target.token.request
        yield "token, path", request.path, IN_TOKEN_REQUEST
        yield from ((f"token, request header {h!r}", text, IN_TOKEN_REQUEST) for h, text in request.headers.items())
        yield from (("token, body", text, IN_TOKEN_REQUEST) for text in _texts_in(request.body))
        yield from ((f"token, header {h!r}", text, IN_TOKEN_HEADER) for h, text in target.token.header.items())


def _texts_in(body: Any) -> Iterator[str]:
    if isinstance(body, str):
        yield body
    elif isinstance(body, Mapping):
        for name, value in body.items():
            yield str(name)
            yield from _texts_in(value)
    elif isinstance(body, list):
        for item in body:
            yield from _texts_in(item)


def _problem(match: re.Match[str], known: frozenset[str], target: Target) -> str | None:
    name, argument = match["name"], match["argument"] or ""
    forms = {form for form in known if re.split("[.:]", form)[0] == name}
    if not forms:
        near = did_you_mean(name, [re.split("[.:]", form)[0] for form in sorted(known)])
        return f"unknown placeholder {match[0]}{near}"
    if name == "tenant" and argument.startswith("."):
        return _lacking(argument[1:], target, match[0])
    if name == "number":
        span = _RANGE.fullmatch(argument)
        good = span is not None and int(span["low"]) <= int(span["high"])
    elif name == "choice":
        good = argument.startswith(":") and len(argument) > 1
    else:
        good = not argument
    return None if good else f"{match[0]} is not understood; it is written {{{'} or {'.join(sorted(forms))}}}"


def _lacking(key: str, target: Target, written: str) -> str | None:
    lacking = [name for name, tenant in target.tenants.items() if key not in attributes_of(tenant)]
    return f"{written}: tenant {', '.join(lacking)} has no {key!r}" if lacking else None


@lru_cache(maxsize=4096)
def _parse(text: str) -> tuple[str | Fill, ...]:
    """Split a text into literal parts and placeholders; done once for each text of the target."""
    parts: list[str | Fill] = []
    end = 0
    for match in _PLACEHOLDER.finditer(text):
        parts += [text[end : match.start()], _fill_of(match["name"], match["argument"] or "")]
        end = match.end()
    return (*parts, text[end:])


def _fill_of(name: str, argument: str) -> Fill:
    match name:
        case "tenant" if argument:
            return lambda values: values.attributes[argument[1:]]
        case "number":
            low, high = (int(n) for n in _RANGE.fullmatch(argument).groups())  # type: ignore[union-attr]
            return lambda values: str(values.random.randint(low, high))
        case "choice":
            choices = argument[1:].split(",")
            return lambda values: values.random.choice(choices)
        case "run_started":
            return lambda values: str(values.run_started_ns)
        case _:
            return lambda values: str(getattr(values, name))


def _encoded(text: str, in_url: bool) -> str:
    return quote(text, safe="") if in_url else text
