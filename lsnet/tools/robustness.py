"""``python -m lsnet.tools.robustness``: weights on ImageNet-C, -A, -R and -Sketch, or on corruptions made here.

Published sets are folders that their archives unpacked to. ``--data`` and ``--dataset`` corrupt the held-out pictures
of any set on the fly: that says how robust weights are, but it is not ImageNet-C, and there is no mCE of it, because
nobody knows AlexNet's errors on those pictures.

Every condition is written to ``robustness.json`` and ``robustness.csv`` in ``--output`` once it is measured, and the
same command goes on where it was stopped. Under ``torchrun`` processes share the pictures of each condition.

Source: paper, table 4; ImageNet-C: Hendrycks and Dietterich, 2019; -A and -R: Hendrycks et al., 2021; -Sketch: Wang et
al., 2019.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lsnet.predictor import Predictor, load_predictor
from lsnet.tools import corruptions
from lsnet.tools.command_line import run_tool
from lsnet.tools.corruptions import CORRUPTIONS, SEVERITIES
from lsnet.tools.data import Pictures
from lsnet.tools.processes import Processes
from lsnet.tools.published import IMAGENET_C, PUBLISHED, Published, class_stamps, published_pictures
from lsnet.tools.results import KeptRows, origin, text_digest, weights_digest
from lsnet.tools.sets import add_set_arguments, sources_of
from lsnet.tools.validate import Validation, matched_pictures, validate


@dataclass(frozen=True)
class Condition:
    """A row of the table before it is measured.

    Attributes:
        set: name of the set.
        corruption, severity: empty and 0 for pictures as they are.
        open: gives the network for the classes that compete, and the pictures.
        published: the set that it belongs to; None for pictures corrupted here.
        members: which pictures these are, as a digest: of the names of those corrupted here, of a published folder's
            classes and when each last gained or lost a picture.
    """

    set: str
    corruption: str
    severity: int
    open: Callable[[], tuple[Predictor, Pictures]]
    members: str
    published: Published | None = None


class Table:
    """Measured conditions, kept in ``robustness.json`` and ``robustness.csv``.

    Args:
        folder: made where it does not exist.
        subject, how: see :class:`lsnet.tools.results.KeptRows`.

    Raises:
        InputError: the folder holds results about another subject.
    """

    def __init__(self, folder: Path, subject: Mapping[str, Any], how: Mapping[str, Any]) -> None:
        alike = {"weights": subject["weights"], "size": subject["size"]}
        self.kept = KeptRows(folder / "robustness.csv", subject, how, alike)

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.kept.rows

    def has(self, condition: Condition) -> bool:
        """Whether it was measured before.

        Raises:
            InputError: it was, on other pictures.
        """
        key = (condition.set, condition.corruption, condition.severity)
        known = {(row["set"], row["corruption"], row["severity"]): row["members"] for row in self.rows}
        if key in known and known[key] != condition.members:
            raise self.kept.other_results(f"other pictures of {condition.set}")
        return key in known

    def add(self, condition: Condition, outcome: Validation) -> None:
        """Append a row and write both files anew."""
        tally, published = outcome.tally, condition.published
        top1, classes = tally.accuracy, int((tally.confusion.sum(axis=1) > 0).sum())
        row = {"set": condition.set, "corruption": condition.corruption, "severity": condition.severity}
        row |= {"members": condition.members, "classes": classes, "hits": top1.hits, **top1.to_dict()}
        row |= {"top5": tally.accuracy_top5.to_dict()["accuracy"]}
        row["as_published"] = published and (classes, top1.total) == (published.classes, published.pictures)
        self.kept.add([row], summary=summary([*self.rows, row]))


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What the paper's table 4 has, by set: ``top1``, or errors on corruptions, relative to AlexNet's for ImageNet-C.

    For published sets ``as_published`` says whether all of the set was there; only then do numbers compare with others.
    """
    sets = {}
    published = {part.name for part in PUBLISHED.values()}
    for name in dict.fromkeys(row["set"] for row in rows):
        mine = [row for row in rows if row["set"] == name]
        error = {(row["corruption"], row["severity"]): 1 - row["hits"] / row["pictures"] for row in mine}
        entry: dict[str, Any] = {"top1": 1 - error["", 0]} if ("", 0) in error else {}
        errors = {key: value for key, value in error.items() if key != ("", 0)}
        if errors:
            entry |= {"mean_error": float(np.mean(list(errors.values()))), "errors": corruptions.mean_errors(errors)}
        if name == IMAGENET_C.name:
            entry |= {"ce": corruptions.corruption_errors(errors), "mce": corruptions.mean_corruption_error(errors)}
        if name in published:
            whole = name != IMAGENET_C.name or len(errors) == len(CORRUPTIONS) * len(SEVERITIES)
            entry["as_published"] = whole and all(row["as_published"] for row in mine)
        sets[name] = entry
    return sets


