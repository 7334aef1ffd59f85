"""Average the weights of models that were fine-tuned from the same base (a "model soup").

    python scripts/average_models.py build/run-a build/run-b --output build/finance-terms

Wortsman et al. 2022: models from one base lie in one basin, and their mean generalises better
than each; benchmarks/LOG.md has what it gave here. The first folder's other files are copied,
without its card and calibration, which belong to that model alone.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from glossrank.folder_files import WEIGHTS_FILE
from glossrank.fusion import FITTED_FILES
from glossrank.model_folder import load_model_folder
from glossrank.output import new_folder

COPIED = (".json", ".txt")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    configs = {load_model_folder(folder).config for folder in options.folders}
    if len(configs) > 1:
        parser.error("the models differ in size: they do not come from one base")
    models = [load_file(folder / WEIGHTS_FILE) for folder in options.folders]
    mean = {
        name: np.mean([model[name].astype(np.float32) for model in models], axis=0)
        for name in models[0]
    }
    with new_folder(options.output) as folder:
        for file in sorted(options.folders[0].iterdir()):
            if file.suffix in COPIED and file.name not in FITTED_FILES:
                shutil.copyfile(file, folder / file.name)
        half = {name: values.astype(np.float16) for name, values in mean.items()}
        save_file(half, folder / WEIGHTS_FILE, metadata={"format": "pt"})
        digest = hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()
    print(f"{len(models)} models -> {options.output}, SHA-256 {digest}")


if __name__ == "__main__":
    main()
