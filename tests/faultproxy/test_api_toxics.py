"""Toxiproxy's contract: toxics."""

import pytest

DEFAULTS = {
    "noop": {},
    "latency": {"latency": 0, "jitter": 0},
    "bandwidth": {"rate": 0},
    "slow_close": {"delay": 0},
    "timeout": {"timeout": 0},
    "reset_peer": {"timeout": 0},
    "limit_data": {"bytes": 0},
}
SLICER = {"average_size": 10, "size_variation": 2, "delay": 3}
NAMES = {"latency": "latency", "bandwidth": "rate", "slow_close": "delay", "timeout": "timeout",
         "reset_peer": "timeout", "limit_data": "bytes", "slicer": "delay"}  # fmt: skip


def shown(kind, attributes, *, name=None, stream="downstream", toxicity=1):
    name = name or f"{kind}_{stream}"
    return {"name": name, "type": kind, "stream": stream, "toxicity": toxicity, "attributes": attributes}


def error(text, status):
    return {"error": text, "status": status}


@pytest.mark.parametrize(("kind", "defaults"), DEFAULTS.items())
def test_every_toxic_has_defaults(link, api, kind, defaults):
    reply = api.post(f"{link.path}/toxics", {"type": kind})
    assert (reply.status, reply.content_type, reply.json) == (200, "application/json", shown(kind, defaults))
    assert api.get(f"{link.path}/toxics").json == [shown(kind, defaults)]
    assert api.get(f"{link.path}/toxics/{kind}_downstream").json == shown(kind, defaults)


def test_everything_given_is_kept(link, api):
    body = shown("slicer", SLICER, name="cut", stream="upstream", toxicity=0.25)
    assert api.post(f"{link.path}/toxics", body).json == body
    assert api.get(link.path).json["toxics"] == [body]


def test_nulls_and_unknown_attributes_are_ignored(link, api):
    body = {"type": "latency", "name": None, "attributes": {"latency": None, "Jitter": 4, "colour": "red"}}
    assert api.post(f"{link.path}/toxics", body).json == shown("latency", {"latency": 0, "jitter": 4})


def test_upstream_toxics_are_listed_first_each_in_order_of_insertion(link, api):
    for name, stream in (("d1", "downstream"), ("u1", "upstream"), ("d0", "downstream"), ("u0", "upstream")):
        api.post(f"{link.path}/toxics", {"type": "noop", "name": name, "stream": stream})
    assert [toxic["name"] for toxic in api.get(f"{link.path}/toxics").json] == ["u1", "u0", "d1", "d0"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"type": "none"}, "invalid toxic type"),
        ({}, "invalid toxic type"),
        ({"type": "latency", "stream": "sideways"}, "stream was invalid, can be either upstream or downstream"),
        ({"type": "latency", "stream": ""}, "stream was invalid, can be either upstream or downstream"),
        (None, "bad request body: EOF"),
    ],
)
def test_unknown_toxics_are_refused(link, api, body, message):
    reply = api.post(f"{link.path}/toxics", body)
    assert (reply.status, reply.json) == (400, error(message, 400))
    assert api.get(f"{link.path}/toxics").json == []


@pytest.mark.parametrize("value", ["5", 1.5, [], {}, True, 1e3, 2**80])
def test_attributes_must_be_whole_numbers(link, api, value):
    reply = api.post(f"{link.path}/toxics", {"type": "latency", "attributes": {"latency": value}})
    assert (reply.status, reply.json["status"]) == (400, 400)
    assert reply.json["error"].startswith("bad request body: ")
    assert api.get(f"{link.path}/toxics").json == []


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"type": 7}', b'{"type": "noop", "attributes": 3}'])
def test_malformed_toxics_are_refused(link, api, body):
    assert api.post(f"{link.path}/toxics", body).status == 400
    assert api.get(f"{link.path}/toxics").json == []


