from __future__ import annotations

import os
from pathlib import Path

import pytest

from glossrank.engines.threads import thread_limit


@pytest.fixture(autouse=True)
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of 16 cores, so that a quota can be below."""
    monkeypatch.setattr(os, "sched_getaffinity", _sixteen, raising=False)


def _sixteen(_: int) -> set[int]:
    return set(range(16))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000", 16),
        ("400000 100000", 4),
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("9900000 100000", 16),
        ("", 16),
        ("many few", 16),
    ],
)
def test_the_quota_of_version_2(tmp_path: Path, quota: str, expected: int) -> None:
    write(tmp_path / "own", "0::/a/b\n")
    write(tmp_path / "fs/a/b/cpu.max", quota)
    assert thread_limit(tmp_path / "fs", tmp_path / "own") == expected


def test_the_smallest_quota_on_the_way_up_counts(tmp_path: Path) -> None:
    write(tmp_path / "own", "0::/a/b\n")
    write(tmp_path / "fs/a/b/cpu.max", "800000 100000")
    write(tmp_path / "fs/a/cpu.max", "300000 100000")
    write(tmp_path / "fs/cpu.max", "max 100000")
    assert thread_limit(tmp_path / "fs", tmp_path / "own") == 3


@pytest.mark.parametrize(("quota", "expected"), [("250000", 3), ("-1", 16)])
def test_the_quota_of_version_1(tmp_path: Path, quota: str, expected: int) -> None:
    write(tmp_path / "own", "4:memory:/x\n3:cpu,cpuacct:/x\n")
    write(tmp_path / "fs/cpu/x/cpu.cfs_quota_us", quota)
    write(tmp_path / "fs/cpu/x/cpu.cfs_period_us", "100000")
    assert thread_limit(tmp_path / "fs", tmp_path / "own") == expected


def test_a_container_that_sees_only_the_root(tmp_path: Path) -> None:
    write(tmp_path / "own", "0::/kubepods/pod1/../..\n")
    write(tmp_path / "fs/cpu.max", "200000 100000")
    assert thread_limit(tmp_path / "fs", tmp_path / "own") == 2


def test_no_control_groups_at_all(tmp_path: Path) -> None:
    assert thread_limit(tmp_path / "fs", tmp_path / "none") == 16


def test_this_machine_has_at_least_one_thread() -> None:
    assert 1 <= thread_limit() <= 16
