"""``--isa`` and ``--without-amx``: all contenders as on a lesser processor.

What is set for every process alike, and what was found to follow it (each run lists the kernels
that its measured matrix products took, so that this can be checked there):

- ``ONEDNN_MAX_CPU_ISA``: oneDNN, so torch's bf16 and OpenVINO's products. OpenVINO asks the
  processor itself whether it has bf16: below AVX512_CORE_BF16 its bf16 runs emulated, and at
  AVX2 it fails ("could not create a primitive descriptor"), where a real AVX2 processor would
  get fp32.
- ``ATEN_CPU_CAPABILITY``: torch's own kernels (softmax, norms, GELU).
- ``MKL_ENABLE_INSTRUCTIONS``: MKL, so torch's fp32 products; on processors of Intel only.
- ONNX Runtime's MLAS, which FlashRank and fastembed run on and OpenVINO takes some fp32
  products from, asks the processor and has no switch: it stays as it is.
- AMX, which needs the kernel's leave per process: it is refused to the benchmark and all that
  it starts, by a seccomp filter, so no library at all can use it.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

WITHOUT_AMX = "AVX512_CORE_VNNI"
"""What ``--without-amx`` means: the last server processors before AMX and bf16."""

# oneDNN's names, least first, with what torch's and MKL's switches call the same.
_LEVELS = {
    "SSE41": ("default", "SSE4_2"),
    "AVX2": ("avx2", "AVX2"),
    "AVX2_VNNI": ("avx2", "AVX2"),
    "AVX512_CORE": ("avx512", "AVX512"),
    "AVX512_CORE_VNNI": ("avx512", "AVX512"),
    "AVX512_CORE_BF16": ("avx512", "AVX512"),
}
LEVELS = tuple(_LEVELS)

NOT_LIMITED = "ONNX Runtime's MLAS kernels (also FlashRank's, fastembed's, some of OpenVINO's fp32)"

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _EPERM = 158, 0x1023, 1
_AUDIT_ARCH_X86_64 = 0xC000003E
_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
# Offsets in the kernel's struct seccomp_data.
_AT_NUMBER, _AT_ARCH, _AT_FIRST_ARGUMENT = 0, 4, 16


def variables(isa: str | None) -> dict[str, str]:
    """Environment variables that hold every library to an instruction set; none for None.

    Raises:
        ValueError: no level of that name.
    """
    if isa is None:
        return {}
    if isa not in _LEVELS:
        raise ValueError(f"--isa must be one of {', '.join(_LEVELS)}, got {isa!r}.")
    aten, mkl = _LEVELS[isa]
    return {
        "ONEDNN_MAX_CPU_ISA": isa,
        "DNNL_MAX_CPU_ISA": isa,
        "ATEN_CPU_CAPABILITY": aten,
        "MKL_ENABLE_INSTRUCTIONS": mkl,
    }


def refuse_amx() -> None:
    """Let the kernel refuse AMX to this process and all that it starts from now on.

    A seccomp filter answers ``arch_prctl(ARCH_REQ_XCOMP_PERM)``, with which Linux hands out the
    tile registers (Documentation/arch/x86/xstate.rst), with EPERM; every other call passes.
    It cannot be taken back. Elsewhere than on Linux on x86-64 nothing is done.

    Raises:
        OSError: the kernel takes no filter.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return

    def step(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("HBBI", code, yes, no, value)

    steps = [
        step(_LOAD_WORD, _AT_ARCH),
        step(_JUMP_IF_EQUAL, _AUDIT_ARCH_X86_64, no=5),
        step(_LOAD_WORD, _AT_NUMBER),
        step(_JUMP_IF_EQUAL, _ARCH_PRCTL, no=3),
        step(_LOAD_WORD, _AT_FIRST_ARGUMENT),
        step(_JUMP_IF_EQUAL, _ARCH_REQ_XCOMP_PERM, no=1),
        step(_RETURN, _ERRNO | _EPERM),
        step(_RETURN, _ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(steps))
    # struct sock_fprog: a count, and a pointer aligned to its size.
    program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for arguments in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.c_char_p(program), 0, 0),
    ):
        if prctl(*arguments):
            number = ctypes.get_errno()
            raise OSError(number, f"AMX cannot be switched off: {os.strerror(number)}")
