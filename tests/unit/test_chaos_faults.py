"""Which failures a fault explains, and for how long."""

from __future__ import annotations

from chaos.faults import LINGER_MS, LINGER_QUOTA_MS, Window, Windows, begin, end
from demo.routes import Call
from fakes.upstream import FakeUpstream


def explaining(windows: Windows, site: str, since_ms: int, until_ms: int) -> list[Window]:
    """Return the windows that explain a failure of the upstream."""
    return windows.explaining("upstream", site, since_ms, until_ms)


def test_a_fault_explains_failures_of_its_site_and_time() -> None:
    """It does from its beginning to a little after its end, at its own site alone."""
    windows, upstream = Windows(), FakeUpstream()
    begin(upstream, windows, "500", "s", seed=1, now_ms=1_000)
    assert [] == explaining(windows, "s", 0, 999)
    assert explaining(windows, "s", 0, 1_000)
    assert [] == explaining(windows, "t", 0, 1_000)
    end(upstream, windows, "s", 2_000)
    assert explaining(windows, "s", 2_000 + LINGER_MS, 10**6)
    assert [] == explaining(windows, "s", 2_001 + LINGER_MS, 10**6)
    assert [] == windows.explaining("worker", "s", 0, 10**6)


def test_a_refusal_for_now_explains_failures_of_all_sites() -> None:
    """The Worker's quota is one for all sites, and recovers slowly; the other fault goes on."""
    windows, upstream = Windows(), FakeUpstream()
    begin(upstream, windows, "429", "s", seed=1, now_ms=1_000)
    begin(upstream, windows, "500", "t", seed=1, now_ms=1_000)
    end(upstream, windows, "s", 2_000)
    assert explaining(windows, "u", 2_000 + LINGER_QUOTA_MS, 10**6)
    assert [] == explaining(windows, "u", 2_001 + LINGER_QUOTA_MS, 10**6)
    assert explaining(windows, "t", 10**6, 10**6)


def test_a_habit_explains_nothing() -> None:
    """A wart that must not matter strikes every request, and excuses none."""
    windows, upstream = Windows(), FakeUpstream()
    begin(upstream, windows, "unordered", "s", seed=1, now_ms=1_000)
    assert [] == explaining(windows, "s", 0, 10**6)
    struck = upstream.faults.take("s", Call("timeseries", "s"))
    assert ["unordered"] == [strike.kind for strike in struck]
    end(upstream, windows, "s", 2_000)
    assert [] == upstream.faults.take("s", Call("timeseries", "s"))


def test_windows_are_closed_by_kind() -> None:
    """What is over for one kind goes on for another."""
    windows = Windows()
    windows.open("outage", None, 1_000, "upstream")
    windows.open("killed", None, 1_000, "worker", linger_ms=0)
    windows.close(2_000, kind="killed")
    assert [] == windows.explaining("worker", None, 2_001, 9_000)
    assert ["outage"] == [each.kind for each in explaining(windows, "s", 10**6, 10**6)]
    windows.close(3_000)
    assert [] == explaining(windows, "s", 10**6, 10**6)
