"""The Retriever for programs that have modules of their own called `tasks` or `schemas`, as many have.

    from dssm_retrieval import Retriever
    Retriever.live("bank").search(["怎么提前还款"], top=10)

It is the source of `tasks.retrieval` itself under names that nobody else has: wherever that says `tasks` or `schemas`,
`dssm_retrieval.tasks` or `dssm_retrieval.schemas` is imported. A program uses it or `tasks.retrieval`, not both.
"""

import ast
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

_OURS = ("tasks", "schemas")
_SOURCE = next(folder for folder in Path(__file__).resolve().parents if (folder / "tasks" / "retrieval").is_dir())
_PUBLIC = {
    "Hit": "tasks.retrieval.retriever",
    "Retriever": "tasks.retrieval.retriever",
    "NothingLive": "schemas.errors",
    "PipelineError": "schemas.errors",
    "StaleFile": "schemas.errors",
}
__all__ = ["Hit", "NothingLive", "PipelineError", "Retriever", "StaleFile"]


class _Renamed(ast.NodeTransformer):
    """Makes imports of ours imports from this package."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom:
        if node.module and node.module.split(".")[0] in _OURS:
            node.module = f"{__name__}.{node.module}"
        return node


class _Loader(SourceFileLoader):
    """Loads a module of ours with its imports renamed."""

    def path_stats(self, path: Any) -> Any:  # noqa: ANN401 - as its base has it
        """Have no times: the compiled file beside the source is that of its other name."""
        raise OSError("not cached")

    def source_to_code(self, data: Any, path: Any, *, _optimize: int = -1) -> CodeType:  # type: ignore[override]  # noqa: ANN401
        """Compile the source, renamed."""
        code: CodeType = compile(_Renamed().visit(ast.parse(data)), path, "exec", dont_inherit=True, optimize=_optimize)
        return code


class _Finder(MetaPathFinder):
    """Finds what is below this package in the folders of ours."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module is; None: it is none of ours."""
        package, *parts = fullname.split(".")
        if package != __name__ or not parts or parts[0] not in _OURS:
            return None
        place = _SOURCE.joinpath(*parts)
        package_file = place / "__init__.py"
        if package_file.is_file():
            loader = _Loader(fullname, str(package_file))
            return spec_from_file_location(
                fullname, package_file, loader=loader, submodule_search_locations=[str(place)]
            )
        file = place.with_suffix(".py")
        return spec_from_file_location(fullname, file, loader=_Loader(fullname, str(file))) if file.is_file() else None


sys.meta_path.insert(0, _Finder())


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whichever is asked for
    """Import what is public when it is asked for."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
