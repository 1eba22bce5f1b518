"""How much the library saves against the usual recipe, measured in one run: `python -m benchmarks`."""
