"""Operations beside samples and jobs: lists, statistics, purges, changes of data, damage."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from chaos.asking import resolved
from chaos.faults import FAILING, begin, end
from chaos.ground import ALPHA, BETA, now_ms
from chaos.hostile import BAD_REQUESTS
from chaos.oracle import Purge
from chaos.scene import Scene, Visitor
from chaos.workload import Step

OK = 200
DEGRADED = 503
DATABASE_S = 0.6
# A lost object may be asked for long after.
LINGER_OBJECTS_MS = 120_000
APPEARING = "alpha/new"


class Upkeep:
    """
    Does them.

    Args:
        scene: Of the run.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def _get(
        self, step: Step, path: str, params: Any = (), *, deserved: frozenset[int] = frozenset()
    ) -> Any:
        """Return the document of a GET, None when it was refused; judges a refusal."""
        began_ms = now_ms()
        reply, _ = self._scene.send("GET", path, params)
        if reply.status == OK:
            return json.loads(reply.body)
        if reply.status not in deserved:
            self._scene.check_refusal(
                step.number, f"GET {path}", reply, site=None, since_ms=began_ms
            )
        return None

    def _note(self, step: Step, rule: str, request: str, text: str) -> None:
        self._scene.record.note(step.number, rule, request, text)

    def search(self, step: Step, visitor: Visitor) -> None:
        """Look for points of a site."""
        del visitor
        site = (ALPHA, BETA)[step.draws[0] < 0.5]
        text = ("", "temp", "STATE", "zone 3")[int(step.draws[1] * 4)]
        began_ms, truth = now_ms(), self._scene.truth
        path = f"/api/sites/{site.name}/points"
        found = self._get(step, path, [("search", text), ("per_page", 1000)])
        if found is None:
            return
        names = {item["name"]: item for item in found["items"]}
        words = text.lower().split()
        since_ms = began_ms - self._scene.profile.policy.list_ms
        for name in list(truth.points[site.name]):
            is_meant = all(word in name.lower() for word in words)
            # Units and tags are searched too.
            where = str(names.get(name)).lower()
            if name in names and not all(word in where for word in words):
                self._note(step, "search", f"{path}?search={text}", f"found {name}")
            surely = not truth.may_be_unknown(site.name, name, since_ms, now_ms())
            if is_meant and surely and name not in names:
                self._note(step, "search", f"{path}?search={text}", f"did not find {name}")

    def sites(self, step: Step, visitor: Visitor) -> None:
        """List the sites."""
        del visitor
        found = self._get(step, "/api/sites")
        if found is not None:
            missing = {ALPHA.name, BETA.name} - {item["name"] for item in found["items"]}
            if missing:
                self._note(step, "search", "/api/sites", f"lacks {missing}")

    def stats(self, step: Step, visitor: Visitor) -> None:
        """Read the statistics."""
        del visitor
        found = self._get(step, "/api/stats")
        if found is not None and not {"cache", "jobs", "requests", "timestamp"} <= found.keys():
            self._note(step, "stats", "/api/stats", f"has {sorted(found)}")

    def health(self, step: Step, visitor: Visitor) -> None:
        """Ask how the Worker is."""
        del visitor
        began_ms = now_ms()
        reply, _ = self._scene.send("GET", "/api/health")
        if reply.status == OK:
            return
        if reply.status == DEGRADED and self._scene.windows.explaining(
            "database", None, began_ms, now_ms()
        ):
            return
        self._scene.check_refusal(
            step.number, "GET /api/health", reply, site=None, since_ms=began_ms
        )

    def objects(self, step: Step, visitor: Visitor) -> None:
        """List objects of the cache."""
        del visitor
        found = self._get(step, "/api/cache/objects", [("limit", 20)])
        if found is not None and not {"objects", "nextCursor"} <= found.keys():
            self._note(step, "stats", "/api/cache/objects", f"has {sorted(found)}")

    def failures(self, step: Step, visitor: Visitor) -> None:
        """List what failed for good."""
        del visitor
        found = self._get(step, "/api/queue/dlq/failures", [("limit", 20)])
        if found is not None and len(found["failures"]) != found["count"]:
            self._note(step, "stats", "/api/queue/dlq/failures", f"count {found['count']}")

    def purge(self, step: Step, visitor: Visitor) -> None:
        """Make the cache forget a site, some of its points, or some time."""
        del visitor
        assert step.ask is not None
        ask = resolved(step.ask)
        by_points, by_time = step.draws[0] < 0.6, step.draws[1] < 0.6
        params: list[tuple[str, object]] = [("site", ask.site)]
        if by_points:
            params += [("point", name) for name in ask.points]
        if by_time:
            params += [("start_time", ask.start_ms), ("end_time", ask.end_ms)]
        sent_ms = now_ms()
        reply, _ = self._scene.send("DELETE", "/api/cache", params)
        if reply.status != OK:
            self._scene.check_refusal(
                step.number, f"DELETE /api/cache {params}", reply, site=None, since_ms=sent_ms
            )
            return
        self._scene.truth.purges.append(
            Purge(
                ask.site,
                frozenset(ask.points) if by_points else None,
                ask.start_ms if by_time else None,
                ask.end_ms if by_time else None,
                sent_ms,
                now_ms(),
            )
        )

    def maintenance(self, step: Step, visitor: Visitor) -> None:
        """Run the maintenance."""
        del visitor
        self._scene.maintain(step.number)

    def bad(self, step: Step, visitor: Visitor) -> None:
        """Send a request that deserves a refusal."""
        del visitor
        bad = BAD_REQUESTS[int(step.draws[0] * len(BAD_REQUESTS))]
        began_ms = now_ms()
        reply, _ = self._scene.send(bad.method, bad.path, bad.params, body=bad.body)
        request = f"{bad.method} {bad.path} {str(bad.params)[:200]} {str(bad.body)[:80]}"
        if reply.status in bad.statuses:
            self._scene.check_refusal(
                step.number,
                request,
                reply,
                site=None,
                since_ms=began_ms,
                deserved=bad.statuses,
            )
        elif not self._scene.explains(reply.status, None, began_ms):
            text = f"status {reply.status}, expected {sorted(bad.statuses)}: {reply.body[:200]!r}"
            self._note(step, "refusal", request, text)

    def correct(self, step: Step, visitor: Visitor) -> None:
        """Let the upstream correct some data."""
        del visitor
        assert step.ask is not None
        ask = resolved(step.ask)
        self._scene.ground.correct(ask.site, ask.points, ask.start_ms, ask.end_ms)
        self._scene.record.injected("data corrected")

    def late(self, step: Step, visitor: Visitor) -> None:
        """Let samples come late."""
        del visitor
        assert step.ask is not None
        ask = resolved(step.ask)
        self._scene.ground.add_late(ask.site, ask.points, ask.start_ms)
        self._scene.record.injected("late samples")

    def advance(self, step: Step, visitor: Visitor) -> None:
        """Let new samples arrive."""
        del step, visitor
        self._scene.ground.advance()

    def appear(self, step: Step, visitor: Visitor) -> None:
        """Let a point appear."""
        del visitor
        name = f"{APPEARING} {int(step.draws[0] * 3)}"
        self._scene.ground.appear(ALPHA.name, name)
        self._scene.record.injected("point appears")

    def vanish(self, step: Step, visitor: Visitor) -> None:
        """Let a point vanish that appeared before, or one of those from the beginning."""
        del step, visitor
        names = [f"{APPEARING} {number}" for number in range(3)]
        there = [name for name in names if self._scene.ground.has(ALPHA.name, name)]
        name = there[0] if there else ALPHA.points[5]
        if self._scene.ground.has(ALPHA.name, name):
            self._scene.ground.vanish(ALPHA.name, name)
            self._scene.record.injected("point vanishes")

    def fault(self, step: Step, visitor: Visitor) -> None:
        """Let a wart strike a site."""
        del visitor
        assert step.ask is not None
        scene = self._scene
        begin(
            scene.upstream, scene.windows, step.kind, step.ask.site,
            seed=step.number, now_ms=now_ms(),
        )  # fmt: skip
        scene.record.injected(step.kind if step.kind in FAILING else f"{step.kind} (harmless)")

    def mend(self, step: Step, visitor: Visitor) -> None:
        """End a site's fault."""
        del visitor
        assert step.ask is not None
        end(self._scene.upstream, self._scene.windows, step.ask.site, now_ms())

    def outage(self, step: Step, visitor: Visitor) -> None:
        """Let the upstream be down."""
        del step, visitor
        self._scene.windows.open("outage", None, now_ms(), "upstream")
        self._scene.record.injected("upstream down")
        self._scene.upstream.stop()

    def restore(self, step: Step, visitor: Visitor) -> None:
        """Let the upstream be up again."""
        del step, visitor
        self._scene.upstream.start()
        self._scene.windows.close(now_ms(), kind="outage")

    def lose(self, step: Step, visitor: Visitor) -> None:
        """Lose an object of the bucket."""
        del visitor
        self._damage(step, "object lost", lambda key: self._scene.runtime.act("lose", key=key))

    def spoil(self, step: Step, visitor: Visitor) -> None:
        """Change a byte: of an object, as another one or in the bucket's own file; or of a row."""
        del visitor
        if step.draws[1] >= 0.6:
            self._spoil_row(step)
        elif step.draws[1] < 0.3:
            self._damage(
                step, "object spoilt", lambda key: self._scene.runtime.act("spoil", key=key)
            )
        else:
            self._damage(step, "object rotten", lambda _: self._rot(step.draws[2]))

    def _damage(self, step: Step, kind: str, act: Callable[[str], object]) -> None:
        scene = self._scene
        keys = scene.runtime.objects()
        if not keys:
            return
        key = keys[int(step.draws[0] * len(keys))]
        window = scene.windows.open(kind, None, now_ms(), "objects", linger_ms=LINGER_OBJECTS_MS)
        window.ended_ms = window.began_ms
        try:
            with scene.control:
                act(key)
        except OSError:
            if not scene.is_dead():
                raise
        scene.damaged.add(key)
        scene.record.injected(kind)

    def _spoil_row(self, step: Step) -> None:
        """Change what lies in a row of the index, should one hold samples."""
        scene, kind = self._scene, "row spoilt"
        window = scene.windows.open(kind, None, now_ms(), "objects", linger_ms=LINGER_OBJECTS_MS)
        window.ended_ms = window.began_ms
        try:
            with scene.control:
                key = scene.runtime.act("spoilRow", draw=step.draws[0])
        except OSError:
            if not scene.is_dead():
                raise
            return
        if key is not None:
            scene.damaged.add(key)
            scene.record.injected(kind)

    def _rot(self, draw: float) -> None:
        """Change a byte in the middle of one of the bucket's files."""
        blobs = sorted(self._scene.runtime.state.glob("v3/r2/*/blobs/*"))
        if not blobs:
            return
        # The runtime may delete it meanwhile.
        with (
            suppress(FileNotFoundError),
            blobs[int(draw * len(blobs))].open("r+b") as file,
        ):
            size = file.seek(0, 2)
            file.seek(size // 2)
            byte = file.read(1)
            file.seek(size // 2)
            file.write(bytes([byte[0] ^ 0x55]) if byte else b"")

    def database(self, step: Step, visitor: Visitor) -> None:
        """Let the database be down for a moment."""
        del step, visitor
        scene = self._scene
        window = scene.windows.open("database down", None, now_ms(), "database")
        scene.record.injected("database down")
        try:
            with scene.control:
                scene.runtime.act("down")
                time.sleep(DATABASE_S)
                scene.runtime.act("up")
                scene.unstored_ms = now_ms()
        except OSError:
            # The next start gives the tables back.
            if not scene.is_dead():
                raise
        window.ended_ms = now_ms()
