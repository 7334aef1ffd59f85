"""sentence-transformers' own ONNX folders: the exact one and its dynamic int8 export.

    python export_st_onnx.py MODEL OUTPUT KIND

OUTPUT becomes a model folder with ``onnx/model.onnx`` (fp32) and ``onnx/model_qint8.onnx``, the
work of ``export_dynamic_quantized_onnx_model``; KIND is its name for the processor.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from sentence_transformers import CrossEncoder
from sentence_transformers.backend import export_dynamic_quantized_onnx_model


def main(model_folder: Path, output: Path, kind: str) -> None:
    shutil.copytree(model_folder, output, dirs_exist_ok=True)
    model = CrossEncoder(str(output), device="cpu", backend="onnx")
    model.save_pretrained(str(output))
    export_dynamic_quantized_onnx_model(model, kind, str(output), file_suffix="qint8")
    for name in ("model.onnx", "model_qint8.onnx"):
        if not (output / "onnx" / name).is_file():
            raise SystemExit(f"the export wrote no {name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
