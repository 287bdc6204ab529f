"""What a reader must know about a network before believing anything that it shows."""

from viz.texts import Texts


def caveats(source: str, weights: str, trained: bool, say: Texts) -> str:
    """Sentences as Markdown; empty where there is nothing to warn of.

    Args:
        source: which weights, as :func:`lsnet.load_predictor` takes them.
        weights: the line that names them, architecture first; see :func:`lsnet.weights.weights_label`.
        trained: whether they are trained.
        say: texts of the reader's language.
    """
    notes = [] if trained else [say("notice.untrained")]
    if weights.startswith("lsnet_n "):
        notes.append(say("notice.own_model"))
    if source.startswith("untrained/ls_"):
        notes.append(say("notice.transplant"))
    return " ".join(notes)
