"""LSNet Explorer: ``python app.py`` serves the page; ``python app.py --help`` lists the choices."""

from viz.ui.config import parse_arguments
from viz.ui.launch import launch

if __name__ == "__main__":
    launch(parse_arguments())
