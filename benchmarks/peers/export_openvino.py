"""sentence-transformers' own OpenVINO folders: the exact one and its static int8 export.

    python export_openvino.py MODEL OUTPUT CALIBRATION

OUTPUT becomes a model folder with ``openvino/openvino_model.xml`` (fp32) and
``openvino/openvino_model_qint8_quantized.xml``, the work of
``export_static_quantized_openvino_model`` with its default settings. CALIBRATION is a folder
with one JSONL file whose column ``pair`` holds training questions with definitions: the
export's default, single film reviews from the hub, has nothing to do with pairs.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from sentence_transformers import CrossEncoder
from sentence_transformers.backend import export_static_quantized_openvino_model


def main(model_folder: Path, output: Path, calibration: Path) -> None:
    shutil.copytree(model_folder, output, dirs_exist_ok=True)
    model = CrossEncoder(str(output), device="cpu", backend="openvino")
    model.save_pretrained(str(output))
    export_static_quantized_openvino_model(
        model,
        None,
        str(output),
        dataset_name=str(calibration),
        dataset_config_name="default",
        dataset_split="train",
        column_name="pair",
    )
    # The tests of both files are the driver's: it compares their logits before timing them.
    for name in ("openvino_model.xml", "openvino_model_qint8_quantized.xml"):
        if not (output / "openvino" / name).is_file():
            raise SystemExit(f"the export wrote no {name}")


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
