"""`snakemake --summary` stays a table that a person can read."""

from toys.tiny_project import Project

HEADER = ["output_file", "date", "rule", "log-file(s)", "status", "plan"]


def summary(project: Project) -> list[list[str]]:
    """Its lines, each as the fields between tabs."""
    lines = [line.split("\t") for line in project.run("--summary").splitlines()]
    return [line for line in lines[lines.index(HEADER) + 1 :] if len(line) > 1]


def test_a_line_an_artifact_and_what_will_become_of_it(project: Project) -> None:
    before = summary(project)
    assert len(before) > 60
    assert {tuple(line[4:]) for line in before} == {("ok", "no update")}
    project.configure(nodes={"grid": {"overlap": 0.25}})
    lost = "results/experiments/grid/test/scores.json"
    (project.root / lost).unlink()
    after = summary(project)
    assert {line[0] for line in after} == {line[0] for line in before}
    for line in after:
        assert len(line) == len(HEADER)
        assert len("\t".join(line)) <= 180, line  # no settings, no commands: paths, a date and a few words
        assert line[3].startswith("logs/")
    told = {line[0]: line[4:] for line in after}
    assert told[lost] == ["missing", "update pending"]
    assert told["results/datasets/home/nodes/grid/000.zarr/zarr.json"] == ["params changed", "update pending"]
    assert told["results/datasets/home/graphs/grid/000.zarr/zarr.json"] == ["ok", "update pending"]
    assert told["results/datasets/home/frames/action/000.zarr/zarr.json"] == ["ok", "no update"]
