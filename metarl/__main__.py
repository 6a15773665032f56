"""`python -m metarl`: the command line."""

import os
import sys

from metarl.cli import main

if __name__ == "__main__":
    code = main()
    if "TORCHELASTIC_RUN_ID" in os.environ:
        # A rank that has ended well must not end badly: torch's threads may still run when its libraries are taken down
        # ("terminate called without an active exception"), about once in ten short runs on a busy machine.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
