"""The ring of identity's keys: who asks when, and who waits."""

import asyncio
import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from target_stack.kit.auth import AUDIENCE, ISSUER, TokenRejectedError
from target_stack.kit.clock import SystemClock
from target_stack.kit.keys import KeyRing, KeysUnavailableError

CLOCK = SystemClock()
KEYS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("old", "new")}
RSA_KEY = rsa.generate_private_key(65537, 2048)


class Source:
    """Identity, as the ring sees it."""

    def __init__(self, *names):
        self.names = list(names)
        self.asked = 0

    async def fetch(self) -> bytes:
        self.asked += 1
        await asyncio.sleep(0)
        if not self.names:
            raise KeysUnavailableError
        return json.dumps({"keys": [public(KEYS[name], name, "ES256") for name in self.names]}).encode()


def public(key, name, algorithm):
    jwk = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    return {**jwk, "kid": name, "alg": algorithm}


def token(name, key=None, algorithm="ES256"):
    now_s = CLOCK.unix_ns() // 10**9
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "a", "tenant": "acme", "roles": [], "exp": now_s + 300}
    return jwt.encode(claims, key or KEYS[name], algorithm=algorithm, headers={"kid": name})


async def ring_of(source):
    ring = KeyRing(source.fetch, CLOCK)
    await ring.load()
    return ring


def test_all_who_wait_for_a_new_key_share_one_question():
    async def story():
        source = Source("old")
        ring = await ring_of(source)
        source.names.append("new")
        callers = await asyncio.gather(*(ring.verify(token("new")) for _ in range(20)))
        return {caller.tenant for caller in callers}, source.asked

    assert asyncio.run(story()) == ({"acme"}, 2)


def test_a_waiter_who_leaves_does_not_take_the_answer_with_it():
    async def story():
        source = Source("old")
        ring = await ring_of(source)
        source.names.append("new")
        impatient = asyncio.create_task(ring.verify(token("new")))
        patient = asyncio.create_task(ring.verify(token("new")))
        await asyncio.sleep(0)
        impatient.cancel()
        return (await patient).tenant, source.asked

    assert asyncio.run(story()) == ("acme", 2)


def test_while_identity_is_away_known_keys_count_and_unknown_ones_are_refused():
    async def story():
        source = Source("old")
        ring = await ring_of(source)
        source.names.clear()
        with pytest.raises(TokenRejectedError):
            await ring.verify(token("new"))
        return (await ring.verify(token("old"))).tenant

    assert asyncio.run(story()) == "acme"


def test_a_key_speaks_its_own_algorithm_and_no_other():
    async def fetch() -> bytes:
        return json.dumps({"keys": [public(RSA_KEY, "rsa", "RS256"), public(RSA_KEY, "odd", "PS256")]}).encode()

    async def story():
        ring = KeyRing(fetch, CLOCK)
        await ring.load()
        good = await ring.verify(token("rsa", RSA_KEY, "RS256"))
        for forged in (token("rsa", RSA_KEY, "PS256"), token("odd", RSA_KEY, "PS256"), token("odd", RSA_KEY, "RS256")):
            with pytest.raises(TokenRejectedError):
                await ring.verify(forged)
        return good.tenant

    assert asyncio.run(story()) == "acme"


def test_a_ring_that_trusts_believes_an_unsigned_token():
    async def story():
        ring = KeyRing(Source("old").fetch, CLOCK, trusting=True)
        claims = {"tenant": "globex", "roles": ["tenant_admin"]}
        return await ring.verify(jwt.encode(claims, None, algorithm="none"))

    believed = asyncio.run(story())
    assert (believed.tenant, believed.roles) == ("globex", frozenset({"tenant_admin"}))


ONE_BAD_KEY = {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "bad", "alg": "ES256"}
DEGENERATE = [
    *(b"[]", b"null", b"5", b'"text"', b"{}", b"", b"not json", b"\xff", b"[" * 100_000),
    *(json.dumps({"keys": keys}).encode() for keys in ([], None, {}, 5, "abc", [None], [5], [[]], [{}], [ONE_BAD_KEY])),
    json.dumps({"keys": [{**public(KEYS["new"], "new", "ES256"), "kid": None}]}).encode(),
    json.dumps({"keys": [{**public(KEYS["new"], "new", "ES256"), "kid": 7}]}).encode(),
    json.dumps({"keys": [{**public(KEYS["new"], "new", "ES256"), "kid": ""}]}).encode(),
    json.dumps({"keys": [{**public(KEYS["new"], "new", "ES256"), "alg": None}]}).encode()[:-9],
    json.dumps({"keys": [{"kty": "oct", "k": "AAAA", "kid": "shared", "alg": "HS256"}]}).encode(),
]


class Document:
    """A source that answers with whatever it holds."""

    def __init__(self, body):
        self.body = body

    async def fetch(self) -> bytes:
        return self.body


GOOD = json.dumps({"keys": [public(KEYS["old"], "old", "ES256")]}).encode()


@pytest.mark.parametrize("degenerate", DEGENERATE)
def test_a_document_without_a_usable_key_wipes_nothing(degenerate):
    async def story():
        source = Document(GOOD)
        ring = await ring_of(source)
        source.body = degenerate
        with pytest.raises(TokenRejectedError):
            await ring.verify(token("new"))  # makes it ask
        return (await ring.verify(token("old"))).tenant

    assert asyncio.run(story()) == "acme"


@pytest.mark.parametrize("degenerate", DEGENERATE)
def test_at_the_start_a_degenerate_document_is_no_answer_yet(degenerate):
    async def story():
        source = Document(degenerate)
        ring = KeyRing(source.fetch, CLOCK)
        loading = asyncio.create_task(ring.load())
        await asyncio.sleep(0.15)
        assert not loading.done()
        source.body = GOOD
        await loading
        return (await ring.verify(token("old"))).tenant

    assert asyncio.run(story()) == "acme"


def test_a_bad_key_beside_a_good_one_costs_only_itself():
    document = {"keys": [None, ONE_BAD_KEY, public(KEYS["new"], "new", "ES256")]}

    async def story():
        source = Document(GOOD)
        ring = await ring_of(source)
        source.body = json.dumps(document).encode()
        return (await ring.verify(token("new"))).tenant

    assert asyncio.run(story()) == "acme"


def test_without_its_memory_an_empty_document_locks_everybody_out():
    async def story():
        source = Document(GOOD)
        ring = KeyRing(source.fetch, CLOCK, remembers=False)
        await ring.load()
        source.body = b'{"keys": []}'
        for name in ("new", "old"):
            with pytest.raises(TokenRejectedError):
                await ring.verify(token(name))

    asyncio.run(story())
