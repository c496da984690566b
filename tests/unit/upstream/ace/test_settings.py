"""The upstream's settings."""

from __future__ import annotations

from building_vitals.upstream.ace.settings import UpstreamSettings


def test_settings_do_not_show_the_token() -> None:
    """Neither repr holds the token."""
    credential = "s3cret"
    settings = UpstreamSettings(base_url="https://x/api", token=credential)

    assert credential not in f"{settings!r} {settings} {settings.__rich_repr__()}"
