"""Keep pytest from importing the script, which needs PyTorch."""

collect_ignore = ["make.py"]
