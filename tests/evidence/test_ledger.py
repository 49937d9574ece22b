"""The rules of the ledger against a slow, obvious reference, on random histories."""

from hypothesis import given
from hypothesis import strategies as st

from harness.evidence.ledger import (
    History,
    Read,
    Write,
    acknowledged_twice,
    duplicated,
    lost,
    recovered,
    refused_but_there,
    staleness_s,
    unexpected,
    vanished,
)
from harness.model.run.clock import NS_PER_S

KEYS = list("abcdef")
ENDS = ("ok", "fail", "unknown")

writes = st.lists(
    st.tuples(st.sampled_from(KEYS), st.sampled_from(ENDS), st.integers(0, 50), st.sampled_from([b"1", b"2", None]))
)
reads = st.lists(st.tuples(st.integers(51, 99), st.lists(st.sampled_from([*KEYS, "x"]), max_size=8), st.booleans()))


def history_of(written, read, before):
    kept = {end: {} for end in ENDS}
    for key, end, at_s, trace in written:
        kept[end].setdefault(key, []).append(Write(at_s * NS_PER_S, trace))
    invoked = {key: [Write(0, None)] for key, *_ in written}
    found = [Read(at_s * NS_PER_S, {k: keys.count(k) for k in keys}, done, len(keys)) for at_s, keys, done in read]
    return History("acme", invoked, kept["ok"], kept["fail"], kept["unknown"], before, found)


@given(writes, reads.map(lambda found: sorted(found, key=lambda r: r[0])), st.frozensets(st.sampled_from([*KEYS, "x"])))
def test_every_rule_agrees_with_its_plain_words(written, read, before):
    history = history_of(written, read, before)
    ended = {key: [e for k, e, *_ in written if k == key] for key in [*KEYS, "x"]}
    seen = {key for _, keys, _ in read for key in keys}
    last, last_is_complete = (read[-1][1], read[-1][2]) if read else ([], False)
    expected = {
        "lost": [k for k in KEYS if "ok" in ended[k] and last_is_complete and k not in last],
        "duplicated": [k for k in [*KEYS, "x"] if any(keys.count(k) > 1 for _, keys, _ in read)],
        "unexpected": [k for k in [*KEYS, "x"] if k in seen and not ended[k] and k not in before],
        "refused": [k for k in KEYS if ended[k] and set(ended[k]) == {"fail"} and k in seen],
        "recovered": [k for k in KEYS if "unknown" in ended[k] and "ok" not in ended[k] and k in last],
        "twice": [k for k in KEYS if len({trace for key, end, _, trace in written if key == k and end == "ok"}) > 1],
        "vanished": [
            k
            for k in [*KEYS, "x"]
            if any(
                k in earlier[1] and k not in later[1]
                for n, earlier in enumerate(read)
                for later in read[n + 1 :]
                if earlier[2] and later[2]
            )
        ],
    }
    assert expected == {
        "lost": lost(history),
        "duplicated": duplicated(history),
        "unexpected": unexpected(history),
        "refused": refused_but_there(history),
        "recovered": recovered(history),
        "twice": acknowledged_twice(history),
        "vanished": vanished(history),
    }


@given(writes, reads.map(lambda found: sorted(found, key=lambda r: r[0])))
def test_what_is_late_was_missing_once_and_is_there_from_then_on(written, read):
    for key, late_s in staleness_s(history_of(written, read, frozenset())).items():
        told_s = min(at_s for k, end, at_s, _ in written if k == key and end == "ok")
        back_s = told_s + late_s
        complete = [(at_s, keys) for at_s, keys, done in read if done and at_s > told_s]
        assert any(key not in keys for _, keys in complete)
        assert all(key in keys for at_s, keys in complete if at_s > back_s)
        assert any(key in keys for at_s, keys in complete if at_s == back_s)
