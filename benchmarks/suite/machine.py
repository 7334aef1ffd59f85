"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from suite.paths import ROOT

_CPUINFO = Path("/proc/cpuinfo")
_CGROUP = Path("/sys/fs/cgroup")
SHOWN_FLAGS = (
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
)


def cpu_flags(cpuinfo: Path = _CPUINFO) -> set[str]:
    """The first processor's flags; none where the kernel does not tell."""
    return set(_cpu_line("flags", cpuinfo).split())


def _cpu_line(name: str, cpuinfo: Path) -> str:
    with suppress(OSError):
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == name:
                return value.strip()
    return ""


def describe() -> dict[str, Any]:
    """The machine, as a JSON object; sizes in bytes."""
    flags = cpu_flags()
    return {
        "cpu": _cpu_line("model name", _CPUINFO) or platform.processor() or platform.machine(),
        "family_model": f"{_cpu_line('cpu family', _CPUINFO)}/{_cpu_line('model', _CPUINFO)}",
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)),
        "cgroup_cpus": cgroup_cpus(),
        "cgroup_memory": _limit("memory.max"),
        "memory": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "flags": [flag for flag in SHOWN_FLAGS if flag in flags],
        "l2_l3": _caches(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def cgroup_cpus(folder: Path = _CGROUP) -> float | None:
    """Processors' worth of time that the control group allows, or None for no limit."""
    with suppress(OSError, ValueError):
        quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
        return None if quota == "max" else int(quota) / int(period)
    with suppress(OSError, ValueError):
        quota = (folder / "cpu" / "cpu.cfs_quota_us").read_text(encoding="utf-8")
        period = (folder / "cpu" / "cpu.cfs_period_us").read_text(encoding="utf-8")
        return int(quota) / int(period) if int(quota) > 0 else None
    return None


def _limit(name: str) -> int | None:
    with suppress(OSError, ValueError):
        text = (_CGROUP / name).read_text(encoding="utf-8").strip()
        return None if text == "max" else int(text)
    return None


def _caches() -> list[str]:
    sizes = []
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        with suppress(OSError):
            level = (index / "level").read_text(encoding="utf-8").strip()
            if level in ("2", "3"):
                sizes.append(f"L{level} {(index / 'size').read_text(encoding='utf-8').strip()}")
    return sizes


def commit() -> str:
    """The checkout's commit, with "+" where files differ from it; "unknown" without git."""
    try:
        name = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return name + ("+" if changed else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def result_name(machine: dict[str, Any], isa: str | None) -> str:
    """``<date>-<machine>``, fit for a file name."""
    words = f"{machine['cpu']} {machine['usable_cores']} cores {isa or ''}"
    words = re.sub(r"\([^)]*\)|@.*?ghz|\b(cpu|processor)\b", " ", words.lower())
    slug = re.sub(r"[^a-z0-9]+", "-", words).strip("-")
    return f"{datetime.now(timezone.utc):%Y-%m-%d}-{slug}"
