"""The history of the upstream's data, and from which moments an answer may be made."""

from __future__ import annotations

from chaos.oracle import ABSENT, PointHistory, Policy, Purge, Truth, settle

POLICY = Policy(
    trust_ratio=2.0, trust_max_ms=10_000, grace_ms=5_000, unread_ms=1, wait_ms=7_000, list_ms=0
)
NOW_MS = 1_000_000


def history(*changes: tuple[int, str | None, int]) -> PointHistory:
    """Return the history of a sample at 100 that was "1" from the beginning."""
    made = PointHistory()
    made.begin({100: "1"})
    for at_ms, value, moment_ms in changes:
        made.change(at_ms, value, began_ms=moment_ms, settled_ms=moment_ms + 10)
    return made


def test_a_sample_shows_what_it_was_at_any_moment_between() -> None:
    """Both values may be seen while the change is made, one before it and one after it."""
    made = history((100, "2", 500))
    assert ["1"] == made.visible(100, 0, 499)
    assert ["1", "2"] == made.visible(100, 0, 500)
    assert ["1", "2"] == made.visible(100, 510, 600)
    assert ["2"] == made.visible(100, 511, 600)


def test_a_change_that_is_being_made_ends_nothing() -> None:
    """Until the upstream has taken it, the old value may be read at any time."""
    made = history()
    version = made.change(100, "2", began_ms=500)
    assert ["1", "2"] == made.visible(100, 9_000, 9_001)
    settle([version], 9_500)
    assert ["2"] == made.visible(100, 9_501, 9_600)


def test_a_late_sample_was_absent_before() -> None:
    """A sample that came late may be missing from what was read before, and only from that."""
    made = history((200, "7", 500))
    assert [ABSENT] == made.visible(200, 0, 499)
    assert [ABSENT, "7"] == made.visible(200, 400, 600)
    assert ["7"] == made.visible(200, 600, 700)
    assert [100, 200] == list(made.times(0, 300))
    assert [200] == list(made.times(101, 201))


def test_a_time_without_any_sample_is_absent() -> None:
    """Nothing may be shown at a time that never had a sample."""
    assert [ABSENT] == history().visible(5, 0, 10**15)


def test_the_newest_samples_leave_out_what_vanished() -> None:
    """What the upstream is given is what is there now."""
    made = history((200, "7", 500))
    made.change(100, ABSENT, began_ms=600, settled_ms=600)
    assert {200: "7"} == made.newest()


def test_an_answer_may_be_as_old_as_its_samples_were_when_fetched() -> None:
    """Twice as old as a sample was, at most the longest trust; a stale answer is older still."""

    def since_ms(age_ms: int, *, is_stale: bool = False) -> int:
        return POLICY.since_ms(NOW_MS - age_ms, NOW_MS, is_stale=is_stale)

    # A second each for look-ups and clocks, and the time that a fetch may take.
    slack_ms = 9_000
    assert NOW_MS - 10_000 - slack_ms == since_ms(60_000)
    assert NOW_MS - 2_000 - slack_ms == since_ms(3_000)
    assert NOW_MS - slack_ms == since_ms(-1_000)
    assert since_ms(60_000) - 5_000 == since_ms(60_000, is_stale=True)


def test_a_purge_counts_for_what_it_names_once_it_is_acknowledged() -> None:
    """Nothing from before it may be shown, of its points and its range, to later requests."""
    truth = Truth(purges=[Purge("s", frozenset({"p"}), 100, 200, 5_000, 6_000)])
    assert 5_000 == truth.floor("s", "p", 6_001)(100)
    assert 0 == truth.floor("s", "p", 6_000)(100)
    assert 0 == truth.floor("s", "p", 6_001)(200)
    assert 0 == truth.floor("s", "q", 6_001)(100)
    assert 0 == truth.floor("t", "p", 6_001)(100)
    assert truth.was_purged("s", 199, 300, 6_000)
    assert not truth.was_purged("s", 200, 300, 6_000)
    assert not truth.was_purged("s", 199, 300, 6_001)


def test_a_point_may_be_unknown_while_a_list_without_it_may_be_kept() -> None:
    """A new point is unknown to who read the list before; one that never was, always."""
    truth = Truth()
    truth.existence["s", "p"] = PointHistory()
    truth.existence["s", "p"].change(0, "yes", began_ms=500, settled_ms=500)
    assert truth.may_be_unknown("s", "p", 500, 900)
    assert not truth.may_be_unknown("s", "p", 501, 900)
    assert truth.may_exist("s", "p", 501, 900)
    assert not truth.may_exist("s", "p", 0, 499)
    assert truth.may_be_unknown("s", "never", 0, 900)
    assert not truth.may_exist("s", "never", 0, 900)
