"""Toxiproxy's contract: proxies, populate, reset, version, metrics."""

import http.client
import json
import socket

import pytest


def shown(name, listen, upstream, *, enabled=True, toxics=()):
    return {"name": name, "listen": listen, "upstream": upstream, "enabled": enabled, "toxics": list(toxics)}


def without_extras(proxy):
    """Toxiproxy 2.5 and later also shows a field "Logger" by accident."""
    return {name: value for name, value in proxy.items() if name != "Logger"}


def error(text, status):
    return {"error": text, "status": status}


def test_version_is_json(api):
    reply = api.get("/version")
    assert (reply.status, reply.content_type) == (200, "application/json;charset=utf-8")
    assert reply.json["version"].startswith("2.")


def test_no_proxies_are_an_empty_object(api):
    reply = api.get("/proxies")
    assert (reply.status, reply.content_type, reply.json) == (200, "application/json", {})


def test_created_proxy_shows_its_chosen_port_and_accepts(link, api):
    assert not link.listen.endswith(":0")
    assert without_extras(api.get(link.path).json) == shown("link", link.listen, link.upstream)
    client, server = link.open()
    client.send(b"hello")
    assert server.read(5) == b"hello"


def test_host_names_are_resolved_when_listening(api, free_port):
    listen = f"localhost:{free_port}"
    reply = api.post("/proxies", {"name": "a", "listen": listen, "upstream": "localhost:1"})
    assert reply.status == 201
    assert without_extras(reply.json) == shown("a", f"127.0.0.1:{free_port}", "localhost:1")


def test_proxy_without_host_listens_on_all_interfaces(api, free_port):
    reply = api.post("/proxies", {"name": "a", "listen": f":{free_port}", "upstream": "localhost:1"})
    assert (reply.status, reply.json["listen"]) == (201, f"[::]:{free_port}")


def test_disabled_proxy_keeps_its_listen_text_and_refuses(api, free_port):
    body = {"name": "a", "listen": f"localhost:{free_port}", "upstream": "localhost:1", "enabled": False}
    reply = api.post("/proxies", body)
    assert (reply.status, without_extras(reply.json)) == (201, shown("a", body["listen"], "localhost:1", enabled=False))
    with pytest.raises(ConnectionRefusedError):
        _dial(free_port)


def test_enabled_null_means_the_default(api):
    reply = api.post("/proxies", {"name": "a", "listen": "127.0.0.1:0", "upstream": "localhost:1", "enabled": None})
    assert (reply.status, reply.json["enabled"]) == (201, True)


def test_field_names_in_any_case_and_unknown_fields_are_taken(api):
    reply = api.post("/proxies", {"NAME": "a", "Listen": "127.0.0.1:0", "UpStream": "localhost:1", "colour": "red"})
    assert (reply.status, reply.json["name"], reply.json["upstream"]) == (201, "a", "localhost:1")


def test_only_the_first_json_value_counts(api):
    body = b'{"name": "a", "listen": "127.0.0.1:0", "upstream": "localhost:1"} trailing {'
    assert api.post("/proxies", body).status == 201


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "missing required field: name"),
        (None, "bad request body: EOF"),
        (b"null", "missing required field: name"),
        ({"name": ""}, "missing required field: name"),
        ({"name": "a"}, "missing required field: upstream"),
        ({"name": "a", "upstream": ""}, "missing required field: upstream"),
    ],
)
def test_incomplete_proxy_is_refused(api, body, message):
    reply = api.post("/proxies", body)
    assert (reply.status, reply.json) == (400, error(message, 400))
    assert api.get("/proxies").json == {}


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'"text"', b"{'name': 1}", b'{"name": 7, "upstream": "a:1"}', b'{"name": "a", "upstream": ["b"]}',
     b'{"name": "a", "upstream": "a:1", "enabled": "yes"}', b"\xff\xfe", b"[" * 100_000],
)  # fmt: skip
def test_malformed_proxy_is_refused(api, body):
    reply = api.post("/proxies", body)
    assert reply.status == 400
    assert reply.json["error"].startswith("bad request body: ")
    assert reply.json["status"] == 400
    assert api.get("/proxies").json == {}


def test_errors_are_json_sent_as_text(api):
    reply = api.get("/proxies/none")
    assert (reply.status, reply.content_type) == (404, "text/plain; charset=utf-8")
    assert reply.body == b'{"error":"proxy not found","status":404}\n'


