"""Digest of the code that computes a stage's values: what Snakemake cannot see by itself.

A rule passes the digest as a parameter, so that editing a stage, a model or the training re-runs what it made. The
digest is taken over the syntax tree without docstrings: comments and formatting cost no GPU hours. Modules that only
store, describe, lease or report are left out; schema versions and the settings themselves stand for those.
"""

import ast
import hashlib
from pathlib import Path

PACKAGE = Path(__file__).parent
NOT_VALUES = {
    "artifact",
    "artifact_chunks",
    "artifact_paths",
    "artifact_recovery",
    "artifact_rows",
    "artifact_shards",
    "artifact_writer",
    "checkpoints",
    "clock",
    "code_digest",
    "config",
    "decode_workers",
    "errors",
    "finished_training",
    "gc_command",
    "gpu_leases",
    "gpus",
    "journal",
    "json_shapes",
    "preemption",
    "progress",
    "ranks",
    "schemas",
    "shards",
    "state",
    "storage",
    "verify_command",
    "weights_cache",
    "worker_messages",
    "__main__",
}
CHOOSERS = {"readers"}  # only choose among modules by the kind of the data set: the chosen one counts, they do not


def digest(stage: str, dataset: str | None = None) -> str:
    """Digest of `pipeline.stages.<stage>` and every `pipeline` module it imports, directly or not.

    Args:
        stage: Name of the stage.
        dataset: Kind of the data set at work; readers of other kinds are then left out, so that adding a data set
            re-runs nothing. What the reader at work imports counts, be it of another kind.
    """
    todo = [(f"pipeline.stages.{stage}", "")]
    trees: dict[str, str] = {}
    while todo:
        name, importer = todo.pop()
        if name in trees or not _computes_values(name, importer, dataset):
            continue
        path = _source(name)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        todo += [(imported, name) for imported in _imports(tree, name, is_package=path.name == "__init__.py")]
        trees[name] = ast.unparse(_without_docstrings(tree))
    counted = sorted(name for name in trees if name.split(".")[1] not in CHOOSERS)
    content = "\n".join(f"{name}\n{trees[name]}" for name in counted)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _computes_values(name: str, importer: str, dataset: str | None) -> bool:
    parts = name.split(".")[1:]
    if not parts or parts[0] in NOT_VALUES:
        return False
    from_reader = importer.startswith("pipeline.datasets.")  # only the reader at work gets so far
    if dataset is not None and len(parts) == 2 and parts[0] == "datasets" and not from_reader:
        return parts[1] == dataset or parts[1].startswith(f"{dataset}_")
    return True


def _source(name: str) -> Path:
    base = PACKAGE.joinpath(*name.split(".")[1:])
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


def _imports(tree: ast.Module, importer: str, is_package: bool) -> list[str]:
    """Names of the `pipeline` modules that a module imports, at its top or inside a function."""
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = importer.split(".") if is_package else importer.split(".")[:-1]
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            found.append(module)
            found += [f"{module}.{alias.name}" for alias in node.names]
    return [name for name in found if name.split(".")[0] == "pipeline" and _source(name).is_file()]


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:] or [ast.Pass()]
    return tree
