"""``python -m lsnet.tools.validate``: how often weights are right, on which classes, and what they mistake for what."""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from tqdm import tqdm

from lsnet.errors import InputError
from lsnet.labels import Label
from lsnet.predictor import Predictor, load_predictor
from lsnet.preprocess import Preprocess
from lsnet.tools import crops
from lsnet.tools.command_line import run_tool
from lsnet.tools.data import Pictures, Source, held_out_pictures
from lsnet.tools.metrics import Tally
from lsnet.tools.processes import Processes
from lsnet.tools.results import origin, origin_columns, weights_digest, write_csv
from lsnet.tools.sets import add_set_arguments, sources_of
from lsnet.tools.timing import Throughput, throughput


@dataclass(frozen=True)
class Validation:
    """The outcome on one set.

    Attributes:
        name: of the set.
        tally: counts, by the classes of the weights.
        seconds: spent in the network and in moving pictures to it, by the slowest process.
        broken: pictures that could not be decoded.
    """

    name: str
    tally: Tally
    seconds: float
    broken: tuple[str, ...]

    def to_dict(self, classes: Sequence[Label], pairs: int = 10) -> dict[str, Any]:
        """Accuracies with 95 % Wilson intervals, throughput and the worst pairs, JSON-able."""
        accuracy = self.tally.accuracy
        return {
            "set": self.name,
            "top1": accuracy.to_dict(),
            "top5": self.tally.accuracy_top5.to_dict(),
            "mean_per_class": round(self.tally.mean_per_class, 4),
            "pictures_per_second": round(accuracy.total / self.seconds, 1) if self.seconds else None,
            "skipped": list(self.broken),
            "worst_pairs": [
                {"true": classes[true].id, "predicted": classes[predicted].id, "pictures": count}
                for true, predicted, count in self.tally.worst_pairs(pairs)
            ],
        }


def validate(predictor: Predictor, pictures: Pictures, processes: Processes, batch_size: int = 64) -> Validation:
    """Count right answers on pictures that :func:`lsnet.tools.data.held_out_pictures` prepared.

    Only logits of classes that the weights know compete; ``pictures.classes`` are those of the weights.
    """
    tally, seconds = Tally(len(predictor.classes)), 0.0
    rows = np.arange(len(pictures))[processes.rank :: processes.count]
    batches = logits_of(predictor, pictures, rows, batch_size)
    progress = tqdm(total=len(rows), desc=pictures.name, mininterval=2, disable=not processes.leads)
    with progress:
        for batch, logits, took in batches:
            seconds += took
            tally.add(logits, torch.from_numpy(pictures.labels[batch]))
            progress.update(len(batch))
    tally.merge()
    return Validation(pictures.name, tally, processes.slowest(seconds), pictures.broken)


def logits_of(
    predictor: Predictor, pictures: Pictures, rows: npt.NDArray[np.int64], batch_size: int = 64
) -> Iterator[tuple[npt.NDArray[np.int64], Tensor, float]]:
    """Logits of chosen pictures, batch by batch.

    Yields:
        Which rows; their logits (B, classes) on the CPU; the seconds spent in the network and in moving to and from it.
    """
    model: nn.Module = predictor.model
    dtype = next(model.parameters()).dtype
    for first in range(0, len(rows), batch_size):
        batch = rows[first : first + batch_size]
        pictured = pictures.pixels[batch]  # (B, H, W, 3); made here where they are corrupted on the fly
        start = time.perf_counter()
        with torch.inference_mode():
            pixels = torch.from_numpy(pictured).to(predictor.device)
            inputs = crops.normalize(pixels.permute(0, 3, 1, 2).float() / 255)
            logits = model(inputs.to(dtype, memory_format=torch.channels_last)).float().cpu()  # waits for the device
        yield batch, logits, time.perf_counter() - start


def matched_pictures(source: Source, predictor: Predictor, cache: Path) -> Pictures:
    """The source's held-out split, labelled by the weights' class ids.

    Raises:
        InputError: the set has a class that the weights do not know.
    """
    ids = [label.id for label in predictor.classes]
    unknown = sorted(set(source.members()["val"].values()) - set(ids))
    if unknown:
        raise InputError(
            "data.classes",
            f"these weights do not know {len(unknown)} classes of {source.name}, such as {unknown[0]!r}: folders are "
            "named by class id",
            set=source.name,
        )
    return held_out_pictures(source, ids, predictor.preprocess, cache)


