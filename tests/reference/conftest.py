"""Keep pytest from importing the scripts, which need PyTorch."""

collect_ignore = ["make.py", "make_weights.py"]
