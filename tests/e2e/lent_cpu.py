"""The app with Hugging Face's package for ZeroGPU, which is lent this machine's CPU; options as of ``app.py``."""

import runpy
import sys

import spaces.zero.torch as lent

if __name__ == "__main__":
    # What needs a GPU, in the process that is given one: to take it, and to move there what should be on it.
    lent.init = lambda uuid: None
    lent.move = lambda callback=None: None
    sys.argv[0] = "app.py"
    runpy.run_path("app.py", run_name="__main__")
