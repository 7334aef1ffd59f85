"""Speed and memory beside the other libraries: same weights, same pairs, same run.

    make bench
    python benchmarks/bench.py --quick            # tries the harness; its figures mean nothing
    python benchmarks/bench.py --only glossrank --only st-fp32 --workloads short,long
    python benchmarks/bench.py --report benchmarks/results/FILE.json

The first run installs the peers under build/peers. Nothing else should run meanwhile. What the
figures mean, and how to add a contender: docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from glossrank.errors import GlossrankError
from glossrank.folder_files import WEIGHTS_FILE
from glossrank.model_folder import ModelFolder, load_model_folder
from glossrank.model_names import DEFAULT_MODEL, PACKAGED_MODELS
from suite import isa, machine, plots, report, results, stream_file, workloads
from suite.artifacts import Artifacts
from suite.contenders import OURS, select
from suite.failures import PeerError
from suite.flops import pair_flops
from suite.measure import TIMED, Measurement, note
from suite.paths import BENCH_BUILD, PEERS, RESULTS
from suite.workers import Launcher

WORKLOADS = (*TIMED, "latency", "cold-start", "memory", "stream")


def main() -> None:
    parser = argument_parser()
    options = parser.parse_args()
    try:
        if options.report is not None:
            render(results.read(options.report), options.report)
            return
        keys = chosen_workloads(options.workloads)
        if options.rounds is not None and options.rounds < 1:
            raise ValueError(f"--rounds must be at least 1, got {options.rounds}.")
        contenders = select(options.only)
        level = isa.WITHOUT_AMX if options.without_amx else options.isa
        variables = isa.variables(level)
    except ValueError as error:
        parser.error(str(error))
    except results.ResultError as error:
        raise SystemExit(str(error)) from None
    if level is not None:
        # Here, before any process is started: all that follow inherit it.
        isa.refuse_amx()
    # So that an ordinary kill ends the workers and renders what there is, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run(options, keys, contenders, level, variables)
    except (GlossrankError, PeerError) as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        raise SystemExit("stopped; what was measured so far is in the result file") from None


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME",
        help="a contender's key or library, with * for any letters; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--workloads", metavar="LIST", help=f"some of {','.join(WORKLOADS)}, by default all"
    )
    parser.add_argument("--rounds", type=int, help="of each workload, instead of its own number")
    parser.add_argument(
        "--model", type=Path, default=PACKAGED_MODELS / DEFAULT_MODEL, help="a model folder"
    )
    parser.add_argument("--quick", action="store_true", help="few pairs, one round")
    level = parser.add_mutually_exclusive_group()
    level.add_argument("--isa", metavar="LEVEL", help=f"one of {', '.join(isa.LEVELS)}")
    level.add_argument("--without-amx", action="store_true", help=f"--isa {isa.WITHOUT_AMX}")
    parser.add_argument("--output", type=Path, help="folder of the result files")
    parser.add_argument(
        "--report", type=Path, metavar="FILE.json", help="only render a result again"
    )
    return parser


def chosen_workloads(text: str | None) -> list[str]:
    """In the order in which they are measured.

    Raises:
        ValueError: a name that there is not.
    """
    names = list(WORKLOADS) if text is None else text.split(",")
    for name in names:
        if name not in WORKLOADS:
            raise ValueError(f"no workload is called {name!r}; there are {', '.join(WORKLOADS)}.")
    return [name for name in WORKLOADS if name in names]


def run(
    options: argparse.Namespace,
    keys: list[str],
    contenders: tuple[Any, ...],
    level: str | None,
    variables: dict[str, str],
) -> None:
    folder = load_model_folder(options.model)
    sizes = workloads.QUICK if options.quick else workloads.Sizes()
    scratch = BENCH_BUILD / ("quick" if options.quick else "run")
    texts, counter = workloads.read_texts(), workloads.TokenCounter(folder)
    note("workloads")
    mixed = stream_file.mixed_sample(sizes, texts)
    made = workloads.build(sizes, texts, counter, mixed, scratch)
    made["check"] = workloads.check_workload(sizes, made, counter, scratch)
    launcher = Launcher(variables)
    result = new_result(options, folder, level, variables)
    result["workloads"] = {
        key: workloads.description(one, float(pair_flops(folder.config, one.tokens).sum()))
        for key, one in made.items()
    }
    output = options.output or (scratch if options.quick else RESULTS)
    output.mkdir(parents=True, exist_ok=True)
    file = results.unused(output, machine.result_name(result["machine"], level))

    def save() -> None:
        results.write(result, file)

    note("the machine's own rates")
    result["rates"] = measured_rates(launcher, quick=options.quick)
    save()
    measurement = Measurement(
        contenders,
        made,
        launcher=launcher,
        artifacts=Artifacts(folder.path, made["short"].file, launcher),
        result=result,
        save=save,
        scratch=scratch,
    )
    try:
        measurement.prepare()
        measurement.rounds(keys, 1 if options.quick else options.rounds)
        if "stream" in keys and any(contender.streams for contender in contenders):
            note("the long file")
            stream = stream_file.write(sizes, texts, counter, scratch)
            measurement.stream(stream, pair_flops(folder.config, stream.tokens))
        result["finished"] = now()
    finally:
        measurement.close()
        result["machine"]["load_after"] = os.getloadavg()[0]
        save()
        render(result, file)


def new_result(
    options: argparse.Namespace, folder: ModelFolder, level: str | None, variables: dict[str, str]
) -> results.Result:
    config = folder.config
    weights = (folder.path / WEIGHTS_FILE).read_bytes()
    return {
        "schema": results.SCHEMA,
        "started": now(),
        "finished": None,
        "commit": machine.commit(),
        "quick": options.quick,
        "arguments": sys.argv[1:],
        "isa": {"name": level, "variables": variables, "not_limited": isa.NOT_LIMITED},
        "machine": machine.describe(),
        "rates": {},
        "model": {
            "name": folder.path.name,
            "sha256": hashlib.sha256(weights).hexdigest(),
            "layers": config.num_layers,
            "hidden": config.hidden_size,
            "intermediate": config.intermediate_size,
        },
        "workloads": {},
        "contenders": {},
        "seconds": {},
        "latency": {},
        "cold_start": {},
        "memory": {},
        "stream": {},
        "idle": 0.0,
    }


def measured_rates(launcher: Launcher, *, quick: bool) -> dict[str, Any]:
    """See ``peers/rates.py``; an empty object where torch or OpenVINO cannot run."""
    command = [sys.executable, str(PEERS / "rates.py"), *(["--quick"] if quick else [])]
    done = subprocess.run(command, env=launcher.variables(OURS), capture_output=True, text=True)
    if done.returncode:
        note(f"no rates: {done.stderr.strip().splitlines()[-1:]}")
        return {}
    rates: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return rates


def render(result: results.Result, file: Path) -> None:
    """The Markdown and the plots beside a result file."""
    drawn = plots.draw(result, file)
    text = report.markdown(result, [plot.name for plot in drawn])
    file.with_suffix(".md").write_text(text, encoding="utf-8")
    note(f"{file.with_suffix('.md')}")


def now() -> str:
    return f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC"


if __name__ == "__main__":
    main()
