"""The answer that a rule gives in the callee's place, as bytes."""

from http import HTTPStatus

from harness.faultproxy.http.actions import Answer

_BODILESS = (204, 304)


def encode_answer(answer: Answer, method: bytes, *, closes: bool) -> bytes:
    """Return head and body; a HEAD request gets the length that the body would have."""
    body = answer.body.encode("utf-8", "surrogatepass")
    lines = [f"HTTP/1.1 {answer.status} {_phrase(answer.status)}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    if answer.status not in _BODILESS:
        if body and not any(name.lower() == "content-type" for name in answer.headers):
            lines.append("Content-Type: text/plain; charset=utf-8")
        lines.append(f"Content-Length: {len(body)}")
    if closes:
        lines.append("Connection: close")
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return head if method == b"HEAD" or answer.status in _BODILESS else head + body


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Status"
