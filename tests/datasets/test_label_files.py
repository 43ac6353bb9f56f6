import pytest

from pipeline.datasets.label_files import read_class_names, whole_number
from pipeline.errors import PipelineError


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.txt", "jump high\n\nrun\n"),
        ("c.txt", "\ufeff1 jump high\n2 run\n"),
        ("c.txt", "1\trun\n0\tjump high\n"),
        ("c.json", '["jump high", "run"]'),
        ("c.json", '{"run": "1", "jump high": 0}'),
        ("c.csv", "id,name\n1,run\n0,jump high\n"),
        ("c.tsv", "id\tkey\tcategory\n0\tjump high\tx\n1\trun\tx\n"),
    ],
)
def test_names_of_classes(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_class_names(tmp_path / name, "classes") == ["jump high", "run"]


def test_numbers_that_are_names_stay(tmp_path):
    (tmp_path / "c.txt").write_text("100 metres\n200 metres\n")
    assert read_class_names(tmp_path / "c.txt", "classes") == ["100 metres", "200 metres"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.txt", "", "the file is empty: expected lines of names of classes"),
        ("c.json", "3", "expected a list of names, or an object of name to number"),
        ("c.json", '["a", 3]', "expected a list of names"),
        ("c.json", '{"a": 0, "b": 2}', "the numbers of the 2 classes are not 0, 1, 2 and so on.* there are 0, 2 to 2"),
        ("c.json", '{"a": 0, "b": "x"}', "the number of 'b' is 'x': expected a whole number"),
        ("c.csv", "id,naam\n0,a\n", "there is no `key` and no `name` of a class .is it `naam`"),
        ("c.csv", "number,name\n0,a\n", "expected the header with id"),
    ],
)
def test_mistakes(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(PipelineError, match=message):
        read_class_names(tmp_path / name, "classes")


def test_whole_numbers():
    assert [whole_number(text, "it", "here") for text in (" 7", "7.0", "-1")] == [7, 7, -1]
    for text in ("", "1.5", "seven", "1e3", "9" * 30):
        with pytest.raises(PipelineError, match="here: it is"):
            whole_number(text, "it", "here")
