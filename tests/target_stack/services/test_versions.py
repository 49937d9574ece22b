"""Sessions and the versions that they meet."""

from target_stack.services.gateway.versions import SessionsSeen


def test_a_session_that_meets_the_old_version_after_the_new_one_has_gone_back():
    sessions = SessionsSeen()
    assert not sessions.has_gone_back("acme/1", is_new=False)
    assert not sessions.has_gone_back("acme/1", is_new=True)
    assert not sessions.has_gone_back("globex/1", is_new=False)
    assert sessions.has_gone_back("acme/1", is_new=False)


def test_sessions_of_long_ago_are_forgotten():
    sessions = SessionsSeen(most=2)
    for name in ("first", "second", "third"):
        sessions.has_gone_back(name, is_new=True)
    assert [sessions.has_gone_back(name, is_new=False) for name in ("first", "second", "third")] == [False, True, True]
