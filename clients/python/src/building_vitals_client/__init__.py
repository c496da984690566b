"""
Samples of buildings as DataFrames, from a Building Vitals Worker.

`Client` blocks, `AsyncClient` awaits; both read the environment's BV_URL and BV_KEY.
"""

from building_vitals_client.async_client import AsyncClient
from building_vitals_client.client import Client
from building_vitals_client.documents import Job, Me
from building_vitals_client.errors import (
    ApiError,
    BadRequest,
    BrokenDownload,
    BuildingVitalsError,
    Conflict,
    ConnectionLost,
    JobCancelled,
    JobEnded,
    JobFailed,
    NotAllowed,
    NotFound,
    PointErrors,
    Problem,
    RateLimited,
    ResultExpired,
    ServerError,
    StaleData,
    Unavailable,
    UpstreamFailed,
)
from building_vitals_client.progress import Progress
from building_vitals_client.result import Timeseries

__version__ = "1.0.0"
__all__ = [
    "ApiError",
    "AsyncClient",
    "BadRequest",
    "BrokenDownload",
    "BuildingVitalsError",
    "Client",
    "Conflict",
    "ConnectionLost",
    "Job",
    "JobCancelled",
    "JobEnded",
    "JobFailed",
    "Me",
    "NotAllowed",
    "NotFound",
    "PointErrors",
    "Problem",
    "Progress",
    "RateLimited",
    "ResultExpired",
    "ServerError",
    "StaleData",
    "Timeseries",
    "Unavailable",
    "UpstreamFailed",
]
