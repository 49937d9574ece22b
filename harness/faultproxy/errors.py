"""Errors that the control API reports to its caller."""


class ApiError(Exception):
    """A request that cannot be served: Toxiproxy's message and HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


def bad_request_body(cause: str) -> ApiError:
    """The body is no JSON, or a value in it has the wrong type or range."""
    return ApiError(f"bad request body: {cause}", 400)


def missing_field(name: str) -> ApiError:
    """A required field is absent or empty."""
    return ApiError(f"missing required field: {name}", 400)


def proxy_not_found() -> ApiError:
    """No proxy has this name."""
    return ApiError("proxy not found", 404)


def proxy_exists() -> ApiError:
    """A proxy with this name is there already."""
    return ApiError("proxy already exists", 409)


def toxic_not_found() -> ApiError:
    """The proxy has no toxic of this name."""
    return ApiError("toxic not found", 404)


def toxic_exists() -> ApiError:
    """The proxy has a toxic of this name already."""
    return ApiError("toxic already exists", 409)


def rule_not_found() -> ApiError:
    """No rule has this name."""
    return ApiError("rule not found", 404)


def rule_exists() -> ApiError:
    """A rule, or a toxic of the same proxy, has this name already."""
    return ApiError("rule already exists", 409)


def invalid_stream() -> ApiError:
    """The direction is neither upstream nor downstream."""
    return ApiError("stream was invalid, can be either upstream or downstream", 400)


def invalid_toxic_type() -> ApiError:
    """No such toxic in the catalogue."""
    return ApiError("invalid toxic type", 400)


def cannot_listen(address: str, cause: str) -> ApiError:
    """The listening socket could not be opened; Toxiproxy reports this as 500."""
    return ApiError(f"listen tcp {address}: {cause}", 500)