def per_class(classes: Sequence[Label], results: Sequence[Validation]) -> Iterator[dict[str, Any]]:
    """A row for each set and class that it has: id, name, pictures, accuracy and its interval, commonest mistake."""
    for result in results:
        for index, label in enumerate(classes):
            rate = result.tally.of_class(index)
            if rate.total == 0:
                continue
            mistakes = result.tally.confusion[index].copy()
            mistakes[index] = 0
            row = {"set": result.name, "id": label.id, "name": label.en, "pictures": rate.total}
            row |= {"accuracy": f"{rate.value:.4f}", "low": f"{rate.low:.4f}", "high": f"{rate.high:.4f}"}
            yield row | {"most_often_mistaken_for": classes[int(mistakes.argmax())].id if mistakes.any() else ""}


def report(result: Validation, classes: Sequence[Label]) -> str:
    """A few lines for the screen."""
    tally = result.tally
    accuracy, mean = tally.accuracy, 100 * tally.mean_per_class
    lines = [
        f"{result.name}: {accuracy.total} pictures, {accuracy.total / max(result.seconds, 1e-9):.0f} a second",
        f"  top-1 {accuracy}   top-5 {tally.accuracy_top5}   mean over classes {mean:.1f} %",
    ]
    if result.broken:
        lines.append(f"  skipped {len(result.broken)} that cannot be decoded, such as {result.broken[0]}")
    for true, predicted, count in tally.worst_pairs(5):
        total = tally.of_class(true).total
        lines.append(f"  {classes[true].en} taken for {classes[predicted].en}: {count} of {total}")
    return "\n".join(lines)


def table_speed(predictor: Predictor, processes: Processes, budget: Sequence[float]) -> Throughput | None:
    """Table 1's pictures a second, measured by the first process while the others wait; None in those."""
    warm_up, seconds = budget
    size = predictor.preprocess.size
    speed = throughput(predictor.lsnet, size, warm_up, seconds) if processes.leads else None
    processes.wait()
    return speed


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate weights on the held-out pictures of folders or tars."""
    parser = argparse.ArgumentParser("python -m lsnet.tools.validate", description=main.__doc__)
    parser.add_argument("--weights", default="bundled", help="bundled, bundled/<name>, a model on the Hub, or a file")
    add_set_arguments(parser)
    parser.add_argument("--size", type=int, help="input side in pixels; the weights' own by default")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--json", type=Path, help="write the results here")
    parser.add_argument("--per-class", type=Path, help="write a CSV of every class here")
    parser.add_argument(
        "--throughput",
        choices=("paper",),
        help="also time random pictures in large batches, as for the paper's table 1",
    )
    parser.add_argument("--throughput-seconds", type=float, nargs=2, default=(5.0, 10.0), metavar=("WARM_UP", "TIMED"))
    args = parser.parse_args(argv)
    if not args.data and not args.dataset and not args.throughput:
        parser.error("expected --data or --dataset, or --throughput")
    for path in filter(None, (args.json, args.per_class)):
        path.parent.mkdir(parents=True, exist_ok=True)
    processes = Processes.join()
    how = origin(processes.command("lsnet.tools.validate", argv or sys.argv[1:]))
    predictor = load_predictor(args.weights, processes.device).framed(args.size)
    speed = table_speed(predictor, processes, args.throughput_seconds) if args.throughput else None
    predictor.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with processes.leader_first():
        prepared = [matched_pictures(source, predictor, args.cache) for source in sources_of(args)]
    results = [validate(predictor, pictures, processes, args.batch_size) for pictures in prepared]
    if processes.leads:
        preprocess: Preprocess = predictor.preprocess
        print(f"{args.weights} at {preprocess.size} px on {predictor.device}")
        if speed is not None:
            print(f"{speed.pictures_per_second:.0f} pictures a second in batches of {speed.batch_size}, norms folded")
        print("\n".join(report(result, predictor.classes) for result in results))
        if args.json:
            outcome: dict[str, Any] = {
                **how,
                "weights": predictor.card.source,
                "digest": weights_digest(predictor.model),
                "size": preprocess.size,
                "device": str(predictor.device),
            }
            if speed is not None:
                outcome["throughput"] = asdict(speed)
            sets = [result.to_dict(predictor.classes) for result in results]
            args.json.write_text(json.dumps(outcome | {"sets": sets}, indent=1, ensure_ascii=False) + "\n")
        if args.per_class:
            alike = {"weights": predictor.card.source, "size": preprocess.size, **origin_columns(how)}
            write_csv(args.per_class, list(per_class(predictor.classes, results)), alike)
    processes.leave()


if __name__ == "__main__":
    run_tool(main)
