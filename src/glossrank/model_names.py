"""How a name becomes a model folder: packaged names, folders, hub ids.

This module does not look into the folder beyond its file names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from glossrank.errors import ModelFolderError, ModelNotFoundError
from glossrank.folder_files import CONFIG_FILE, PICKLE_ENDINGS, WEIGHTS_FILE
from glossrank.model_folder import NEEDED_FILES

PACKAGED_MODELS = Path(__file__).parent / "models"
DEFAULT_MODEL = "finance-terms"
DEFAULT_BASE = "minilm-l6-base"
INDEXED_MODEL = "finance-terms-indexed"

_HUB_FILES = ("*.json", "vocab.txt", "README.md")


def packaged_names() -> list[str]:
    """Names of the models that came with the package, sorted."""
    if not PACKAGED_MODELS.is_dir():
        return []
    return sorted(p.name for p in PACKAGED_MODELS.iterdir() if (p / CONFIG_FILE).is_file())


def find_folder(
    name_or_path: str | Path,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_folder: str | Path | None = None,
    local_files_only: bool = False,
    files: Sequence[str] = (WEIGHTS_FILE,),
) -> Path:
    """Turn a packaged name, a folder, or a hub id into a folder on this disk.

    Looked up in that order. A hub id is downloaded through huggingface-hub, into its cache
    or ``cache_folder``; what is cached is used without a network.

    Args:
        name_or_path: ``"finance-terms"``, ``"./my-model"``, ``"cross-encoder/ms-marco-MiniLM-L6-v2"``.
        revision: branch, tag or commit, for hub ids.
        token: hub token, or True for the stored one.
        cache_folder: instead of huggingface-hub's own cache.
        local_files_only: never open a connection.
        files: what to download of a hub id besides its configuration and tokenizer: names or
            patterns; what the model has not is left out.

    Raises:
        ModelNotFoundError: none of the three.
        ModelFolderError: a file, not a folder, was given (a pickle, for instance).
    """
    name = str(name_or_path)
    if name in packaged_names():
        return PACKAGED_MODELS / name
    path = Path(name)
    if path.is_dir():
        return path
    if path.is_file():
        raise _not_a_folder(path)
    if isinstance(name_or_path, Path) or not _is_hub_id(name):
        raise ModelNotFoundError(
            expected="a packaged name, a model folder or a hub id such as 'owner/name'",
            found=f"{name!r}, which is none of them",
            fix=f"Packaged: {', '.join(packaged_names()) or 'none'}. A folder must exist.",
        )
    return _download(
        name,
        revision=revision,
        token=token,
        cache_folder=cache_folder,
        local_files_only=local_files_only,
        files=files,
    )


def _is_hub_id(name: str) -> bool:
    return re.fullmatch(r"[\w][\w.-]*/[\w][\w.-]*", name, flags=re.ASCII) is not None


def _download(
    hub_id: str,
    *,
    revision: str | None,
    token: str | bool | None,
    cache_folder: str | Path | None,
    local_files_only: bool,
    files: Sequence[str],
) -> Path:
    # Imported here: a packaged model or a folder never needs the hub client.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(
            snapshot_download(
                hub_id,
                revision=revision,
                token=token,
                cache_dir=cache_folder,
                local_files_only=local_files_only,
                allow_patterns=[*_HUB_FILES, *files],
            )
        )
    except HfHubHTTPError as error:
        raise _hub_refused(hub_id, error) from error
    except Exception as error:  # what a broken connection raises is the http client's affair
        raise ModelNotFoundError(
            expected=f"{hub_id!r} as a packaged name, a folder, in the local cache or on the hub",
            found=f"none of them: not cached, and the hub is out of reach ({type(error).__name__})",
            fix=(
                "Connect once to download it, or copy the model's folder here and give its path. "
                f"Packaged names work offline: {', '.join(packaged_names()) or 'none'}."
            ),
        ) from error


def _hub_refused(hub_id: str, error: Exception) -> ModelNotFoundError:
    return ModelNotFoundError(
        expected=f"a public model {hub_id!r}, or a token that may read it",
        found=str(error).splitlines()[0],
        fix="Check the id and the revision; for a private model give token=... or log in with `hf auth login`.",
    )


def _not_a_folder(path: Path) -> ModelFolderError:
    if path.suffix.lower() in PICKLE_ENDINGS:
        return ModelFolderError(
            file=path,
            expected="a folder with model.safetensors",
            found="a pickle file, which can run code when it is opened and is never read",
            fix="Save the model again with sentence-transformers (safe_serialization=True), and give its folder.",
        )
    return ModelFolderError(
        file=path,
        expected=f"a folder with {', '.join(NEEDED_FILES)}",
        found="a file",
        fix="Give the folder that holds it.",
    )
