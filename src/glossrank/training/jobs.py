"""The recipes behind one face: read the data, check with the guard, train, write the card."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from glossrank.calibration import CALIBRATION_FILE
from glossrank.errors import InputError, TrainingInterruptedError
from glossrank.folder_files import WEIGHTS_FILE
from glossrank.glossary import Glossary
from glossrank.judgments import LabelledPair, is_questions_file, read_pairs, read_questions
from glossrank.model_folder import load_model_folder
from glossrank.model_names import find_folder
from glossrank.training.card import model_card
from glossrank.training.card_parts import EvaluationTable
from glossrank.training.examples import (
    TeacherGroup,
    TrainingSet,
    from_pairs,
    from_questions,
    read_teacher_groups,
)
from glossrank.training.fast_card import fast_card
from glossrank.training.fast_run import train_fast
from glossrank.training.guard import Fold, GuardResult, kept_part
from glossrank.training.guarded import calibration_of, guard_folder, guarded
from glossrank.training.listwise_card import listwise_card
from glossrank.training.listwise_run import ListwiseRun, train_listwise
from glossrank.training.own_run import sha256_of, sha256_of_values
from glossrank.training.recipe import FastRecipe, ListwiseRecipe, Recipe
from glossrank.training.run import train
from glossrank.training.work import PairsRun, Progress

OnProgress = Callable[[Progress], None]
Stop = Callable[[], bool]
Evaluate = Callable[[Path], EvaluationTable | None]
AnyRecipe = TypeVar("AnyRecipe", Recipe, FastRecipe)
AnyRun = TypeVar("AnyRun", bound=PairsRun)


@dataclass(frozen=True)
class Job:
    """Data and a recipe, ready to be checked and trained.

    Attributes:
        fit: trains on a fold with a seed into a folder.
        fit_all: trains on everything into a folder, with a last step that gets the folder
            before it is seen; returns a sentence of figures.
    """

    data: TrainingSet
    base: str
    fingerprint: dict[str, Any]
    fit: Callable[[Fold, int, Path, bool, OnProgress, Stop], None]
    fit_all: Callable[[Path, bool, GuardResult | None, Evaluate, OnProgress, Stop], str]

    def guard(
        self,
        *,
        output: Path,
        seeds: int,
        force: bool,
        resume: bool,
        on_progress: OnProgress,
        stop: Stop,
    ) -> GuardResult:
        """Compare the recipe with the base on held-out parts of the data.

        Raises:
            ModelRefusedError: it is worse, and ``force`` is not set.
            TrainingInterruptedError, OutputError, ModelError: as in training.
        """

        def fit(fold: Fold, seed: int, folder: Path) -> None:
            self.fit(fold, seed, folder, resume, on_progress, stop)

        def ask_stop() -> None:
            if stop():
                raise TrainingInterruptedError(
                    file=guard_folder(output),
                    expected="the check of held-out questions to end",
                    found="a stop",
                    fix="Give the same command with --resume to go on.",
                )

        return guarded(
            self.data,
            base=self.base,
            output=output,
            fingerprint=self.fingerprint,
            fit=fit,
            seeds=seeds,
            resume=resume,
            force=force,
            on_question=ask_stop,
        )

    def train(
        self,
        *,
        output: Path,
        resume: bool,
        guard: GuardResult | None,
        evaluate: Evaluate,
        on_progress: OnProgress,
        stop: Stop,
    ) -> str:
        """Train on everything, write card and calibration, and return a line of figures."""
        summary = self.fit_all(output, resume, guard, evaluate, on_progress, stop)
        if guard is not None:
            shutil.rmtree(guard_folder(output), ignore_errors=True)
        return summary


def card_job(pairs: Path, *, base: str, settings: Sequence[str]) -> Job:
    """The model card's recipe on a pairs file.

    Raises:
        InputError: the file or a setting is wrong.
    """
    return _pairs_job(pairs, base, Recipe().with_settings(settings), train, model_card)


def fast_job(pairs: Path, *, base: str, settings: Sequence[str]) -> Job:
    """The fast recipe on a pairs file.

    Raises:
        InputError: the file or a setting is wrong.
    """
    return _pairs_job(pairs, base, FastRecipe().with_settings(settings), train_fast, fast_card)


def _pairs_job(
    pairs: Path,
    base: str,
    recipe: AnyRecipe,
    train_pairs: Callable[..., AnyRun],
    write_card: Callable[..., str],
) -> Job:
    labelled = read_pairs(pairs)
    data = from_pairs(labelled)

    def fit(
        fold: Fold, seed: int, folder: Path, resume: bool, on_progress: OnProgress, stop: Stop
    ) -> None:
        train_pairs(
            _kept_pairs(labelled, data, fold),
            base=base,
            output=folder,
            recipe=dataclasses.replace(recipe, seed=seed),
            resume=resume,
            on_progress=on_progress,
            stop=stop,
        )

    def fit_all(
        output: Path,
        resume: bool,
        guard: GuardResult | None,
        evaluate: Evaluate,
        on_progress: OnProgress,
        stop: Stop,
    ) -> str:
        def finish(folder: Path, run: AnyRun) -> None:
            _calibrate(folder, guard)
            card = write_card(
                run,
                max_length=load_model_folder(folder).max_length,
                evaluation=evaluate(folder),
                guard=guard,
                calibrated=(folder / CALIBRATION_FILE).exists(),
            )
            (folder / "README.md").write_text(card, encoding="utf-8")

        run = train_pairs(
            labelled,
            base=base,
            output=output,
            recipe=recipe,
            resume=resume,
            on_progress=on_progress,
            stop=stop,
            finish=finish,
        )
        return f"{len(labelled)} pairs, {run.seconds:.0f} s, final loss {run.final_loss:.4f}"

    return Job(data, base, _fingerprint(labelled, data, (), base, recipe), fit, fit_all)


def listwise_job(
    file: Path,
    *,
    base: str,
    settings: Sequence[str],
    glossaries: Sequence[Glossary],
    teacher: Path | None,
) -> Job:
    """The listwise recipe on a pairs file, or on judged questions with glossaries.

    Raises:
        InputError: a file or a setting is wrong.
    """
    recipe = ListwiseRecipe().with_settings(settings)
    groups = [] if teacher is None else read_teacher_groups(teacher)
    if is_questions_file(file):
        questions = read_questions(file, united(glossaries), allow_none=True)
        data = from_questions(questions, glossaries)
    else:
        data = from_pairs(read_pairs(file))
    return listwise_job_of(data, base=base, recipe=recipe, groups=groups)


def listwise_job_of(
    data: TrainingSet,
    *,
    base: str,
    recipe: ListwiseRecipe,
    groups: Sequence[TeacherGroup] = (),
) -> Job:
    """The listwise recipe on examples that were made already."""

    def fit(
        fold: Fold, seed: int, folder: Path, resume: bool, on_progress: OnProgress, stop: Stop
    ) -> None:
        train_listwise(
            kept_part(data, fold),
            base=base,
            output=folder,
            recipe=dataclasses.replace(recipe, seed=seed),
            teacher=groups,
            resume=resume,
            on_progress=on_progress,
            stop=stop,
        )

    def fit_all(
        output: Path,
        resume: bool,
        guard: GuardResult | None,
        evaluate: Evaluate,
        on_progress: OnProgress,
        stop: Stop,
    ) -> str:
        def finish(folder: Path, run: ListwiseRun) -> None:
            _calibrate(folder, guard)
            card = listwise_card(run, evaluation=evaluate(folder), guard=guard)
            (folder / "README.md").write_text(card, encoding="utf-8")

        run = train_listwise(
            data,
            base=base,
            output=output,
            recipe=recipe,
            teacher=groups,
            resume=resume,
            on_progress=on_progress,
            stop=stop,
            finish=finish,
        )
        return (
            f"{len(data.examples)} questions, {run.seconds:.0f} s, final loss {run.final_loss:.4f}"
        )

    return Job(data, base, _fingerprint((), data, groups, base, recipe), fit, fit_all)


def _kept_pairs(pairs: Sequence[LabelledPair], data: TrainingSet, fold: Fold) -> list[LabelledPair]:
    """The pairs of a fold: without held-out questions and hidden documents."""
    held_out = {data.examples[at].question for at in (*fold.new_terms, *fold.new_questions)}
    hidden = {text for row in fold.hidden for text in data.candidates[row].texts}
    kept = [p for p in pairs if p.question not in held_out and p.document not in hidden]
    if not kept:
        raise InputError(
            expected="enough pairs to train on a part and compare on the rest",
            found=f"{len(pairs)}",
            fix="Add pairs, or leave out the check with --guard-seeds 0.",
        )
    return kept


def _calibrate(folder: Path, guard: GuardResult | None) -> None:
    calibration = None if guard is None else calibration_of(guard)
    if calibration is not None:
        calibration.save(folder)


def united(glossaries: Sequence[Glossary]) -> Glossary:
    """All terms by id, for checking the ids of questions."""
    terms = {term.id: term for glossary in glossaries for term in glossary.terms}
    return Glossary(name=", ".join(g.name for g in glossaries), terms=tuple(terms.values()))


def _fingerprint(
    pairs: Sequence[LabelledPair],
    data: TrainingSet,
    teacher: Sequence[TeacherGroup],
    base: str,
    recipe: Recipe | FastRecipe | ListwiseRecipe,
) -> dict[str, Any]:
    """Everything that a run depends on, contents and not names."""
    texts = [[p.question, p.document, p.label] for p in pairs]
    groups = [dataclasses.astuple(group) for group in teacher]
    return {
        "data_sha256": sha256_of_values([texts, dataclasses.asdict(data), groups]),
        "base": base,
        "base_sha256": sha256_of(find_folder(base) / WEIGHTS_FILE),
        "recipe": dataclasses.asdict(recipe),
    }
