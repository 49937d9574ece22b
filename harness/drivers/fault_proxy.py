"""The embedded fault proxy as a process of the run, with one proxy for each link."""

import asyncio
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from harness.drivers.process import Launch, Nursery, Running, exit_words, tail_of
from harness.model.errors import TargetError
from harness.model.files.target import Protocol, Target, ends_of

NAME = "fault-proxy"
_START_LIMIT_S = 15.0


async def start_proxy(
    nursery: Nursery, *, host: str, seed: int, log: Path, environment: Mapping[str, str]
) -> tuple[Running, str]:
    """Start the proxy; return it and its API's host:port, which it chose itself.

    Raises:
        TargetError: it does not say where it listens.
    """
    command = [sys.executable, "-m", "harness.faultproxy", "--host", host, "--port", "0", "--seed", str(seed)]
    launch = Launch(NAME, command, environment, log, stdout=asyncio.subprocess.PIPE)
    running = await nursery.start(launch)
    assert running.process.stdout is not None
    try:
        line = await asyncio.wait_for(running.process.stdout.readline(), _START_LIMIT_S)
        api = str(json.loads(line)["api"])
        running.is_starting = False
        return running, api
    except (TimeoutError, ValueError, KeyError):
        await asyncio.wait([asyncio.create_task(running.ended.wait())], timeout=1)
        how = exit_words(running.code) if running.code is not None else f"says nothing for {_START_LIMIT_S:g}s"
        last = "\n  ".join(tail_of(log))
        msg = f"the fault proxy {how}\n  {last}" if last else f"the fault proxy {how}"
        raise TargetError(msg, hint=f"its log is {log}") from None


async def make_links(api: str, upstreams: Mapping[str, str], *, host: str) -> dict[str, str]:
    """Create a proxy at *host* for each link to its upstream address; return the address at which each listens."""
    wanted = [{"name": name, "listen": f"{host}:0", "upstream": upstream} for name, upstream in upstreams.items()]
    answer = await _call("POST", f"http://{api}/populate", wanted)
    return {proxy["name"]: proxy["listen"] for proxy in answer["proxies"]}


async def describe_links(api: str, target: Target, links: Iterable[str], identities: str | None) -> None:
    """Tell the proxy how *links* are spoken and whose identities they use, so that it can see single requests.

    *identities* is the folder of each {service}'s identity; they may be written later than this is told.
    """
    for name in links:
        speaks = target.links[name].speaks
        if speaks not in (Protocol.HTTP, Protocol.HTTPS):
            continue
        caller, callee = ends_of(name)
        about: dict[str, object] = {"protocol": speaks.value, "tenant": _how_tenants_are_named(target)}
        if speaks is Protocol.HTTPS and identities is not None:
            folders = {
                end: identities.replace("{service}", who) for end, who in (("caller", caller), ("callee", callee))
            }
            about |= {"caller": caller, "callee": callee, "identities": folders}
        await _call("PUT", f"http://{api}/harness/links/{quote(name, safe='')}", about)


def _how_tenants_are_named(target: Target) -> dict[str, str]:
    named = {"header": target.tenant_header, "claim": target.tenant_claim}
    return {where: name for where, name in named.items() if name}


async def move_upstream(api: str, link: str, upstream: str) -> None:
    """Let a link lead to another address; callers keep theirs."""
    await _call("POST", f"http://{api}/proxies/{link}", {"upstream": upstream})


async def faults_in(api: str) -> list[str]:
    """Return in words every fault that the proxy at *api* holds now; TargetError where it does not answer."""
    proxies = await _call("GET", f"http://{api}/proxies", None)
    rules = await _call("GET", f"http://{api}/harness/rules", None)
    found = [f"{name} is down" for name, proxy in proxies.items() if not proxy["enabled"]]
    found += [f"{name}: {toxic['type']}" for name, proxy in proxies.items() for toxic in proxy["toxics"]]
    return found + [f"rule {rule.get('name')}" for rule in rules]


async def _call(method: str, url: str, body: object) -> Any:
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_START_LIMIT_S)) as client,
            client.request(method, url, json=body) as answer,
        ):
            content = await answer.json(content_type=None)
            if answer.status < 400:
                return content
            msg = f"the fault proxy refuses {method} {url}: {answer.status} {content}"
    except (aiohttp.ClientError, TimeoutError, ValueError) as problem:
        msg = f"the fault proxy does not answer {method} {url}: {str(problem) or type(problem).__name__}"
    raise TargetError(msg, hint="its log is in logs-raw/fault-proxy.log of the recording")
