"""Instants in every form that a service may write them in, for hypothesis to draw from."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import strategies as st

from building_vitals.instants import DAY_MS, MINUTE_MS

EPOCH = datetime(1970, 1, 1)
# The years 2 to 9998: no form carries these past the limits of datetime.
FIRST_MS, LAST_MS = -62_104_060_800_000, 253_370_764_799_999
ZONES = ("", "Z", "z", " Z", "UTC", " UTC", " GMT")
UNREADABLE_TIMES = (
    "", "yesterday", "2025-02-30T00:00:00Z", "2025-01-01T24:00:01Z", "20250101T00:00:00Z",
    "2025-01-01T00:00:61Z", "1735689600000", "2025-01-01T00:00:00+24:00", "\u0662\u0660\u0662",
)  # fmt: skip


@st.composite
def spelled_instants(
    draw: st.DrawFn, first_ms: int = FIRST_MS, last_ms: int = LAST_MS
) -> tuple[int, str]:
    """Draw an instant from *first_ms* to *last_ms*, or a little before, and one text of it."""
    instant_ms = draw(st.integers(first_ms, last_ms))
    offset_min = draw(st.sampled_from([0, 0, 330, -90]) | st.integers(-1439, 1439))
    twist = draw(st.sampled_from(["", "", "", "leap second", "hour 24"]))
    local_ms = instant_ms + offset_min * MINUTE_MS
    if twist:
        # As late as the fraction of a leap second lets it be, and never with one at midnight.
        unit_ms, late_ms = (MINUTE_MS, 1000) if twist == "leap second" else (DAY_MS, 1)
        local_ms += -(local_ms % unit_ms) + instant_ms % late_ms
    second, ms = divmod(local_ms, 1000)
    moment = EPOCH + timedelta(seconds=second - (twist == "leap second"))
    moment -= timedelta(days=twist == "hour 24")
    clock = moment.strftime("%H:%M:%S")
    if twist:
        clock = f"{clock[:6]}60" if twist == "leap second" else "24:00:00"
    clock += _fraction(draw, ms)
    if clock.endswith(":00") and draw(st.booleans()):
        clock = clock[:5]
    text = moment.isoformat()[:10] + draw(st.sampled_from("Tt ")) + clock
    if draw(st.booleans()):
        text = text.replace("-", "").replace(":", "")
    text += draw(st.sampled_from(_zones(offset_min)))
    return local_ms - offset_min * MINUTE_MS, text


def _fraction(draw: st.DrawFn, ms: int) -> str:
    """Return any number of digits that are cut to these milliseconds."""
    more = draw(st.text("0123456789", max_size=30)) if ms else ""
    digits = f"{ms:03d}{more}"
    if not ms:
        digits = "0" * draw(st.integers(0, 9))
    elif not more:
        digits = digits.rstrip("0")
    return digits and draw(st.sampled_from(".,")) + digits


def _zones(offset_min: int) -> list[str]:
    """Return every way to write an offset."""
    sign = "-" if offset_min < 0 else "+"
    hours, minutes = divmod(abs(offset_min), 60)
    zones = [f"{sign}{hours:02d}:{minutes:02d}", f" {sign}{hours:02d}{minutes:02d}"]
    if not minutes:
        zones += [f"{sign}{hours:02d}", f" {sign}{hours:02d}"]
    return zones if offset_min else [*zones, *ZONES]
