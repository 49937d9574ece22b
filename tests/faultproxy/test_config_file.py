"""The config file: what it takes, and where its mistakes are."""

import pytest

from harness.faultproxy.config_file import ConfigError, parse_config, read_config

GOOD = '{"name": "a", "listen": "127.0.0.1:0", "upstream": "localhost:1"}'


def test_proxies_in_order_with_their_toxics():
    text = f'[{GOOD}, {{"name": "b", "upstream": "localhost:2", "toxics": [{{"type": "noop"}}], "enabled": false}}]'
    first, second = parse_config(text, "f")
    assert (first.name, first.toxics, first.enabled) == ("a", (), True)
    assert (second.name, [toxic.name for toxic in second.toxics], second.enabled) == ("b", ["noop_downstream"], False)


@pytest.mark.parametrize("text", ["[]", " [ ] ", f"[{GOOD}] and what follows"])
def test_an_array_is_enough(text):
    assert len(parse_config(text, "f")) == text.count("name")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "f:1:1: a JSON array of proxies"),
        (GOOD, "f:1:1: a JSON array of proxies"),
        ("[\n  {,}\n]", "f:2:4: Expecting property name enclosed in double quotes"),
        (f"[\n{GOOD}\n{GOOD}]", "f:3:1: Expecting ',' delimiter"),
        (f'[{GOOD},\n   {{"name": "b"}}]', "f:2:4: missing required field: upstream"),
        ('[\n\n {"upstream": "localhost:1"}]', "f:3:2: missing required field: name"),
        ('[{"name": "a", "upstream": "b:1", "toxics": [{"type": "none"}]}]', "f:1:2: invalid toxic type"),
        (f"[{GOOD}, {GOOD}]", "f: bad request body: duplicate proxy name 'a'"),
        ("[" * 100_000, "f: nested too deeply"),
    ],
)
def test_a_mistake_is_told_with_its_place(text, complaint):
    with pytest.raises(ConfigError) as raised:
        parse_config(text, "f")
    assert str(raised.value) == complaint


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.json: No such file or directory"):
        read_config(tmp_path / "none.json")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"binary: .*codec can't decode"):
        read_config(tmp_path / "binary")