@pytest.mark.better_than_toxiproxy("they end or stall the process")
@pytest.mark.parametrize(("kind", "attribute"), NAMES.items())
@pytest.mark.parametrize("value", [-1, 2**63 - 1])
def test_attributes_that_crash_or_hang_toxiproxy_are_refused(link, api, kind, attribute, value):
    attributes = (SLICER if kind == "slicer" else {}) | {attribute: value}
    reply = api.post(f"{link.path}/toxics", {"type": kind, "attributes": attributes})
    assert (reply.status, api.get(f"{link.path}/toxics").json) == (400, [])


@pytest.mark.better_than_toxiproxy("they end the process")
@pytest.mark.parametrize("attributes", [{}, {"average_size": 0}, {"average_size": 5, "size_variation": 6}])
def test_slices_that_cannot_be_cut_are_refused(link, api, attributes):
    assert api.post(f"{link.path}/toxics", {"type": "slicer", "attributes": attributes}).status == 400


@pytest.mark.better_than_toxiproxy("it takes any number")
@pytest.mark.parametrize("toxicity", [-0.1, 1.1, "1", True, 10**400])
def test_toxicity_is_a_fraction(link, api, toxicity):
    assert api.post(f"{link.path}/toxics", {"type": "noop", "toxicity": toxicity}).status == 400


def test_names_are_unique_over_both_directions(link, api):
    api.post(f"{link.path}/toxics", {"type": "noop", "name": "a"})
    reply = api.post(f"{link.path}/toxics", {"type": "latency", "name": "a", "stream": "upstream"})
    assert (reply.status, reply.json) == (409, error("toxic already exists", 409))


def test_a_taken_name_is_noticed_before_bad_attributes(link, api):
    link.add("latency")
    reply = api.post(f"{link.path}/toxics", {"type": "latency", "attributes": {"latency": 1.5}})
    assert reply.status == 409


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_update_changes_only_what_it_names(link, api, method):
    path = link.add("latency", latency=100, jitter=10)
    reply = api.call(method, path, {"attributes": {"latency": 7}})
    assert (reply.status, reply.json) == (200, shown("latency", {"latency": 7, "jitter": 10}))
    reply = api.call(method, path, {"toxicity": 0.5})
    assert reply.json == shown("latency", {"latency": 7, "jitter": 10}, toxicity=0.5)
    assert api.get(path).json == reply.json


def test_update_ignores_name_type_and_stream(link, api):
    path = link.add("latency", latency=1)
    body = {"name": "other", "type": "noop", "stream": "upstream"}
    assert api.patch(path, body).json == shown("latency", {"latency": 1, "jitter": 0})


@pytest.mark.parametrize(
    "change", [{"attributes": {"latency": "x"}}, {"attributes": {"latency": 5, "jitter": 0.5}}, {"toxicity": "x"}, []]
)
def test_failed_update_changes_nothing(link, api, change):
    path = link.add("latency", latency=100, jitter=10)
    assert api.patch(path, change).status == 400
    assert api.get(path).json == shown("latency", {"latency": 100, "jitter": 10})


def test_removed_toxic_is_gone(link, api):
    path = link.add("latency")
    reply = api.delete(path)
    assert (reply.status, reply.body) == (204, b"")
    assert (api.get(path).status, api.get(f"{link.path}/toxics").json) == (404, [])


def test_unknown_toxic_and_unknown_proxy_are_told_apart(link, api):
    for reply in (
        api.get(f"{link.path}/toxics/x"),
        api.patch(f"{link.path}/toxics/x", {}),
        api.delete(f"{link.path}/toxics/x"),
    ):
        assert (reply.status, reply.json) == (404, error("toxic not found", 404))
    for reply in (api.get("/proxies/x/toxics"), api.post("/proxies/x/toxics", {}), api.delete("/proxies/x/toxics/y")):
        assert (reply.status, reply.json) == (404, error("proxy not found", 404))


def test_toxics_survive_disabling(link, api):
    link.add("latency", latency=3)
    api.patch(link.path, {"enabled": False})
    api.patch(link.path, {"enabled": True})
    assert api.get(link.path).json["toxics"] == [shown("latency", {"latency": 3, "jitter": 0})]