def test_second_proxy_of_a_name_conflicts(link, api):
    reply = api.post("/proxies", {"name": "link", "listen": "127.0.0.1:0", "upstream": "localhost:1"})
    assert (reply.status, reply.json) == (409, error("proxy already exists", 409))
    assert api.get(link.path).json["upstream"] == link.upstream


def test_taken_port_is_a_server_error(link, api):
    reply = api.post("/proxies", {"name": "b", "listen": link.listen, "upstream": "localhost:1"})
    assert reply.status == 500
    assert reply.json == error(f"listen tcp {link.listen}: bind: address already in use", 500)
    assert list(api.get("/proxies").json) == ["link"]


@pytest.mark.parametrize(
    "listen", ["nowhere", "127.0.0.1:99999", "1.2.3.4:5:6", "192.0.2.1:0", "no.such.host.invalid:0"]
)
def test_impossible_listen_address_is_a_server_error(api, listen):
    reply = api.post("/proxies", {"name": "b", "listen": listen, "upstream": "localhost:1"})
    assert (reply.status, reply.json["status"]) == (500, 500)
    assert api.get("/proxies").json == {}


@pytest.mark.better_than_toxiproxy("it takes any text and fails at the first client")
@pytest.mark.parametrize("upstream", ["nowhere", "a:b:c", "host:", "host:65536"])
def test_upstream_that_is_no_address_is_refused_at_once(api, upstream):
    reply = api.post("/proxies", {"name": "b", "listen": "127.0.0.1:0", "upstream": upstream})
    assert (reply.status, api.get("/proxies").json) == (400, {})


def test_proxies_are_sorted_by_name(make_link, api):
    for name in ("b", "c", "a"):
        make_link(name)
    assert list(json.loads(api.get("/proxies").body)) == ["a", "b", "c"]


def test_names_may_hold_any_character_but_slash(api):
    created = api.post("/proxies", {"name": "päy ment?", "listen": "127.0.0.1:0", "upstream": "localhost:1"})
    assert created.status == 201
    assert api.get("/proxies/p%C3%A4y%20ment%3F").json["name"] == "päy ment?"
    assert api.delete("/proxies/p%C3%A4y%20ment%3F").status == 204


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_update_disables_and_enables_on_the_same_port(link, api, method):
    reply = api.call(method, link.path, {"enabled": False})
    assert (reply.status, without_extras(reply.json)) == (200, shown("link", link.listen, link.upstream, enabled=False))
    with pytest.raises(ConnectionRefusedError):
        link.dial()
    assert api.call(method, link.path, {"enabled": True}).json["listen"] == link.listen
    client, server = link.open()
    client.send(b"x")
    assert server.read(1) == b"x"


def test_disabling_closes_open_connections(link, api):
    client, server = link.open()
    api.patch(link.path, {"enabled": False})
    assert (client.ending(), server.ending()) == ("FIN", "FIN")


def test_empty_update_changes_nothing_and_keeps_connections(link, api):
    client, server = link.open()
    reply = api.patch(link.path, {})
    assert (reply.status, without_extras(reply.json)) == (200, shown("link", link.listen, link.upstream))
    client.send(b"still here")
    assert server.read(10) == b"still here"


def test_new_upstream_closes_connections_and_keeps_port_and_toxics(make_link, api):
    link, other = make_link("a"), make_link("b")
    link.add("latency", latency=0)
    client, server = link.open()
    reply = api.patch(link.path, {"upstream": other.upstream})
    assert (reply.json["listen"], reply.json["upstream"]) == (link.listen, other.upstream)
    assert [toxic["name"] for toxic in reply.json["toxics"]] == ["latency_downstream"]
    assert (client.ending(), server.ending()) == ("FIN", "FIN")
    again = link.dial()
    again.send(b"to b")
    assert other.accept().read(4) == b"to b"


def test_new_listen_address_moves_the_proxy(link, api):
    before = link.listen
    link.listen = api.patch(link.path, {"listen": "127.0.0.1:0"}).json["listen"]
    assert link.listen != before
    client, server = link.open()
    client.send(b"x")
    assert server.read(1) == b"x"
    with pytest.raises(ConnectionRefusedError):
        _dial(int(before.rpartition(":")[2]))


def test_update_cannot_rename(link, api):
    assert api.patch(link.path, {"name": "other"}).json["name"] == "link"


