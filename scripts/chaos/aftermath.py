"""What must hold once nothing is made to fail: everything is well again within a bounded time."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping

from building_vitals.blocks.merging import BlockPlace, due
from building_vitals.cache.block_rows import BlockRow
from chaos.abandoning import Abandoning
from chaos.asking import Asking, line
from chaos.follows import Follows
from chaos.ground import ABANDONED, ALPHA, BETA, JOBS, LIVE, now_ms
from chaos.haste import FETCH_MS_MAX
from chaos.jobs import NOTICE_MS, Job, Jobs
from chaos.oracle import Purge
from chaos.reading import FORMATS
from chaos.scene import Scene, Visitor
from chaos.workload import DAY_MS, HOUR_MS, Ask, SiteShape, Step
from integration.harness.oracle import read_iso
from integration.harness.state_files import opened

# All jobs have ended by then, those that were sent again included: lost messages are found by the
# maintenance run, after at most half a minute each.
JOBS_S = 120.0
POLL_S = 1.0
MAINTENANCE_S = 5.0
MAINTENANCE_RUNS = 12
# A lease lives less long after the death of its holder.
LEASES_S = 20.0
AGED_MS = 3 * HOUR_MS
CALM_S = 15.0
# The next asking fetches what was lost; others may be reading it at that moment.
CUTS_PER_OBJECT = 6
AFTERWARDS = -1
ENDED_WELL = {"completed", "cancelled"}
KEPT = ("segments/", "blocks/")
FOLLOWS_S = 90.0
MERGING_RUNS = 12


class Aftermath:
    """
    Goes through it.

    Args:
        scene: Of the run, with nobody else using it.
        asking: Asks for samples.
        jobs: All of the run.
        abandoning: Knows the last cancelled job.
        follows: All of the run.
    """

    def __init__(
        self,
        scene: Scene,
        asking: Asking,
        jobs: Jobs,
        abandoning: Abandoning,
        follows: Follows,
    ) -> None:
        self._scene, self._asking, self._jobs = scene, asking, jobs
        self._abandoning, self._follows = abandoning, follows
        self._visitor = Visitor()

    def run(self) -> None:
        """Judge everything; see the module."""
        self._calm()
        self._cuts()
        self._jobs_end()
        caught_up = self._caught_up()
        settled_ms = now_ms()
        self._charts(is_strict=False)
        self._charts(is_strict=True)
        self._hits(caught_up)
        self._merged(settled_ms)
        self._purge_all()
        self._charts(is_strict=True)
        self._unfollow()
        self._leases()
        self._orphans()

    def _note(self, rule: str, request: str, text: str) -> None:
        self._scene.record.note(AFTERWARDS, rule, request, text)

    def _calm(self) -> None:
        """End all faults, and wait until none explains anything."""
        scene = self._scene
        for site in (ALPHA, BETA, JOBS, LIVE):
            scene.upstream.faults.clear(site.name)
        scene.upstream.start()
        scene.upstream.faults.release_all()
        scene.runtime.act("up")
        scene.windows.close(now_ms())
        deadline = time.monotonic() + CALM_S
        while time.monotonic() < deadline and scene.explains(502, None, now_ms()):
            time.sleep(0.2)
        if not scene.runtime.is_alive():
            self._note("crash", "workerd", "it is dead")
        time.sleep(NOTICE_MS / 1000 + 0.2)
        self._abandoning.check(AFTERWARDS)

    def _cuts(self) -> None:
        """See that no object has cut more downloads than can have been under way at once."""
        scene = self._scene
        allowed = scene.record.faults["object rotten"] + len(scene.damaged)
        if scene.cuts > allowed * CUTS_PER_OBJECT:
            self._note("cut", "all", f"{scene.cuts} answers were cut; {allowed} objects damaged")

    def _maintain(self) -> int:
        """Run the maintenance; return how much it changed."""
        return sum(self._scene.maintain(AFTERWARDS).values())

    def _jobs_end(self) -> None:
        """See that every job ends, and that those end well that are sent again now."""
        self._wait_for(self._jobs.jobs)
        failed = [job for job in self._jobs.jobs if job.ended == "failed"]
        for job in failed:
            if not self._is_explained(job):
                self._note("job", f"GET /api/jobs/{job.job_id}", "it failed without any fault")
            path = f"/api/queue/dlq/failures/{job.job_id}/retry"
            began_ms = now_ms()
            reply, _ = self._scene.send("POST", path)
            job.ended, job.retried_ms = None, began_ms - NOTICE_MS - 1
            if reply.status != 202:
                self._scene.check_refusal(
                    AFTERWARDS, f"POST {path}", reply, site=None, since_ms=began_ms
                )
        self._wait_for(failed)
        for job in failed:
            if job.ended not in (None, *ENDED_WELL):
                self._note("job", f"GET /api/jobs/{job.job_id}", f"sent again, and {job.ended}")
        for number, job in enumerate(self._jobs.jobs):
            if job.ended == "completed" and job.ask.site != ABANDONED:
                self._jobs.read_data(AFTERWARDS, job, FORMATS[number % len(FORMATS)])

    def _is_explained(self, job: Job) -> bool:
        until_ms, windows = now_ms(), self._scene.windows
        return any(
            windows.explaining(kind, job.ask.site, job.sent_ms, until_ms)
            for kind in ("upstream", "database", "worker")
        )

    def _wait_for(self, jobs: list[Job]) -> None:
        """Poll until jobs have ended; those that do not are told of."""
        deadline, maintained = time.monotonic() + JOBS_S, 0.0
        while active := [job for job in jobs if job.ended is None]:
            if time.monotonic() > deadline:
                for job in active:
                    text = f"has not ended {JOBS_S:.0f} s after the last fault; {job.progress} %"
                    self._note("stuck", f"GET /api/jobs/{job.job_id}", text)
                return
            if time.monotonic() - maintained > MAINTENANCE_S:
                self._maintain()
                maintained = time.monotonic()
            for job in active:
                self._jobs.look(AFTERWARDS, job)
            time.sleep(POLL_S)

    def _charts(self, *, is_strict: bool) -> None:
        """Ask for everything there is, in each format."""
        scene = self._scene
        if is_strict:
            # From now on no object is missing: what was lost has been asked for once.
            for window in scene.windows.explaining("objects", None, 0, now_ms()):
                window.ended_ms, window.linger_ms = 0, 0
        for site in (ALPHA, BETA, JOBS, LIVE):
            for output in FORMATS:
                self._asking.ask(
                    Step(AFTERWARDS, "ask", chart(site, output), (0, 0, 0)), self._visitor
                )

    def _caught_up(self) -> Mapping[str, int]:
        """See that every follow catches up; return from when on each site is kept."""
        deadline, maintained = time.monotonic() + FOLLOWS_S, 0.0
        left = dict.fromkeys(self._follows.open_sites(), "")
        caught_up: dict[str, int] = {}
        while left and time.monotonic() < deadline:
            if time.monotonic() - maintained > MAINTENANCE_S:
                self._maintain()
                maintained = time.monotonic()
            for site in list(left):
                found = self._follows.look(AFTERWARDS, site)
                left[site] = str(found)
                if found is None:
                    # Its end was never acknowledged, and has come.
                    del left[site]
                elif found["state"] == "following":
                    caught_up[site] = read_iso(found["since"])
                    del left[site]
            time.sleep(POLL_S)
        for site, text in left.items():
            self._note("follow", f"GET /api/sites/{site}/follow", f"never caught up: {text}")
        return caught_up

    def _hits(self, caught_up: Mapping[str, int]) -> None:
        """See that charts of followed sites ask the upstream for nothing."""
        for shape in (ALPHA, BETA, JOBS, LIVE):
            if shape.name in caught_up:
                self._hit(shape, caught_up[shape.name])

    def _hit(self, site: SiteShape, since_ms: int) -> None:
        """See that a chart of all that a follow keeps is a hit."""
        ask = chart(site, "json")
        end_ms = now_ms() if site is LIVE else ask.end_ms
        start_ms = since_ms if site is LIVE else max(since_ms, ask.start_ms)
        ask = ask._replace(is_live=False, start_ms=start_ms, end_ms=end_ms)
        # The first time, what was purged or lost is fetched again.
        for _ in range(2):
            status = self._asking.ask(Step(AFTERWARDS, "ask", ask, (0, 0, 0)), self._visitor)
        if status != "hit":
            self._note("follow", line(ask), f"the follow has caught up, and the chart is {status}")

    def _merged(self, before_ms: int) -> None:
        """See that nothing is left that could be merged, of what was fetched up to a moment."""
        scene = self._scene
        while now_ms() < before_ms + FETCH_MS_MAX:
            time.sleep(POLL_S)
        for _ in range(MERGING_RUNS):
            if not scene.maintain(AFTERWARDS).get("merged blocks"):
                break
        with opened(scene.runtime.state, "site_blocks") as database:
            sql = "SELECT * FROM site_blocks WHERE gone_ms IS NULL AND fetched_ms <= ?"
            rows = database.execute(sql, [before_ms]).fetchall()
        for site in sorted({row["site"] for row in rows}):
            held = [place_of(row) for row in rows if row["site"] == site]
            if parts := due(held):
                self._note("follow", "site_blocks", f"{len(parts)} of {site} are not merged")

    def _unfollow(self) -> None:
        """End all follows: what is looked at from now on is to stay as it is."""
        for site in self._follows.open_sites():
            self._follows.end(AFTERWARDS, site, forgets=False)

    def _purge_all(self) -> None:
        """Forget everything, so that only the newest data may be shown."""
        for site in (ALPHA, BETA, JOBS, LIVE):
            sent_ms = now_ms()
            reply, _ = self._scene.send("DELETE", "/api/cache", [("site", site.name)])
            if reply.status != 200:
                self._note("unexplained", "DELETE /api/cache", f"status {reply.status}")
                continue
            self._scene.truth.purges.append(Purge(site.name, None, None, None, sent_ms, now_ms()))
            # Requests count as later than a purge from the next millisecond on.
            time.sleep(0.002)

    def _leases(self) -> None:
        """See that nobody holds a lease once nobody fetches."""
        deadline = time.monotonic() + LEASES_S
        while held := self._held():
            if time.monotonic() > deadline:
                text = f"{held} leases are held after {LEASES_S:.0f} s of silence"
                self._note("lease", "fetch_leases", text)
                return
            time.sleep(0.5)

    def _held(self) -> int:
        with opened(self._scene.runtime.state, "fetch_leases") as database:
            sql = "SELECT count(*) FROM fetch_leases WHERE expires_ms > ?"
            return int(database.execute(sql, [now_ms()]).fetchone()[0])

    def _orphans(self) -> None:
        """Age all objects, run the maintenance, and see that index and bucket agree."""
        scene = self._scene
        scene.runtime.stop()
        with opened(scene.runtime.state, "_mf_objects", to_change=True) as bucket:
            bucket.execute("UPDATE _mf_objects SET uploaded = uploaded - ?", [AGED_MS])
        with opened(scene.runtime.state, "site_blocks", to_change=True) as database:
            database.execute("UPDATE site_blocks SET gone_ms = gone_ms - ?", [2 * AGED_MS])
        scene.runtime.start(scene.profile.variables)
        for _ in range(MAINTENANCE_RUNS):
            if not self._maintain():
                break
        present = set(scene.runtime.objects())
        with opened(scene.runtime.state, "cache_segments") as database:
            named = keys_of(database)
            gone = database.execute("SELECT count(*) FROM site_blocks WHERE gone_ms > 0").fetchone()
        if gone[0]:
            self._note("index", "site_blocks", f"{gone[0]} that are gone were not cleaned up")
        missing = {key for key in named if key not in present} - scene.damaged
        if missing:
            self._note("index", "cache_segments", f"{len(missing)} objects are not in the bucket")
        orphans = {key for key in present - named if key.startswith(KEPT)}
        if orphans:
            text = f"{len(orphans)} objects are not in the index: {sorted(orphans)[:2]}"
            self._note("orphans", "cache_segments", text)
        self._charts(is_strict=True)


def keys_of(database: sqlite3.Connection) -> set[str]:
    """Return the keys of all objects that the index names."""
    rows = database.execute(
        "SELECT object_key FROM cache_segments WHERE object_etag <> '' "
        "UNION SELECT object_key FROM cache_metadata UNION SELECT object_key FROM site_blocks"
    )
    return {row[0] for row in rows}


def place_of(row: sqlite3.Row) -> BlockPlace:
    """Return a block as merging sees it."""
    block = BlockRow(
        key=row["object_key"],
        object_etag=row["object_etag"],
        start_ms=row["start_ms"],
        end_ms=row["end_ms"],
        fetched_ms=row["fetched_ms"],
        directory_offset=row["directory_offset"],
        foot_offset=row["foot_offset"],
        foot_bytes=row["foot_bytes"],
        foot_crc=row["foot_crc"],
    )
    return BlockPlace(block, row["level"], row["stored_bytes"])


def chart(site: SiteShape, output: str) -> Ask:
    """Return the question for all of a site."""
    is_live = site is LIVE
    start_ms, end_ms = (HOUR_MS, 0) if is_live else (site.start_ms - DAY_MS, site.end_ms + DAY_MS)
    return Ask(
        site.name, site.points, start_ms, end_ms,
        "cached", output, True, False, is_live, None, None,
    )  # fmt: skip
