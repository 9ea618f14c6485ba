"""`tween COMMAND ...`: finds the command, imports it, and turns its errors into one line and an exit code."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module

COMMANDS = {
    "interpolate": "a video in, a smooth video out: any frame rate, or slow motion",
    "fill": "a storyboard in, a clip out: pictures at their times, and what lies between",
    "generate": "a world and a list of actions in, a video out",
    "play": "walk through a world, in the browser or in the terminal",
    "splat": "a video as moving Gaussians: swing around a frozen instant, depth, a .ply",
    "verify": "check an output against its source: length, streams, colour, source frames, flicker",
    "models": "the released models: size, licence, measured quality",
    "info": "parameters, FLOPs and memory of a preset",
    "eval": "measure a model on a dataset by the papers' protocols",
    "bench": "time, memory and operations of a new frame on this machine",
    "data": "the datasets, whether one is all there, and shards of one",
    "train": "train a preset by its recipe",
    "ablate": "train the plan's ablations for the same budget each and compare them with confidence",
    "search": "search hyperparameters of a phase with Optuna",
    "doctor": "what this machine can do, and how to mend what it cannot",
}
WRITERS = ("interpolate", "fill", "generate", "splat")  # of files that are unfinished for long
HELP = "usage: tween COMMAND [options]    (tween COMMAND --help tells more)\n\n" + "\n".join(
    f"  {name:12} {what}" for name, what in COMMANDS.items()
)


def main(argv: list[str] | None = None) -> int:
    """Exit code 0 only if what was asked for is done whole; 1 if a check fails or tween does; 2 for a mistake of the
    user; 130 after Ctrl-C."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help"):
        print(HELP)
        return 0 if argv else 2
    if argv[0] in ("-V", "--version"):
        from tween import __version__

        print(f"tween {__version__}")
        return 0
    if argv[0] not in COMMANDS:
        return _fail(f"there is no command {argv[0]!r}; there are {', '.join(COMMANDS)}")
    return _run(argv[0], argv[1:])


def _run(command: str, argv: list[str]) -> int:
    # Spinning threads make small operations many times slower on few cores; must be set before torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")  # of a broken picture tween says what is wrong itself
    if "WORLD_SIZE" in os.environ:  # DDP warns of its search for unused parameters, which is meant
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    _keep_pages()
    from tween.core import TweenError, out_of_memory

    try:
        with _stopped_as_by_ctrl_c() if command in WRITERS else nullcontext():
            return import_module(f"tween.cli.{command}").main(argv) or 0
    except TweenError as error:
        return _fail(str(error))
    except KeyboardInterrupt as stop:
        clean = "; nothing unfinished was left under the output's name" if command in WRITERS else ""
        print(f"tween: {stop}" if stop.args else f"tween: stopped{clean}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:
        if out_of_memory(error):
            return _fail(
                "what was asked for should fit into memory, but it ran out; ask for less at a time (smaller batches, "
                "crops, videos or data), or end what else fills it"
            )
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(at.filename)}:{at.lineno}"
        print(f"tween: a bug: {type(error).__name__} at {where}: {error}; please report it", file=sys.stderr)
        return 1


@contextmanager
def _stopped_as_by_ctrl_c() -> Iterator[None]:
    """Take a closed terminal, `kill` and `docker stop` for Ctrl-C, so that unfinished files are removed then, too."""
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    # what the caller set stays: nohup ignores SIGHUP
    plain = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in plain:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in plain:
            signal.signal(number, signal.SIG_DFL)


def _keep_pages() -> None:
    """Let glibc keep freed memory for the next frame, whichever thread wants it: else it gives every large block
    back to the system at once, and taking all its pages anew costs a good part of a frame's time on a CPU."""
    trim_threshold, mmap_threshold, arena_max = -1, -3, -8  # of malloc.h
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        for option, value in ((mmap_threshold, 2**30), (trim_threshold, 2**30), (arena_max, 1)):
            mallopt(option, value)


def _fail(message: str) -> int:
    print(f"tween: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