@pytest.mark.parametrize(
    "change", [{"enabled": 1}, {"listen": 3}, {"upstream": {}}, {"enabled": False, "upstream": 1}, []]
)
def test_malformed_update_changes_nothing(link, api, change):
    before = api.get(link.path).json
    assert (api.patch(link.path, change).status, api.get(link.path).json) == (400, before)


@pytest.mark.better_than_toxiproxy("it is left disabled, or with half of the update")
@pytest.mark.parametrize(
    "change", [{"listen": "taken"}, {"listen": "taken", "upstream": "localhost:1"}, {"listen": "x"}]
)
def test_update_that_cannot_listen_changes_nothing_and_keeps_connections(make_link, api, change):
    link, other = make_link("a"), make_link("b")
    client, server = link.open()
    before = api.get(link.path).json
    change = {name: other.listen if value == "taken" else value for name, value in change.items()}
    assert (api.patch(link.path, change).status, api.get(link.path).json) == (500, before)
    client.send(b"x")
    assert server.read(1) == b"x"
    link.open()


def test_proxy_can_widen_its_own_listen_address(link, api):
    port = link.listen.rpartition(":")[2]
    reply = api.patch(link.path, {"listen": f"0.0.0.0:{port}"})
    assert (reply.status, reply.json["listen"]) == (200, f"0.0.0.0:{port}")
    link.open()


def test_updating_or_deleting_nothing_is_not_found(api):
    for reply in (
        api.patch("/proxies/a", {}),
        api.post("/proxies/a", {}),
        api.delete("/proxies/a"),
        api.get("/proxies/a"),
    ):
        assert (reply.status, reply.json) == (404, error("proxy not found", 404))


def test_deleted_proxy_is_gone_with_its_connections_and_port(link, api):
    client, server = link.open()
    reply = api.delete(link.path)
    assert (reply.status, reply.body) == (204, b"")
    assert (client.ending(), server.ending()) == ("FIN", "FIN")
    assert api.get("/proxies").json == {}
    with pytest.raises(ConnectionRefusedError):
        link.dial()


def test_populate_creates_in_order_and_enables_by_default(api):
    body = [
        {"name": "b", "listen": "127.0.0.1:0", "upstream": "localhost:1"},
        {"name": "a", "listen": "127.0.0.1:0", "upstream": "localhost:2", "enabled": False},
    ]
    reply = api.post("/populate", body)
    assert (reply.status, reply.content_type) == (201, "application/json")
    assert [(proxy["name"], proxy["enabled"]) for proxy in reply.json["proxies"]] == [("b", True), ("a", False)]


def test_populate_keeps_a_matching_proxy_as_it_is(link, api):
    link.add("latency", latency=0)
    api.patch(link.path, {"enabled": False})
    reply = api.post("/populate", [{"name": "link", "listen": link.listen, "upstream": link.upstream}])
    (proxy,) = reply.json["proxies"]
    assert (reply.status, proxy["enabled"], len(proxy["toxics"])) == (201, False, 1)


def test_populate_replaces_a_proxy_that_differs_and_leaves_others_alone(make_link, api):
    link, other = make_link("a"), make_link("b")
    link.add("latency", latency=0)
    client, server = other.open()
    body = [{"name": "a", "listen": link.listen, "upstream": "localhost:1"}]
    (proxy,) = api.post("/populate", body).json["proxies"]
    assert without_extras(proxy) == shown("a", link.listen, "localhost:1")
    client.send(b"x")
    assert server.read(1) == b"x"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([{"name": "a", "upstream": "b:1"}, {"upstream": "b:1"}], "missing required field: name at proxy 2"),
        ([{"name": "a", "upstream": "b:1"}, {"name": "b"}], "missing required field: upstream at proxy 2"),
        (None, "bad request body: EOF"),
    ],
)
def test_incomplete_population_creates_nothing(api, body, message):
    reply = api.post("/populate", body)
    assert (reply.status, reply.json) == (400, {"error": message, "status": 400, "proxies": None})
    assert api.get("/proxies").json == {}


def test_population_that_cannot_listen_reports_the_error(link, api):
    body = [
        {"name": "a", "listen": "127.0.0.1:0", "upstream": "localhost:1"},
        {"name": "b", "listen": link.listen, "upstream": "localhost:1"},
    ]
    reply = api.post("/populate", body)
    assert (reply.status, reply.json["status"]) == (500, 500)
    assert list(api.get("/proxies").json) == ["a", "link"]


