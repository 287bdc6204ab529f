"""The notebook runs from top to bottom, offline, and its own checks hold."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "assets" / "lessons" / "lsnet_explorer.ipynb"
nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")


@pytest.fixture(scope="module")
def executed() -> list:
    """Its code cells with what they printed, run where it lies and with no way to the Hub."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": NOTEBOOK.parent}}
    )
    client.execute(env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"})
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cell: dict) -> str:
    return "".join(output.get("text", "") for output in cell["outputs"])


def test_it_runs_to_its_end(executed: list) -> None:
    assert all(cell["execution_count"] for cell in executed)
    assert "trace.npz" in printed(executed[-1])


def test_its_figures_are_drawn(executed: list) -> None:
    figures = [
        output
        for cell in executed
        for output in cell["outputs"]
        if "application/vnd.plotly.v1+json" in output.get("data", {})
    ]
    assert len(figures) == 3
    assert all(figure["data"]["application/vnd.plotly.v1+json"]["data"] for figure in figures)


def test_it_is_kept_without_outputs_and_explains_in_both_languages() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
        else:
            assert any("\u4e00" <= letter <= "\u9fff" for letter in cell.source), cell.source[:60]
    asserted = [cell for cell in notebook.cells if cell.cell_type == "code" and "assert" in cell.source]
    assert len(asserted) >= 7
