"""
What has been learned of the upstream for one site, and how an observation changes it.

Pure: `profiles` keeps it. The upstream's own description leaves open what is learned here: whether
a filter is heeded, whether calls by point give raw samples, how large answers may be.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from building_vitals.instants import DAY_MS, MINUTE_MS
from building_vitals.ranges import Range

# What was compared once is compared again after a week.
CHECK_EVERY_MS = 7 * DAY_MS
# How much of a figure an observation replaces: a single slow answer must not change the plan.
SMOOTHING = 0.3
# A figure that differs less from the kept one is not worth a write.
CHANGE_MIN = 0.2
_INSTANTS = ("checked_ms", "seen_ms", "newest_ms", "looked_ms", "late_by_ms")
# A range that ends earlier does not show how late the newest sample was.
NEWEST_WITHIN_MS = 5 * MINUTE_MS
# Newest samples of which it is kept how late they came, and how many of them say how late samples
# come: one in twenty may come later.
SIGHTINGS_MAX = 20
SIGHTINGS_MIN = 5
LATE_SHARE = 0.05
# A newest sample says how late it came where the look before was not much earlier.
LOOKS_APART_MS_MAX = 15 * MINUTE_MS
LATENESS_MS_MAX = DAY_MS
# A rate seen over less than this is chance.
RATE_DURATION_MIN_MS = 3_600_000


# Where samples come from: calls by point, or pages, which hold raw samples.
# Either: where nothing will be fetched, so that what is known decides.
Source = Literal["points", "pages", "either"]


class SiteProfile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    What is known of the upstream for one site; None and 0 where it is not known yet.

    Attributes:
        points: In the site's list.
        samples_per_day: Of the whole site, as its pages give them.
        point_samples_per_day: Of one point.
        page_samples, page_ms: Samples of a page of the site and how long one takes.
        call_samples, call_ms: Samples of a call by point and how long one takes.
        page_size: The largest that came through after a larger one had died; 0: as configured.
        names_max: Names that a call by point takes, after more were refused; 0: as configured.
        is_filter_heeded: Whether `point_names` filters pages.
        is_same: Whether calls by point give the samples of the site's raw pages.
        newest_age_ms: Age of the newest sample when it was first seen.
        newest_ms: The newest sample seen.
        looked_ms: Up to when the last fetch at the present has looked.
        late_by_ms: How late the last newest samples were at least: how old they were when a fetch
            did not find them yet. How old when they were found would tell how often somebody looks.
        lateness_ms: How late samples come at least, but for one in twenty.
        checked_ms: When the two ways of asking were compared.
        seen_ms: When the site was last fetched from.
    """

    points: int = 0
    samples_per_day: float = 0.0
    point_samples_per_day: float = 0.0
    page_samples: float = 0.0
    page_ms: float = 0.0
    call_samples: float = 0.0
    call_ms: float = 0.0
    page_size: int = 0
    names_max: int = 0
    is_filter_heeded: bool | None = None
    is_same: bool | None = None
    newest_age_ms: int | None = None
    newest_ms: int = 0
    looked_ms: int = 0
    late_by_ms: tuple[int, ...] = ()
    lateness_ms: int | None = None
    checked_ms: int = 0
    seen_ms: int = 0

    def is_due(self, now_ms: int) -> bool:
        """Return whether the two ways are to be compared."""
        return now_ms - self.checked_ms >= CHECK_EVERY_MS

    def differs(self, kept: SiteProfile) -> bool:
        """Return whether it says something new to who knows *kept*."""
        count, kept_count = len(self.late_by_ms), len(kept.late_by_ms)
        if self.checked_ms != kept.checked_ms or kept_count < min(count, SIGHTINGS_MIN):
            return True
        return any(
            _differs(getattr(self, name), getattr(kept, name))
            for name in self.__struct_fields__
            if name not in _INSTANTS
        )


