"""The upstream's settings."""

from __future__ import annotations

from building_vitals.upstream.ace.settings import UpstreamSettings


def test_settings_do_not_show_the_token() -> None:
    """Neither repr holds the token."""
    credential = "s3cret"
    settings = UpstreamSettings(base_url="https://x/api", token=credential)

    assert credential not in f"{settings!r} {settings} {settings.__rich_repr__()}"


def test_authority_is_host_and_port() -> None:
    """Whatever comes before and after."""
    authorities = {
        UpstreamSettings(base_url=url, token=None).authority
        for url in ("https://[::1]:80/api", "http://[::1]:80", "http://[::1]:80/")
    }
    assert {"[::1]:80"} == authorities
