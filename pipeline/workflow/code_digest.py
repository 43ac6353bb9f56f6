"""Digest of the code that computes a stage's values, because Snakemake does not see a change of the package.

A rule passes the digest as a parameter, so that editing a stage, a model or the training re-runs what it made. The
digest of a module is that of its syntax tree, without docstrings, in which each import is replaced by the digest of
what it resolves to. So comments, formatting, the order of imports and the place of a module cost no GPU hours, and a
changed constant re-runs exactly the stages that use its module, however far away. Modules that compute no values
(`NOT_VALUES`: they store, check settings, run jobs, or look after results) are left out; schema versions and the
settings themselves stand for those.
"""

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
# Packages and modules that compute no values of an artifact. Code that decides values must stand elsewhere: the number
# format of a network is chosen in models/precision, the shard of a video in datasets/sharding.
NOT_VALUES = (
    "artifact",
    "commands",
    "config",
    "errors",
    "jobs",
    "schemas",
    "upkeep",
    "weights.fetching",
    "workflow",
    "__main__",
)
# These only choose a module by the kind of the data set: the chosen module counts, and they do not.
CHOOSERS = {"datasets.readers", "datasets.label_readers"}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

Import = tuple[str, str, str]  # module, symbol or "", and the name that it has where it is imported


def digest(stage: str, dataset: str | None = None) -> str:
    """Digest (16 hex digits) of `pipeline.stages.<stage>` and all `pipeline` modules it imports, directly or not.

    Args:
        stage: Name of the stage.
        dataset: Kind of the data set that the job works on; readers of other kinds are then left out, so that adding
            a kind re-runs nothing. What the kind's own reader imports counts, even if it is the reader of another kind.
            None if all kinds count.
    """
    return _Digests(dataset).of(f"pipeline.stages.{stage}")[:16]


class _Digests:
    """Digests of modules, each computed once.

    Args:
        dataset: Kind of the data set that the job works on; None if all kinds count.
    """

    def __init__(self, dataset: str | None) -> None:
        self.dataset = dataset
        self.known: dict[str, str] = {}
        self.open: list[str] = []  # modules whose digest is being computed, each imported by the one before

    def of(self, name: str) -> str:
        """Digest of a module with all that it imports.

        Raises:
            RuntimeError: if modules import each other in a circle, because no digest can be computed first then.
        """
        if name in self.known:
            return self.known[name]
        if name in self.open:
            circle = [*self.open[self.open.index(name) :], name]
            raise RuntimeError(f"modules import each other in a circle: {' -> '.join(circle)}")
        self.open.append(name)
        path = _source(name)
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        imports, text = _imports_and_rest(path.read_text(encoding="utf-8"), package)
        lines = {self._line(name, *imported) for imported in imports} - {""}
        text = "" if _room_path(name) in CHOOSERS else text
        self.known[name] = hashlib.sha256("\n".join([*sorted(lines), text]).encode()).hexdigest()
        self.open.pop()
        return self.known[name]

    def _line(self, importer: str, module: str, symbol: str, alias: str) -> str:
        """The text that stands for one import; empty if the imported module computes no values."""
        if symbol and _is_module(f"{module}.{symbol}"):
            module, symbol = f"{module}.{symbol}", ""
        if not _is_module(module):
            return f"{module} {symbol} as {alias}"  # of another package
        if not self._counts(module, importer):
            return ""
        return f"{self.of(module)} {symbol} as {alias}"

    def _counts(self, name: str, importer: str) -> bool:
        if name == "pipeline" or _is_in(_room_path(name), NOT_VALUES):
            return False
        if _room_path(importer) in CHOOSERS and self.dataset is not None:
            return _is_in(_room_path(name), [f"datasets.{self.dataset}", f"datasets.{self.dataset}_labels"])
        return True


def _room_path(name: str) -> str:
    return name.partition(".")[2]


def _is_in(name: str, places: Iterable[str]) -> bool:
    """Whether a module is one of some modules, or in one of some packages."""
    return any(f"{name}.".startswith(f"{place}.") for place in places)


def _source(name: str) -> Path:
    base = PACKAGE.joinpath(*name.split(".")[1:])
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


def _is_module(name: str) -> bool:
    return name.split(".")[0] == "pipeline" and _source(name).is_file()


@cache  # because parsing takes nearly all of the time, and stages share most modules; the text is the key
def _imports_and_rest(source: str, package: str) -> tuple[tuple[Import, ...], str]:
    """The imports of a module, and the text of the module without imports, docstrings, comments and formatting.

    Args:
        source: Text of the module.
        package: Package that relative imports start from.
    """
    taken_out = _WithoutImports(package)
    tree = taken_out.visit(ast.parse(source))
    return tuple(taken_out.imports), ast.unparse(tree)


class _WithoutImports(ast.NodeTransformer):
    """Takes docstrings and imports out of a module, at its top and inside functions.

    Args:
        package: Package that relative imports start from.

    Attributes:
        imports: Each import.
    """

    def __init__(self, package: str) -> None:
        self.package = package.split(".")
        self.imports: list[Import] = []

    def visit_Import(self, node: ast.Import) -> None:
        self.imports += [(alias.name, "", alias.asname or "") for alias in node.names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        above = self.package[: len(self.package) - node.level + 1] if node.level else []
        module = ".".join([*above, *([node.module] if node.module else [])])
        self.imports += [(module, alias.name, alias.asname or alias.name) for alias in node.names]

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Leave out a docstring, and put `pass` where nothing else remains."""
        if isinstance(node, ast.expr):
            return node  # no expression holds a statement, and most nodes are expressions
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
        super().generic_visit(node)
        if getattr(node, "body", None) == []:
            node.body = [ast.Pass()]  # type: ignore[attr-defined]
        return node