class Observation(msgspec.Struct, kw_only=True):
    """
    What one fetch has shown.

    Attributes:
        is_by_point: Whether it used calls by point; else pages.
        is_whole_site: Whether its pages held the whole site.
        points_count, time_range: What was asked for.
        requests: Answered ones, without those repeated.
        samples: In their answers, surplus ones included.
        busy_ms: Time that the answers took, added up.
        page_size: The page size it had to go down to; 0 where it had not.
        names_max: The names per call it had to go down to; 0 where it had not.
        newest_ms: The newest sample.
        now_ms: When it ended.
    """

    is_by_point: bool
    is_whole_site: bool
    points_count: int
    time_range: Range
    requests: int = 0
    samples: int = 0
    busy_ms: int = 0
    page_size: int = 0
    names_max: int = 0
    newest_ms: int | None = None
    now_ms: int = 0


def learned(profile: SiteProfile, seen: Observation) -> SiteProfile:
    """Return the profile with what an observation adds."""
    changes: dict[str, Any] = {"seen_ms": seen.now_ms}
    if seen.requests:
        samples, busy_ms = seen.samples / seen.requests, seen.busy_ms / seen.requests
        kind = "call" if seen.is_by_point else "page"
        changes[f"{kind}_samples"] = _smooth(getattr(profile, f"{kind}_samples"), samples)
        changes[f"{kind}_ms"] = _smooth(getattr(profile, f"{kind}_ms"), busy_ms)
    happened_ms = min(seen.time_range.end_ms, seen.now_ms) - seen.time_range.start_ms
    if happened_ms >= RATE_DURATION_MIN_MS and seen.samples:
        per_day = seen.samples * DAY_MS / happened_ms
        if seen.is_whole_site:
            changes["samples_per_day"] = _smooth(profile.samples_per_day, per_day)
        else:
            rate = per_day / max(seen.points_count, 1)
            changes["point_samples_per_day"] = _smooth(profile.point_samples_per_day, rate)
    if seen.page_size:
        changes["page_size"] = seen.page_size
    if seen.names_max:
        changes["names_max"] = seen.names_max
    if seen.time_range.end_ms >= seen.now_ms - NEWEST_WITHIN_MS:
        changes["looked_ms"] = max(profile.looked_ms, min(seen.time_range.end_ms, seen.now_ms))
        if seen.newest_ms is not None:
            age_ms = max(0, seen.now_ms - seen.newest_ms)
            changes["newest_age_ms"] = round(_smooth(profile.newest_age_ms or 0, age_ms))
            changes |= _lateness(profile, seen, seen.newest_ms)
    return msgspec.structs.replace(profile, **changes)


def _lateness(profile: SiteProfile, seen: Observation, newest_ms: int) -> dict[str, Any]:
    """Return what the newest sample of an observation says of how late samples come."""
    if newest_ms <= profile.newest_ms:
        return {}
    changes: dict[str, Any] = {"newest_ms": newest_ms}
    if profile.newest_ms and seen.now_ms - profile.looked_ms <= LOOKS_APART_MS_MAX:
        late_ms = min(max(0, profile.looked_ms - newest_ms), LATENESS_MS_MAX)
        found_ms = (*profile.late_by_ms, late_ms)[-SIGHTINGS_MAX:]
        changes["late_by_ms"] = found_ms
        if len(found_ms) >= SIGHTINGS_MIN:
            later = int(len(found_ms) * LATE_SHARE)
            changes["lateness_ms"] = sorted(found_ms)[-1 - later]
    return changes


def _smooth(kept: float, seen: float) -> float:
    return seen if not kept else kept + SMOOTHING * (seen - kept)


def _differs(new: float | bool | None, kept: float | bool | None) -> bool:
    if new is None or kept is None or isinstance(new, bool) or isinstance(kept, bool):
        return new is not kept
    return abs(new - kept) > CHANGE_MIN * max(abs(kept), 1e-9)
