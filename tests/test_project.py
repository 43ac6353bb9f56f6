"""What must agree in several places does: pins, names of stages, rules and tests, comments in the configuration."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
STAGES = sorted(path.stem for path in (ROOT / "pipeline/stages").glob("[a-z]*.py"))
CONDA_PLATFORM = {"python_version": "3.11", "python_full_version": "3.11.9", "sys_platform": "linux"}


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def locked() -> dict[str, str]:
    """Versions of requirements.lock on the platform of the conda environments."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    requirements = [Requirement(line) for line in re.findall(r"^(\w.*?) \\$", text, re.MULTILINE)]
    fitting = [r for r in requirements if r.marker is None or r.marker.evaluate(CONDA_PLATFORM)]
    return {canonicalize_name(r.name): str(r.specifier).removeprefix("==") for r in fitting}


@pytest.mark.parametrize("name", ["pipeline", "dev", "knowledge", "cluster"])
def test_an_environment_mirrors_its_extra(name: str) -> None:
    extra = [] if name == "pipeline" else project()["optional-dependencies"][name]
    if name in ("pipeline", "knowledge"):  # a job of the workflow has one environment
        extra = [*project()["dependencies"], *extra]
    wanted = [Requirement(text) for text in extra]
    environment = yaml.safe_load((ROOT / f"envs/{name}.yaml").read_text(encoding="utf-8"))
    [listed] = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    pins = dict(pin.split("==") for pin in listed)
    assert {canonicalize_name(pin) for pin in pins} == {canonicalize_name(r.name) for r in wanted}
    for requirement in wanted:
        version = locked()[canonicalize_name(requirement.name)]
        assert version in requirement.specifier, f"{requirement} is locked at {version}"
    assert {canonicalize_name(pin): version for pin, version in pins.items()} == {
        canonicalize_name(r.name): locked()[canonicalize_name(r.name)] for r in wanted
    }


def test_every_environment_is_an_extra() -> None:
    extras = {path.stem for path in (ROOT / "envs").glob("*.yaml")}
    assert extras == {"pipeline", *project()["optional-dependencies"]}


def test_the_lock_can_be_installed_anywhere() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text
    # the package itself is built with what the lock brings
    assert int(locked()["setuptools"].partition(".")[0]) >= 77


def dry_run(*variables: str) -> str:
    """The commands by which `make` would install, from an empty folder."""
    command = ["make", "--dry-run", "--always-make", ".venv/.installed", *variables]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def names_kept(install: str, file: str, tmp_path: Path) -> list[str]:
    """Names in a part of the lock that the commands cut out of it, with the hashes that each has there."""
    [cut] = re.findall(rf"^awk .* > \.venv/{file}$", install, re.MULTILINE)
    part = tmp_path / file
    subprocess.run(cut.replace(f".venv/{file}", str(part)), shell=True, cwd=ROOT, check=True)
    blocks = re.split(r"\n(?=[a-z])", part.read_text(encoding="utf-8"))
    assert all("--hash=sha256:" in block for block in blocks)
    return [re.split(r"[\[=]", block)[0] for block in blocks]


def test_uv_is_installed_by_its_hash_and_installs_the_lock(tmp_path: Path) -> None:
    install = dry_run()
    assert names_kept(install, "uv.lock", tmp_path) == ["uv"]
    assert install.index("uv.lock\n") < install.index("uv pip install") < install.index("|| ")
    assert "--require-hashes -r requirements.lock" in install


def test_torch_of_another_index_leaves_cuda_out(tmp_path: Path) -> None:
    install = dry_run("TORCH_INDEX=file:///nowhere")
    kept = names_kept(install, "without-torch.lock", tmp_path)
    assert {"numpy", "torch-geometric", "open-clip-torch", "uv"} <= {canonicalize_name(name) for name in kept}
    assert not [name for name in kept if re.match("torch$|torchvision|triton|nvidia|cuda", name)]
    torch = {name: locked()[name] for name in ("torch", "torchvision")}
    [line] = [line for line in install.splitlines() if "--default-index file:///nowhere" in line]
    chosen = line[line.index("$(") + 2 : line.rindex(")")]
    found = subprocess.run(chosen, shell=True, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert found.split() == [f"{name}=={version}" for name, version in torch.items()]


def rules() -> list[str]:
    files = sorted((ROOT / "rules").glob("*.smk"))
    return re.findall(r"^rule (\w+):$", "\n".join(file.read_text(encoding="utf-8") for file in files), re.MULTILINE)


def test_rules_stages_and_tests_have_one_name() -> None:
    assert sorted(rules()) == STAGES
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests/stages").glob("test_*.py")}
    assert tests == set(STAGES)


def test_a_rule_runs_the_stage_of_its_name_and_logs_under_it() -> None:
    for file in (ROOT / "rules").glob("*.smk"):
        for rule in re.split(r"^rule ", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            name = rule.partition(":")[0]
            assert f"pipeline {name} \\" in rule
            assert f'code=code("{name}"' in rule
            assert f'"logs/{name}/' in rule


def test_every_setting_has_a_comment() -> None:
    """At the first or at a later place where a key stands with a value."""
    lines = (ROOT / "config.yaml").read_text(encoding="utf-8").splitlines()
    keys = [(match[1], "#" in line) for line in lines if (match := re.match(r"\s+(\w+): +[^#\s]", line))]
    assert len(keys) > 60
    assert {key for key, _ in keys} - {key for key, has_comment in keys if has_comment} == set()


def test_no_machine_is_named() -> None:
    below = [path for folder in ("rules", "configs") for path in (ROOT / folder).rglob("*") if path.is_file()]
    for path in [ROOT / "Snakefile", ROOT / "config.yaml", *below]:
        assert not re.search(r"(^|[\s\"'=])/(home|root|work|tmp|mnt|data)/", path.read_text(encoding="utf-8")), path
