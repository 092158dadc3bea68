"""Packages that few settings need: what is missing is said once, with the command that brings it."""

import shlex
import sys
from importlib.util import find_spec

from schemas.errors import SettingsError

_PACKAGES = {"encoder": ["onnx", "onnxruntime", "transformers", "tokenizers"], "pretrained": ["transformers"]}


def require_extra(why: str, extra: str = "encoder", packages: list[str] | None = None) -> None:
    """Check that an extra of this project is installed.

    Args:
        why: what needs it.
        extra: its name in pyproject.toml.
        packages: those of it that are needed here; all of them otherwise.

    Raises:
        SettingsError: it is not; the message says how to install it.
    """
    missing = [name for name in packages or _PACKAGES[extra] if find_spec(name) is None]
    if missing:
        install = f"{shlex.quote(sys.executable)} -m pip install"
        raise SettingsError(
            f"{why} needs {', '.join(missing)}, not installed here; in the checkout of this project run: "
            f"{install} --constraint constraints.txt --editable '.[{extra}]'"
            + (f" (where queries are only answered: {install} './serving[encoder]')" if packages else "")
        )
