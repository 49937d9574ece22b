"""Reading a page as a browser without scripts would: its text, its elements, its addresses."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

INLINE = {"a", "b", "code", "i", "small", "span", "time"}
VOID = {"meta", "br", "path", "link", "img", "hr", "input"}


@dataclass
class Page(HTMLParser):
    """What a page holds; `unbalanced` lists closing tags that close nothing."""

    source: str
    text: str = ""
    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    unbalanced: list[str] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.source)
        self.close()
        self.unbalanced += self._open
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.text += "" if tag in INLINE else " "
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if self._open and self._open[-1] == tag:
            self._open.pop()
        else:
            self.unbalanced.append(f"/{tag}")

    def handle_data(self, data):
        if not {"script", "style"} & set(self._open):
            self.text += data

    def of(self, tag: str, name: str | None = None) -> list[dict[str, str | None]]:
        """The attributes of all elements of a tag, optionally of a class."""
        return [a for t, a in self.elements if t == tag and (name is None or name in (a.get("class") or "").split())]

    @property
    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.elements if attributes.get("id")]

    def without_library(self) -> str:
        return re.sub(
            r'(<script type="application/octet-stream" id="plotly">).*?</script>', "", self.source, flags=re.S
        )
