"""HTTP side of greetings; it has no data, so the domain is one dictionary."""

from aiohttp import web

from target_stack.kit.app import Route, Service
from target_stack.kit.errors import bad_request, json_answer
from target_stack.kit.toolbox import Toolbox

WORDS = {"de": "Guten Tag", "en": "Hello", "fr": "Bonjour"}


def build(toolbox: Toolbox) -> Service:
    """Wire the service."""

    async def greet(request: web.Request) -> web.Response:
        language = request.query.get("language", "en")
        if language not in WORDS:
            raise bad_request(f"language must be one of {', '.join(WORDS)}")
        return json_answer({"words": WORDS[language], "service": toolbox.settings.service})

    async def prepare() -> None:
        """There is nothing to wait for."""

    return Service((Route("GET", "/greetings", greet, role=None),), prepare, callers=("gateway",))