def report(sets: Mapping[str, Mapping[str, Any]]) -> str:
    """A line for each set."""
    lines = []
    for name, entry in sets.items():
        numbers = [f"top-1 {100 * entry['top1']:.1f} %"] if "top1" in entry else []
        if "mean_error" in entry:
            numbers.append(f"mean error under corruption {100 * entry['mean_error']:.1f} %")
        if name == IMAGENET_C.name:
            missing = [corruption for corruption in CORRUPTIONS if corruption not in entry["ce"]]
            numbers.append(f"no mCE without {', '.join(missing)}" if missing else f"mCE {100 * entry['mce']:.1f}")
        if not entry.get("as_published", True):
            numbers.append("not the whole set: not to be compared with published numbers")
        lines.append(f"{name}: {', '.join(numbers)}")
    return "\n".join(lines)


def published_conditions(args: argparse.Namespace, predictor: Predictor, threads: Executor) -> list[Condition]:
    """Everything that the folders of published sets hold."""
    conditions = []
    for option, published in PUBLISHED.items():
        path: Path | None = getattr(args, option)
        if path is None:
            continue
        # ImageNet-C's pictures are cropped already, and its authors look at them as they are.
        crop_pct = args.crop_pct or (1.0 if published is IMAGENET_C else predictor.preprocess.crop_pct)
        framed = replace(predictor, preprocess=replace(predictor.preprocess, crop_pct=crop_pct))
        for (corruption, severity), folder in published.folders(path).items():
            opened = partial(published_pictures, published, folder, framed, args.known_classes, threads)
            members = text_digest("\n".join(class_stamps(folder)))
            conditions.append(Condition(published.name, corruption, severity, opened, members, published))
    return conditions


def conditions_made_here(
    args: argparse.Namespace, predictor: Predictor, pictures: Pictures, pool: Executor | None
) -> list[Condition]:
    """Pictures as they are, and with every chosen corruption and severity."""
    pictures = pictures.drawn(args.limit) if args.limit else pictures

    def opened(corruption: str, severity: int) -> tuple[Predictor, Pictures]:
        return predictor, corruptions.corrupted(pictures, corruption, severity, pool) if corruption else pictures

    keys = [("", 0), *((corruption, severity) for corruption in args.corruptions for severity in SEVERITIES)]
    members = text_digest("\n".join(pictures.members))
    return [Condition(pictures.name, *key, partial(opened, *key), members) for key in keys]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure robustness; give published folders, or --data or --dataset to corrupt pictures here, or both."""
    parser = argparse.ArgumentParser("python -m lsnet.tools.robustness", description=main.__doc__)
    parser.add_argument("--weights", default="bundled", help="bundled, bundled/<name>, a model on the Hub, or a file")
    parser.add_argument("--output", type=Path, required=True, help="folder for the results")
    for option, published in PUBLISHED.items():
        flag = f"--{option.replace('_', '-')}"
        parser.add_argument(flag, type=Path, help=f"{published.name}, unpacked: {published.layout}")
    add_set_arguments(parser)
    parser.add_argument("--corruptions", nargs="+", default=CORRUPTIONS, choices=CORRUPTIONS, help="to make here")
    parser.add_argument("--limit", type=int, help="corrupt only so many pictures of a set here, drawn once for all")
    parser.add_argument(
        "--known-classes", action="store_true", help="leave out published pictures of classes the weights do not know"
    )
    parser.add_argument("--size", type=int, help="input side in pixels; the weights' own by default")
    parser.add_argument(
        "--crop-pct",
        type=float,
        help="share of the resized shorter side that is cropped; the weights' own by default, and 1 for ImageNet-C, "
        "whose pictures are cropped already",
    )
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2, help="that decode or corrupt, for each process")
    args = parser.parse_args(argv)
    processes = Processes.join()
    predictor = load_predictor(args.weights, processes.device).framed(args.size)
    if args.crop_pct:
        predictor = replace(predictor, preprocess=replace(predictor.preprocess, crop_pct=args.crop_pct))
    with processes.leader_first():
        sources = sources_of(args)
    if sources:
        corruptions.package_version()
    subject = {
        "weights": predictor.card.source,
        "digest": weights_digest(predictor.model),
        "size": predictor.preprocess.size,
        "crop_pct": args.crop_pct,
        "known_classes": args.known_classes,
        "limit": args.limit,
    }
    command = processes.command("lsnet.tools.robustness", argv or sys.argv[1:])
    table = Table(args.output, subject, origin(command, *([corruptions.PACKAGE] if sources else [])))
    predictor.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with ThreadPoolExecutor(max(args.workers, 1)) as threads, corruptions.process_pool(args.workers) as pool:
        conditions = published_conditions(args, predictor, threads)
        with processes.leader_first():
            for source in sources:
                pictures = matched_pictures(source, predictor, args.cache)
                conditions += conditions_made_here(args, predictor, pictures, pool)
        if not conditions:
            parser.error("expected a folder of a published set, --data or --dataset")
        waiting = [condition for condition in conditions if not table.has(condition)]
        for number, condition in enumerate(waiting, start=1):
            measured, pictures = condition.open()
            outcome = validate(measured, pictures, processes, args.batch_size)
            if processes.leads:
                table.add(condition, outcome)
                place = f"{condition.set} {condition.corruption} {condition.severity or ''}".strip()
                print(f"{number} of {len(waiting)}: {place}: top-1 {outcome.tally.accuracy}", flush=True)
    if processes.leads:
        print(report(summary(table.rows)))
    processes.leave()


if __name__ == "__main__":
    run_tool(main)
