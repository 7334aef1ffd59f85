"""Faults for a server process: kills, full disks, hostile requests; says of each what happened.

    PYTHONPATH=. python benchmarks/faults.py                    # all; some 25 minutes
    PYTHONPATH=. python benchmarks/faults.py --only bodies      # one group
    PYTHONPATH=. python benchmarks/faults.py --only kills --rounds 10

Needs PostgreSQL's server for its part of the storage faults, and root for a small disk. The table of
what happened is printed at the end; the exit code is 1 if anything was not as it should be.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import asdict
from datetime import date
from pathlib import Path

from tests.postgresql import Cluster, programs, running_cluster

from fault_injection import bodies, connections, pairs, storage, uploads
from fault_injection.outcomes import Outcomes
from fault_injection.process import serving
from suite.machine import describe
from suite.paths import RESULTS

SHARED = {"bodies": bodies.ALL, "uploads": uploads.ALL, "connections": connections.ALL}
"""Faults that one server must bear one after the other."""
GROUPS = (*SHARED, "sigterm", "pairs", "storage", "kills")


def run(groups: list[str], rounds: int, folder: Path, outcomes: Outcomes) -> None:
    shared = [fault for name, faults in SHARED.items() if name in groups for fault in faults]
    if shared:
        with serving(folder / "shared", log=folder / "shared.log") as server:
            for fault in shared:
                fault(server, outcomes)
    if "sigterm" in groups:
        connections.terminated(folder, outcomes)
    if "pairs" in groups:
        pairs.formulas(folder, outcomes)
    if not {"storage", "kills"} & set(groups):
        return
    found = programs()
    if found is None:
        outcomes.add("PostgreSQL", "its server is not installed: nothing measured", False)
    with nullcontext() if found is None else running_cluster(found) as cluster:
        stored(groups, rounds, folder, outcomes, cluster)


def stored(
    groups: list[str], rounds: int, folder: Path, outcomes: Outcomes, cluster: Cluster | None
) -> None:
    databases = [None] if cluster is None else [None, cluster]
    if "storage" in groups:
        for fault in storage.SQLITE:
            if fault is storage.disk_full and os.geteuid() != 0:
                outcomes.add(
                    "full disk", "only root can mount a small one: nothing measured", False
                )
                continue
            fault(folder, outcomes)
        for database in databases:
            storage.one_id(folder, outcomes, database)
        if cluster is not None:
            for on_cluster in storage.POSTGRESQL:
                on_cluster(folder, outcomes, cluster)
    if "kills" in groups:
        for database in databases:
            storage.kills(folder, outcomes, database, rounds)


def keep(outcomes: Outcomes, file: Path) -> None:
    """Write them beside those of the same day's other groups."""
    kept = json.loads(file.read_text(encoding="utf-8"))["outcomes"] if file.exists() else []
    by_fault = {one["fault"]: one for one in [*kept, *map(asdict, outcomes.all)]}
    found = {"machine": describe(), "outcomes": list(by_fault.values())}
    file.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=GROUPS, action="append")
    parser.add_argument("--rounds", type=int, default=100, help="kills of each database")
    options = parser.parse_args()
    outcomes = Outcomes()
    with tempfile.TemporaryDirectory(prefix="glossrank-faults-") as folder:
        run(options.only or list(GROUPS), options.rounds, Path(folder), outcomes)
    print(outcomes.table())
    keep(outcomes, RESULTS / f"{date.today()}-faults.json")
    sys.exit(any(not one.good for one in outcomes.all))


if __name__ == "__main__":
    main()
