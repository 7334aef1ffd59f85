from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from suite.isa import LEVELS, WITHOUT_AMX, variables  # noqa: E402

# Asks for AMX's tile registers before and after, in the process and in a child of it.
_ASK = """
import ctypes, subprocess, sys
sys.path.insert(0, {path!r})
from suite.isa import refuse_amx
ask = "import ctypes; c = ctypes.CDLL(None, use_errno=True); "
ask += "print(c.syscall(158, 0x1023, 18), ctypes.get_errno())"
refuse_amx()
exec(ask)
sys.stdout.flush()
subprocess.run([sys.executable, "-c", ask], check=True)
code = ctypes.c_ulong()
print(ctypes.CDLL(None).syscall(158, 0x1022, ctypes.byref(code)))
"""


def test_all_libraries_get_the_same_level() -> None:
    assert variables(None) == {}
    assert WITHOUT_AMX in LEVELS
    assert variables("AVX2") == {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "DNNL_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    }


def test_an_unknown_level_is_named() -> None:
    with pytest.raises(ValueError, match=r"AVX512_CORE_VNNI.*got 'AVX9'"):
        variables("AVX9")


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="AMX is of Linux on x86-64"
)
def test_the_kernel_refuses_amx_to_the_process_and_its_children() -> None:
    code = _ASK.format(path=str(ROOT / "benchmarks"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # EPERM twice; another question of the same system call is answered as before.
    assert done.stdout.splitlines()[:2] == ["-1 1", "-1 1"]
    assert done.stdout.splitlines()[2] == "0"
