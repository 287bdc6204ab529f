"""The research command line: ``python -m lsnet.tools.train`` and its siblings."""
