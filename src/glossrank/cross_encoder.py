"""``CrossEncoder``: scores for (query, document) pairs, ranks for documents.

Signatures and semantics are those of sentence-transformers 6, so that code and frameworks
written for it can call this class unchanged; what runs is glossrank's own engine.
"""

from __future__ import annotations

import copy
import functools
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glossrank import activations
from glossrank.calibration import Calibration, load_calibration
from glossrank.call_arguments import Pair, as_pairs, file_name_of, refuse_options, renamed
from glossrank.encoding import Batch, IntArray, PairEncoder
from glossrank.engines.choose import Backend, Wanted, choose_engine
from glossrank.engines.engine import AnyPrecision, Engine
from glossrank.engines.indexed import IndexedEngine
from glossrank.engines.int8 import INT8_MARGIN
from glossrank.errors import MissingExtraError, ModelFolderError
from glossrank.folder_files import (
    CONFIG_FILE,
    TOKENIZER_FILE,
)
from glossrank.fusion import FITTED_FILES
from glossrank.model_names import find_folder
from glossrank.saved_model import save_model

FloatArray = NDArray[np.float32]


class CrossEncoder:
    """A cross-encoder: on the CPU with OpenVINO, or where torch is installed on a GPU too.

    Attributes:
        encoder: texts to token ids, and token ids to batches.

    Args:
        model_name_or_path: a packaged name (``"finance-terms"``), a model folder, or a hub
            id such as ``"cross-encoder/ms-marco-MiniLM-L6-v2"``.
        num_labels: 1, or None; a reranker has one label.
        max_length: tokens per pair; by default what the model allows (512 for MiniLM).
        activation_fn: from logits to scores, a numpy function or a torch module. By
            default the saved one, else sigmoid.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``, a ``torch.device``, or None. All
            but the CPU need the extra [torch]. None is the CPU, except where torch runs the
            model: there the first of CUDA, MPS and CPU that is found.
        cache_folder, revision, token, local_files_only: for hub ids, see
            :func:`glossrank.model_names.find_folder`.
        backend: ``"openvino"``: glossrank's own graph, else the folder's ``openvino/`` file;
            ``"onnx"``: the folder's ``onnx/`` file, which OpenVINO reads too; ``"torch"``:
            transformers' class; ``"auto"``: the first of these that can run the model.
        model_kwargs: ``{"file_name": ...}`` names an .xml or .onnx file of the folder, with or
            without its subfolder; no other key.
        precision: ``"fp32"``, ``"bf16"``, ``"int8"`` (linear layers in whole numbers of 8 bits,
            not with torch), with torch also ``"fp16"``, or ``"auto"``: half precision where the
            device computes in it, else fp32.
        trust_remote_code: accepted for sentence-transformers' callers; no remote code is ever
            run.
        processor_kwargs, tokenizer_kwargs, config_kwargs: must be empty.

    Raises:
        ModelNotFoundError, ModelFolderError, UnsupportedModelError: before any scoring.
        MissingExtraError: torch is asked for and not installed.
        ValueError: for options that this class or the engine does not have, and for a device
            that is not here.
    """

    @renamed(
        model_name="model_name_or_path",
        automodel_args="model_kwargs",
        tokenizer_args="tokenizer_kwargs",
        config_args="config_kwargs",
        cache_dir="cache_folder",
        default_activation_function="activation_fn",
    )
    def __init__(
        self,
        model_name_or_path: str | Path,
        num_labels: int | None = None,
        max_length: int | None = None,
        activation_fn: Callable[[Any], Any] | None = None,
        device: Any = None,
        *,
        cache_folder: str | Path | None = None,
        trust_remote_code: bool = False,
        revision: str | None = None,
        local_files_only: bool = False,
        token: bool | str | None = None,
        model_kwargs: dict[str, Any] | None = None,
        processor_kwargs: dict[str, Any] | None = None,
        tokenizer_kwargs: dict[str, Any] | None = None,
        config_kwargs: dict[str, Any] | None = None,
        backend: Backend = "auto",
        precision: AnyPrecision = "auto",
    ) -> None:
        wanted = Wanted(
            backend=backend,
            file_name=file_name_of(model_kwargs),
            device=None if device is None else str(device),
            precision=precision,
        )
        refuse_options(
            processor_kwargs=processor_kwargs,
            tokenizer_kwargs=tokenizer_kwargs,
            config_kwargs=config_kwargs,
        )
        if num_labels not in (None, 1):
            raise ValueError(f"num_labels must be 1, a relevance score, got {num_labels}.")
        find = functools.partial(
            find_folder,
            model_name_or_path,
            revision=revision,
            token=token,
            cache_folder=cache_folder,
            local_files_only=local_files_only,
        )
        self._find, self._wanted = find, wanted
        self._chosen = choose_engine(find, wanted)
        self._engine, self._folder = self._chosen.engine, self._chosen.folder
        self._activation_fn = (
            activations.from_name(self._folder.config.activation)
            if activation_fn is None
            else activations.from_callable(activation_fn)
        )
        self.encoder = PairEncoder(self._folder.tokenizer, max_length=self._folder.max_length)
        if max_length is not None:
            self.max_seq_length = max_length

    @property
    def engine(self) -> Engine:
        """What computes the logits of batches."""
        return self._engine

    def with_engine(self, engine: Engine) -> CrossEncoder:
        """The same model, tokenizer and settings, whose batches another engine computes."""
        other = copy.copy(self)
        other._engine = engine
        return other

    @property
    def num_labels(self) -> int:
        """Always 1: one relevance logit per pair."""
        return 1

    @property
    def activation_fn(self) -> activations.ActivationFn:
        """From logits to scores, fp32 ``[pairs]`` each; can be set, to a torch module too."""
        return self._activation_fn

    @activation_fn.setter
    def activation_fn(self, function: Callable[[Any], Any]) -> None:
        self._activation_fn = activations.from_callable(function)

    @functools.cached_property
    def calibration(self) -> Calibration | None:
        """From logits to probabilities, or None where the model folder has none.

        Raises:
            ModelFolderError: the folder's ``calibration.json`` is broken; scores need it not.
        """
        return load_calibration(self._folder.path)

    @property
    def max_seq_length(self) -> int:
        """Tokens per pair, special tokens included; can be set."""
        return self.encoder.max_length

    @max_seq_length.setter
    def max_seq_length(self, value: int) -> None:
        most = self._folder.config.max_positions
        if value > most:
            raise ValueError(
                f"max_length must be at most {most}, the positions of the model, got {value}."
            )
        self.encoder.max_length = value

    @property
    def max_length(self) -> int:
        """The older name of :attr:`max_seq_length`."""
        return self.max_seq_length

    @max_length.setter
    def max_length(self, value: int) -> None:
        self.max_seq_length = value

    @property
    def device(self) -> str:
        """What the model runs on: ``"cpu"``, ``"cuda:0"``, ``"mps"``."""
        return self._engine.device

    @property
    def precision(self) -> str:
        """``"fp32"``, ``"bf16"``, ``"int8"`` or ``"fp16"``, as chosen or found."""
        return self._engine.precision

    @property
    def backend(self) -> str:
        """What runs the model: ``"openvino"``, ``"onnx"`` or ``"torch"``, as chosen or found."""
        return self._chosen.backend

    @property
    def indexed_engine(self) -> IndexedEngine | None:
        """The engine, if definitions can be computed ahead for it, as for finance-terms-indexed."""
        return self._engine if isinstance(self._engine, IndexedEngine) else None

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the weights that run, the folder's tokenizer and calibrations, 64 hexadecimal digits."""
        digest = hashlib.sha256()
        others = (TOKENIZER_FILE, CONFIG_FILE, *FITTED_FILES)
        for file in (*self._chosen.files, *(self._folder.path / name for name in others)):
            digest.update(file.read_bytes() if file.is_file() else b"")
        return digest.hexdigest()

    @property
    def model_path(self) -> Path:
        """The folder that the model was read from."""
        return self._folder.path

    @renamed(sentences="inputs", activation_fct="activation_fn")
    def predict(
        self,
        inputs: Sequence[Pair] | Pair | NDArray[Any] | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        activation_fn: Callable[[Any], Any] | None = None,
        apply_softmax: bool | None = False,
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: Any = None,
        *,
        num_workers: int | None = None,
    ) -> Any:
        """Score pairs.

        Args:
            inputs: pairs of texts (lists, tuples or a 2-D numpy array of strings), or one
                pair. Never changed.
            batch_size: an upper bound on the pairs of a batch. By default batches are cut
                by tokens alone, which is faster; the scores are the same.
            activation_fn: instead of the model's own, for this call.
            convert_to_numpy: if False, a list of torch scalars.
            convert_to_tensor: one torch tensor; overrides ``convert_to_numpy``.
            show_progress_bar, apply_softmax, num_workers: accepted for
                sentence-transformers' callers; without effect on one label.
            ``sentences`` and ``activation_fct`` are older names.

        Returns:
            fp32 ``[pairs]``; one scalar for one pair; an empty array for no pairs. Logits
            are fp32 before the activation, whatever the engine's precision.

        Raises:
            ValueError: ``batch_size`` is not positive, a prompt is given, or an input is
                not a pair.
            TypeError: a text is not a string.
            MissingExtraError: tensors are asked for without torch.
        """
        if prompt is not None or prompt_name is not None:
            raise ValueError("prompts are not supported: put the text into the query instead.")
        self._refuse_other_device(device)
        if batch_size is not None and batch_size <= 0:
            raise ValueError(f"batch_size must be a positive integer, got {batch_size}.")
        pairs, single = as_pairs(inputs)
        activation = (
            self.activation_fn
            if activation_fn is None
            else activations.from_callable(activation_fn)
        )
        scores = np.asarray(activation(self.logits(pairs, batch_size=batch_size)), dtype=np.float32)
        if convert_to_tensor or not convert_to_numpy:
            tensor = _torch().from_numpy(scores)
            if single:
                return tensor[0]
            return tensor if convert_to_tensor else list(tensor)
        return scores[0] if single else scores

    def logits(
        self, pairs: Sequence[tuple[str, str]], *, batch_size: int | None = None
    ) -> FloatArray:
        """fp32 ``[pairs]``: the model's raw output, before any activation.

        Raises:
            ModelFolderError: the weights are so large that a logit is not finite.
        """
        batches = self.encoder.batches(
            pairs, token_budget=self._engine.token_budget, max_pairs=batch_size, fill_last=True
        )
        return self._run(batches, len(pairs))

    def tokenize(self, texts: Sequence[str]) -> list[IntArray]:
        """Token ids of each text, int32, for :meth:`logits_of_ids`: a text asked often is cut once."""
        return self.encoder.tokenize(texts)

    def logits_of_ids(self, pairs: Sequence[tuple[IntArray, IntArray]]) -> FloatArray:
        """As :meth:`logits`, for texts that :meth:`tokenize` has made ids of."""
        batches = self.encoder.batches_of_ids(
            pairs, token_budget=self._engine.token_budget, fill_last=True
        )
        return self._run(batches, len(pairs))

    def _run(
        self, batches: Iterable[Batch], count: int, *, engine: Engine | None = None
    ) -> FloatArray:
        engine = engine or self._engine
        logits = np.empty(count, dtype=np.float32)
        for batch in batches:
            logits[batch.rows] = engine.logits(batch)
        if not np.isfinite(logits).all():
            raise ModelFolderError(
                file=self._folder.path,
                expected="weights that give finite scores",
                found="an overflow",
                fix="Train or download the model again; try precision='fp32' first.",
            )
        return logits

    @functools.cached_property
    def _exact_engine(self) -> Engine:
        return choose_engine(self._find, replace(self._wanted, precision="fp32")).engine

    def _exact_logits(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        """As :meth:`logits`, in fp32 whatever the precision."""
        return self._run(self.encoder.batches(pairs), len(pairs), engine=self._exact_engine)

    def _refuse_other_device(self, device: Any) -> None:
        """A model stays where it was loaded."""
        here = self.device
        if device is not None and str(device) not in (here, f"{here}:0", here.removesuffix(":0")):
            raise ValueError(f"device must be {here!r}, where the model is, got {device!r}.")

    def score(self, text_pairs: Sequence[Pair]) -> list[float]:
        """Scores as Python floats: the call that LangChain's ``CrossEncoderReranker`` makes."""
        return [float(score) for score in self.predict(text_pairs)]

    @renamed(activation_fct="activation_fn")
    def rank(
        self,
        query: str,
        documents: Sequence[str],
        top_k: int | None = None,
        return_documents: bool = False,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        activation_fn: Callable[[Any], Any] | None = None,
        device: Any = None,
        *,
        apply_softmax: bool | None = None,
        convert_to_numpy: bool | None = None,
        convert_to_tensor: bool | None = None,
        num_workers: int | None = None,
        return_probabilities: bool = False,
    ) -> list[dict[str, Any]]:
        """Rank documents for one query.

        Args:
            top_k: how many to return; all by default. With ``precision="int8"`` those that may be
                among them are scored again in fp32, so that they are what fp32 would give.
            return_documents: also return each document under ``"text"``.
            return_probabilities: also return how likely each of these documents is right,
                under ``"probability"``; of a model with a calibration only.

            The others are those of :meth:`predict`.

        Returns:
            ``{"corpus_id": int, "score": float}`` dictionaries of plain Python numbers,
            best first; equal scores keep the order of the documents.
        """
        pairs = [(query, document) for document in documents]
        logits = self.predict(
            pairs,
            prompt_name=prompt_name,
            prompt=prompt,
            batch_size=batch_size,
            # Probabilities and confirmation need logits, which an activation may not give back.
            activation_fn=np.asarray,
            device=device,
        )
        contenders = np.arange(len(pairs))
        if self.precision == "int8" and top_k is not None and 0 < top_k < len(pairs):
            contenders = _contenders(logits, top_k)
            logits[contenders] = self._exact_logits([pairs[row] for row in contenders.tolist()])
        chosen = activations.from_callable(activation_fn or self.activation_fn)
        scores = np.asarray(chosen(logits), dtype=np.float32)
        ordered_by = logits if return_probabilities else scores
        order = contenders[np.argsort(-ordered_by[contenders], kind="stable")[:top_k]]
        probabilities = None
        if return_probabilities:
            if self.calibration is None:
                raise ValueError(
                    f"{self.model_path} has no calibration to make probabilities with."
                )
            probabilities = self.calibration.probability(logits)
        results: list[dict[str, Any]] = []
        for corpus_id in order.tolist():
            result: dict[str, Any] = {"corpus_id": corpus_id, "score": float(scores[corpus_id])}
            if probabilities is not None:
                result["probability"] = float(probabilities[corpus_id])
            if return_documents:
                result["text"] = documents[corpus_id]
            results.append(result)
        return results

    def save_pretrained(self, path: str | Path) -> None:
        """Write the model folder, which sentence-transformers loads too.

        The folder appears whole or not at all. An activation that was set on this object is
        saved if torch has a name for it.

        Raises:
            OutputError: the folder exists and is not empty, or cannot be written.
        """
        save_model(
            self._chosen,
            Path(path),
            max_length=self.max_seq_length,
            activation=activations.to_name(self.activation_fn),
        )


def _contenders(logits: FloatArray, top_k: int) -> NDArray[np.int64]:
    """Rows, ascending, that may be among the first ``top_k`` once they are computed exactly."""
    last = np.partition(logits, -top_k)[-top_k]
    return np.flatnonzero(logits >= last - INT8_MARGIN * np.std(logits))


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError(
            feature="a result as torch tensors", extra="torch", missing="torch"
        ) from error
    return torch