@pytest.mark.better_than_toxiproxy("the old proxy is gone")
def test_population_that_cannot_replace_keeps_the_old_proxy(make_link, api):
    link, other = make_link("a"), make_link("b")
    before = api.get(link.path).json
    reply = api.post("/populate", [{"name": "a", "listen": other.listen, "upstream": "localhost:1"}])
    assert (reply.status, api.get(link.path).json) == (500, before)
    link.open()


@pytest.mark.better_than_toxiproxy("it ignores them silently")
@pytest.mark.parametrize("path", ["/proxies", "/populate"])
def test_toxics_of_a_new_proxy_are_honoured(api, path):
    toxic = {"type": "latency", "attributes": {"latency": 5}}
    body = {"name": "a", "listen": "127.0.0.1:0", "upstream": "localhost:1", "toxics": [toxic]}
    assert api.post(path, body if path == "/proxies" else [body]).status == 201
    assert [toxic["name"] for toxic in api.get("/proxies/a/toxics").json] == ["latency_downstream"]


@pytest.mark.better_than_toxiproxy("it ignores them silently")
@pytest.mark.parametrize("toxics", [[{"type": "none"}], [{"type": "noop"}, {"type": "noop"}], "x", [7]])
def test_new_proxy_with_bad_toxics_is_refused_whole(api, toxics):
    body = {"name": "a", "listen": "127.0.0.1:0", "upstream": "localhost:1", "toxics": toxics}
    assert (api.post("/proxies", body).status, api.get("/proxies").json) == (400, {})


@pytest.mark.better_than_toxiproxy("the second one replaces the first")
def test_population_with_a_name_twice_is_refused_whole(api):
    proxy = {"name": "a", "listen": "127.0.0.1:0", "upstream": "localhost:1"}
    assert (api.post("/populate", [proxy, proxy]).status, api.get("/proxies").json) == (400, {})


def test_reset_removes_toxics_and_enables_proxies(link, api):
    link.add("latency", latency=10)
    link.add("timeout", stream="upstream", timeout=0)
    api.patch(link.path, {"enabled": False})
    reply = api.post("/reset")
    assert (reply.status, reply.body) == (204, b"")
    assert without_extras(api.get(link.path).json) == shown("link", link.listen, link.upstream)
    link.open()


@pytest.mark.better_than_toxiproxy("it stops there and leaves the rest broken")
def test_reset_goes_on_past_a_proxy_that_cannot_start(make_link, api):
    first, second = make_link("a"), make_link("b")
    api.patch(first.path, {"enabled": False, "listen": second.listen})
    second.add("latency", latency=10)
    assert api.post("/reset").status == 500
    assert api.get(second.path).json["toxics"] == []


def test_browsers_are_turned_away(api):
    reply = api.call("GET", "/proxies", headers={"User-Agent": "Mozilla/5.0 (X11)"})
    assert (reply.status, reply.body) == (403, b"User agent not allowed\n")


@pytest.mark.parametrize("path", ["/", "/nothing", "/proxies/", "/proxies/a/b", "/proxies/a/toxics/b/c"])
def test_unknown_paths_are_not_found(api, path):
    assert api.get(path).status == 404


@pytest.mark.parametrize(("method", "path"), [("PUT", "/proxies"), ("DELETE", "/reset"), ("GET", "/populate")])
def test_wrong_methods_are_not_allowed(api, method, path):
    assert api.call(method, path).status == 405


@pytest.mark.embedded
def test_metrics_count_live_connections(link, api):
    client, server = link.open()
    client.send(b"12345")
    assert server.read(5) == b"12345"
    labels = f'direction="upstream",listener="{link.listen}",proxy="link",upstream="{link.upstream}"'
    lines = api.get("/metrics").body.decode().splitlines()
    assert f"toxiproxy_proxy_received_bytes_total{{{labels}}} 5" in lines
    assert f"toxiproxy_proxy_sent_bytes_total{{{labels}}} 5" in lines


def test_chunked_request_bodies_are_read(api):
    body = iter([b'{"name": "a", "listen": "127.0.0.1:0",', b' "upstream": "localhost:1"}'])
    connection = http.client.HTTPConnection(api.address, timeout=20)
    connection.request("POST", "/proxies", body, {"Transfer-Encoding": "chunked"}, encode_chunked=True)
    assert connection.getresponse().status == 201
    connection.close()


def _dial(port):
    with socket.create_connection(("127.0.0.1", port), 20):
        pass
