"""Lists the objects of the cache and purges its segments, for administrators."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from building_vitals.cache.index_table import SegmentIndex
from building_vitals.fields import Count, IsoTime
from building_vitals.instants import INSTANT_MAX_MS, INSTANT_MIN_MS, format_instant
from building_vitals.ports import Invocation, ObjectStore
from building_vitals.ranges import Range
from building_vitals.sites.directory import SiteDirectory

EVER = Range(INSTANT_MIN_MS, INSTANT_MAX_MS)


class CacheObject(msgspec.Struct, frozen=True):
    """An object in the bucket; points and samples where its metadata has them."""

    key: str
    size: Count
    uploaded: IsoTime
    points: Count | None
    samples: Count | None


class CacheObjects(msgspec.Struct, frozen=True, rename="camel"):
    """A page of objects."""

    objects: list[CacheObject]
    next_cursor: str | None


class CacheAdmin:
    """Lists objects, and purges segments by site, point and range."""

    def __init__(
        self,
        *,
        objects: ObjectStore,
        index: SegmentIndex,
        sites: SiteDirectory,
        invocation: Invocation,
    ) -> None:
        self._objects = objects
        self._index = index
        self._sites = sites
        self._clock = invocation.clock

    async def list_objects(self, *, prefix: str, limit: int, cursor: str | None) -> CacheObjects:
        """
        Return a page of the bucket's objects, but for those that hold nothing more.

        Raises:
            Unavailable: the bucket or the database can't be reached.
        """
        page = await self._objects.list(prefix=prefix, limit=limit, cursor=cursor)
        orphans = await self._index.orphans_among([each.key for each in page.objects])
        objects = [
            CacheObject(
                each.key,
                each.size,
                format_instant(each.uploaded_ms),
                _number(each.metadata.get("points")),
                _number(each.metadata.get("samples")),
            )
            for each in page.objects
            if each.key not in orphans
        ]
        return CacheObjects(objects, page.cursor)

    async def purge(self, site: str, points: Sequence[str] | None, time_range: Range | None) -> int:
        """
        Purge what is known, also what is being fetched; return how many segments that touched.

        No answer has purged data from now on. Answers under way go on, so the clean-up deletes
        the objects, OBJECT_GRACE_MS later.

        Args:
            site: Its name.
            points: Only these; None for all, and where the range is None, too, for the site's
                list of points.
            time_range: Only this; None for ever.

        Raises:
            Unavailable: the database, or the bucket with the list of points, can't be reached.
        """
        deleted = await self._index.purge(
            site, points, time_range or EVER, now_ms=self._clock.now_ms()
        )
        if points is None and time_range is None:
            await self._sites.forget(site)
        return deleted


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None
