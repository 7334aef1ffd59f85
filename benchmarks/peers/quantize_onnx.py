"""ONNX Runtime's dynamic int8 quantisation of an ONNX folder, scales per channel.

Its default, one scale for a whole weight matrix, moves the logits several times as far.

    python quantize_onnx.py ONNX_FOLDER OUTPUT
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from onnxruntime.quantization import QuantType, quantize_dynamic


def main(folder: Path, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.json"):
        shutil.copyfile(file, output / file.name)
    quantize_dynamic(
        folder / "model.onnx",
        output / "model.onnx",
        weight_type=QuantType.QInt8,
        per_channel=True,
    )


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
