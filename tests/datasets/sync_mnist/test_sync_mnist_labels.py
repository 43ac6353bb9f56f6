import pytest

from pipeline.datasets.sync_mnist import label_table
from pipeline.datasets.sync_mnist.labels import class_names, label_of, none_label


def test_the_published_table_of_pairs():
    table = label_table()
    assert (table.shape, none_label()) == ((10, 10), 45)
    assert [table[1, 0], table[2, 0], table[2, 1], table[3, 0], table[9, 8]] == [0, 1, 2, 3, 44]
    assert sorted(table[high, low] for high in range(10) for low in range(high)) == list(range(45))
    assert (table == table.T).all()
    assert (table.diagonal() == -1).all()


def test_the_published_table_of_subsets():
    table = label_table("subset")
    assert table.diagonal().tolist() == list(range(46, 56))
    assert [table[1, 0], table[9, 8]] == [0, 44]


@pytest.mark.parametrize("kind", ["pair", "subset"])
@pytest.mark.parametrize("classes", [3, 10])
def test_names_stand_where_the_table_says(kind, classes):
    names, table = class_names(5, kind, classes), label_table(kind, classes)
    assert len(set(names)) == len(names) == (table.max() + 1 if kind == "subset" else none_label(classes) + 1)
    assert names[none_label(classes)] == "none"
    for high in range(classes):
        for low in range(high):
            assert names[table[high, low]] == f"{low}+{high}"
        if kind == "subset":
            assert names[table[high, high]] == f"{high}+{high}"


def test_labels_of_clips():
    assert label_of([4, 6, 7], "subset", 10) == label_table("subset")[4, 7]
    assert label_of([7, 7], "subset", 10) == 46 + 7
    assert label_of([9, 8], "pair", 10) == 44
    assert label_of([], "subset", 4) == 6
    assert class_names(1, "pair", 3) == ["0", "1", "2"]
