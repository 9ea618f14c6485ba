"""`python -m tween` is `tween`: what torchrun starts (`torchrun --nproc_per_node=2 -m tween train ...`)."""

import sys

from tween.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
