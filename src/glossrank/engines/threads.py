"""How many threads a process may keep busy.

OpenVINO counts the cores that a process is allowed on. A container with a quota (docker's
``--cpus``, Kubernetes' limits) is allowed on all of them, for a part of the time: with a thread for
each, all stop together whenever the quota is used up.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")


def thread_limit(cgroups: Path = _CGROUPS, own: Path = _OWN_CGROUPS) -> int:
    """Cores that this process is allowed on, or its quota in whole cores, rounded up, if fewer."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quotas = [math.ceil(quota) for quota in _quotas(cgroups, own)]
    return max(1, min([cores or 1, *quotas]))


def _quotas(cgroups: Path, own: Path) -> Iterator[float]:
    """The quotas, in cores, of the control groups that the process is in, and of those above."""
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            for folder in _upwards(cgroups, path):
                yield from _quota(folder / "cpu.max")
        elif "cpu" in controllers.split(","):
            for folder in _upwards(cgroups / "cpu", path):
                yield from _quota(folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us")


def _upwards(root: Path, path: str) -> Iterator[Path]:
    place = PurePosixPath(path.lstrip("/"))
    # In a container the path may be the host's, which is not there; the root always is.
    for part in (place, *place.parents):
        yield root / part


def _quota(*files: Path) -> Iterator[float]:
    """Quota and period, in microseconds, of one file or of two; "max" and -1 are no quota."""
    try:
        numbers = " ".join(file.read_text(encoding="utf-8") for file in files).split()
        quota, period = float(numbers[0]), float(numbers[1])
    except (OSError, ValueError, IndexError):
        return
    if quota > 0 and period > 0:
        yield quota / period
