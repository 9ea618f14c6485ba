"""Measurements. `python -m bench.run` repeats them; results/ holds what came out, with machine and command."""
