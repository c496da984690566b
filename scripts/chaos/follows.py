"""Operations on follows: sites are followed, looked at and let go of while everything goes on."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from threading import Lock
from typing import Any

from chaos.ground import ALPHA, JOBS, LIVE, START_MS, now_ms
from chaos.haste import HASTE, LEASE_MS
from chaos.oracle import CLOCK_MS, Following, Purge
from chaos.rules import Reply
from chaos.scene import Scene, Visitor
from chaos.workload import DAY_MS, MINUTE_MS, Step

# The living one oftener: rounds find something there. One site is left alone: what is true where
# nobody follows is to be seen, too.
SITES = (LIVE, LIVE, LIVE, ALPHA, ALPHA, ALPHA, JOBS, JOBS)
# Minutes, of which the Worker of a run makes seconds.
EVERY = (1, 1, 2, 5)
STATES = {"following", "backfilling", "behind", "failing"}
FORGOTTEN_PART = 0.4
# How long ago the follow of the living site begins.
BACK_MS = (4 * MINUTE_MS, 40 * MINUTE_MS)


class Follows:
    """
    All follows of a run.

    Args:
        scene: Of the run.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        # One of them at a time changes a site, or nobody knows in which order that was.
        self._locks: defaultdict[str, Lock] = defaultdict(Lock)

    def follow(self, step: Step, visitor: Visitor) -> None:
        """Follow a site, or change from when on and how often."""
        del visitor
        site = SITES[int(step.draws[0] * len(SITES))]
        minutes = EVERY[int(step.draws[1] * len(EVERY))]
        if site is LIVE:
            since_ms = now_ms() - round(BACK_MS[0] + step.draws[2] * (BACK_MS[1] - BACK_MS[0]))
        else:
            since_ms = START_MS - DAY_MS + round(step.draws[2] * 2) * DAY_MS
        with self._locks[site.name]:
            self._put(step.number, site.name, since_ms, minutes)

    def _put(self, number: int, site: str, since_ms: int, minutes: int) -> None:
        scene, path, sent_ms = self._scene, f"/api/sites/{site}/follow", now_ms()
        following = self._open(site)
        if following is None:
            following = Following(site, sent_ms)
            scene.truth.followings.append(following)
        following.rounds.append((sent_ms, minutes * MINUTE_MS // HASTE))
        before = following.rounds[-2:]
        body = json.dumps({"since": since_ms, "every": f"{minutes}m"}).encode()
        reply, _ = scene.send("PUT", path, body=body)
        if reply.status != HTTPStatus.OK:
            # Nobody knows which of the two holds from now on.
            following.rounds.append((now_ms(), max(every_ms for _, every_ms in before)))
            scene.check_refusal(number, f"PUT {path}", reply, site=site, since_ms=sent_ms)
            return
        following.is_certain = True
        scene.record.injected("site followed")
        self._judge(number, f"PUT {path}", reply, every=f"{minutes}m")

    def unfollow(self, step: Step, visitor: Visitor) -> None:
        """Follow a site no longer, and forget it or not."""
        del visitor
        site = SITES[int(step.draws[0] * len(SITES))].name
        with self._locks[site]:
            self.end(step.number, site, forgets=step.draws[1] < FORGOTTEN_PART)

    def end(self, number: int, site: str, *, forgets: bool) -> None:
        """End the follow of a site, should it have one."""
        scene, path = self._scene, f"/api/sites/{site}/follow"
        following, sent_ms = self._open(site), now_ms()
        reply, _ = scene.send("DELETE", path, [("forget", "true")] if forgets else ())
        if reply.status == HTTPStatus.OK:
            if forgets:
                scene.truth.purges.append(Purge(site, None, None, None, sent_ms, now_ms()))
            elif following is None:
                scene.record.note(number, "follow", f"DELETE {path}", "nobody had followed it")
            scene.record.injected("site forgotten" if forgets else "follow ended")
        elif reply.status != HTTPStatus.NOT_FOUND or (following and following.is_certain):
            if following is not None:
                # It may have been ended all the same.
                following.is_certain = False
            scene.check_refusal(number, f"DELETE {path}", reply, site=site, since_ms=sent_ms)
            return
        if following is not None:
            following.ended_ms = now_ms()

    def followed(self, step: Step, visitor: Visitor) -> None:
        """Look how a follow goes."""
        del visitor
        site = SITES[int(step.draws[0] * len(SITES))].name
        with self._locks[site]:
            self.look(step.number, site)

    def look(self, number: int, site: str) -> dict[str, Any] | None:
        """Return how a follow goes, None where that can't be told; judges what is said."""
        scene, path, began_ms = self._scene, f"/api/sites/{site}/follow", now_ms()
        following = self._open(site)
        reply, _ = scene.send("GET", path)
        if reply.status == HTTPStatus.OK:
            if following is None:
                scene.record.note(number, "follow", f"GET {path}", "nobody has followed it")
            return self._judge(number, f"GET {path}", reply)
        is_certain = following is not None and following.is_certain
        deserved = frozenset() if is_certain else frozenset({int(HTTPStatus.NOT_FOUND)})
        scene.check_refusal(
            number, f"GET {path}", reply, site=site, since_ms=began_ms, deserved=deserved
        )
        return None

    def hold(self, step: Step, visitor: Visitor) -> None:
        """Let a consumer hang that has begun to read a site, as while a queue is paused."""
        del visitor
        site = SITES[int(step.draws[0] * len(SITES))].name
        try:
            with self._scene.control:
                self._scene.runtime.act("hold", site=site, ms=LEASE_MS)
        except OSError:
            if not self._scene.is_dead():
                raise
            return
        self._scene.record.injected("consumer hangs")

    def open_sites(self) -> list[str]:
        """Return the sites that may be followed."""
        found = [each.site for each in self._scene.truth.followings if each.ended_ms is None]
        return sorted(set(found))

    def _open(self, site: str) -> Following | None:
        of_site = [each for each in self._scene.truth.followings if each.site == site]
        return of_site[-1] if of_site and of_site[-1].ended_ms is None else None

    def _judge(
        self, number: int, request: str, reply: Reply, *, every: str | None = None
    ) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(reply.body)
        for text in faults_of(found, now_ms(), every=every):
            self._scene.record.note(number, "follow", request, text)
        return found


def faults_of(found: Mapping[str, Any], at_ms: int, *, every: str | None) -> Iterator[str]:
    """Return what is wrong with the document of a follow, seen at a moment."""
    backfill = found["backfill"]
    if found["state"] not in STATES:
        yield f"state is {found['state']}"
    if every is not None and found["every"] != every:
        yield f"every is {found['every']}, put {every}"
    if not 0 <= backfill["progress"] <= 100:
        yield f"progress is {backfill['progress']}"
    if found["lagSeconds"] < 0 or found["lagSeconds"] * 1000 > at_ms + CLOCK_MS - START_MS:
        yield f"lagSeconds is {found['lagSeconds']}"
    if found["state"] == "following" and (backfill["progress"] < 100 or backfill["etaSeconds"]):
        yield f"it follows, with a backfill of {backfill}"
    if found["state"] != "failing" and found["error"]:
        yield f"{found['state']} with the error {found['error']}"
