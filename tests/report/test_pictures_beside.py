"""Pictures lie beside the page, and equal ones are one file."""

from pipeline.report.pictures import write_picture


def test_equal_pictures_are_one_file(tmp_path):
    one, same, other, kind = (
        write_picture(tmp_path, content, suffix)
        for content, suffix in ((b"x", ".jpg"), (b"x", ".jpg"), (b"y", ".jpg"), (b"x", ".svg"))
    )
    assert one == same
    assert len({one, other, kind}) == 3
    assert one.startswith("media/pictures/")
    assert (tmp_path / one).read_bytes() == b"x"
    assert len(list((tmp_path / "media/pictures").iterdir())) == 3
