"""What a reader must know about a network before believing anything that it shows."""

from viz.texts import Texts


def caveats(source: str, trained: bool, say: Texts) -> str:
    """Sentences as Markdown; empty where there is nothing to warn of.

    Args:
        source: which weights, as :func:`lsnet.load_predictor` takes them.
        trained: whether they are trained.
        say: texts of the reader's language.
    """
    notes = [] if trained else [say("notice.untrained")]
    if "lsnet_n" in source:
        notes.append(say("notice.own_model"))
    if source.startswith("untrained/ls_"):
        notes.append(say("notice.transplant"))
    return " ".join(notes)
