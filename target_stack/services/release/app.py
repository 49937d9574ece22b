"""HTTP side of the release controller, and the loop that turns its decisions into the flag's share."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

from aiohttp import web
from prometheus_client import Counter, Gauge

from target_stack.kit.app import Route, Service, read_json
from target_stack.kit.client import Call, LinkError
from target_stack.kit.errors import bad_request, json_answer, not_found
from target_stack.kit.flags import FLAGS_PATH, flag_body, flags_of_platform
from target_stack.kit.protections import Protection
from target_stack.kit.toolbox import LinkPlan, Toolbox
from target_stack.services.release.domain import Phase, Rollout, parse_tally

NAME = "catalog"
ASK_FLAG, SHARE_FLAG = "catalog.release", "catalog.canary"
_LOOK_EVERY_S = 0.2


class Controller:
    """Drives the rollout of catalog; a controller that died half-way takes the new version back."""

    def __init__(self, toolbox: Toolbox) -> None:
        settings = toolbox.settings
        self._toolbox = toolbox
        self._flags = flags_of_platform(toolbox)
        url = settings.required("FLAGS_URL")
        self._setter = toolbox.client("flags", url, LinkPlan(attempt_timeout_s=0.5))
        self._rollout = Rollout(rolls_back=toolbox.is_on(Protection.AUTOMATED_ROLLBACK))
        folder = settings.environment.get("RELEASES_STORE")
        self._file = Path(folder) / f"{NAME}.json" if folder else None
        self._applied: int | None = None
        self._wanted = "idle"
        registry = toolbox.metrics.registry
        self._share = Gauge("resilience_release_percent", "Share of the new version", ["name"], registry=registry)
        self._rollbacks = Counter("resilience_release_rollbacks", "Rollbacks", ["name", "reason"], registry=registry)
        self._share.labels(NAME).set(0)
        for reason in ("errors", "latency", "content", "controller_restarted"):
            self._rollbacks.labels(NAME, reason)
        self._looping: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start driving."""
        await self._flags.start()
        if self._was_under_way():
            self._become(self._rollout.start(0.0).roll_back("controller_restarted"))
        self._looping = asyncio.create_task(self._loop(), name="drive release")

    async def close(self) -> None:
        """Stop driving; the share stays."""
        if self._looping is not None:
            self._looping.cancel()
        await self._flags.close()

    async def observe(self, request: web.Request) -> web.Response:
        """Take in what the gateway saw of both versions at the same time."""
        body = await read_json(request)
        try:
            canary, stable = parse_tally(body["canary"]), parse_tally(body["stable"])
        except (ValueError, TypeError, KeyError):
            raise bad_request("expected the tallies canary and stable") from None
        self._become(self._rollout.observe(canary, stable))
        await self._apply()
        return json_answer(self._state())

    async def show(self, request: web.Request) -> web.Response:
        """Answer with the state of the rollout."""
        if request.match_info["name"] != NAME:
            raise not_found("there is no such release")
        return json_answer(self._state())

    async def command(self, request: web.Request) -> web.Response:
        """Start or stop the rollout."""
        body = await read_json(request)
        action = body.get("action") if isinstance(body, dict) else None
        if action not in ("start", "stop"):
            raise bad_request('expected {"action": "start"} or "stop"')
        self._command(action)
        await self._apply()
        return json_answer(self._state(), status=202)

    async def _loop(self) -> None:
        while True:
            self._follow_flag()
            self._become(self._rollout.tick(self._toolbox.clock.monotonic_s()))
            await self._apply()
            await asyncio.sleep(_LOOK_EVERY_S)

    def _follow_flag(self) -> None:
        wanted = self._flags.text(ASK_FLAG, default="idle")
        if wanted != self._wanted:
            self._wanted = wanted
            self._command("start" if wanted == "start" else "stop")

    def _command(self, action: str) -> None:
        now_s = self._toolbox.clock.monotonic_s()
        self._become(self._rollout.start(now_s) if action == "start" else self._rollout.stop())

    def _become(self, rollout: Rollout) -> None:
        before, self._rollout = self._rollout, rollout
        if (before.phase, before.percent) == (rollout.phase, rollout.percent):
            return
        told = {"phase": rollout.phase.value, "percent": rollout.percent, "reason": rollout.reason}
        self._toolbox.log.info(f"release of {NAME}", **told)
        self._toolbox.tracing.note("release.changed", {"release.name": NAME, **told})
        if rollout.phase is Phase.ROLLED_BACK:
            self._rollbacks.labels(NAME, rollout.reason).inc()
        self._save()

    async def _apply(self) -> None:
        """Set the flag's share; what fails is tried again with the next look."""
        percent = self._rollout.percent
        if self._applied == percent:
            return
        path = f"{FLAGS_PATH}/{SHARE_FLAG}"
        call = Call("PUT", path, f"{FLAGS_PATH}/{{flag}}", body=flag_body(percent), idempotent=True)
        with contextlib.suppress(LinkError):
            answer = await self._setter.call(call)
            if answer.status == 200:
                self._applied = percent
                self._share.labels(NAME).set(percent)

    def _state(self) -> dict[str, Any]:
        rollout = self._rollout
        return {
            "name": NAME,
            "phase": rollout.phase.value,
            "percent": rollout.percent,
            "applied": self._applied,
            "reason": rollout.reason,
            "canary_requests": rollout.canary.requests,
            "canary_failures": rollout.canary.failures,
        }

    def _save(self) -> None:
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            aside = self._file.with_suffix(".aside")
            aside.write_text(json.dumps({"phase": self._rollout.phase.value}))
            aside.replace(self._file)

    def _was_under_way(self) -> bool:
        try:
            kept = json.loads(self._file.read_text()) if self._file is not None else {}
        except (OSError, ValueError):
            return False
        return bool(kept.get("phase") == Phase.RAMPING.value)


def build(toolbox: Toolbox) -> Service:
    """Wire the service."""
    controller = Controller(toolbox)
    routes = (
        Route("POST", "/observations", controller.observe, role=None, callers=("gateway",)),
        Route("GET", "/releases/{name}", controller.show, role=None, callers=("operator",)),
        Route("POST", "/releases/{name}", controller.command, role=None, success=202, callers=("operator",)),
    )
    return Service(routes, controller.open, controller.close)
