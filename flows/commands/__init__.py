"""The commands of `dssm`, by what they are about; `flows/cli.py` gathers them."""
