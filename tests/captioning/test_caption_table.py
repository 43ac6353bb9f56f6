from pipeline.captioning.caption_table import is_table, write_table


def test_a_caption_that_a_spreadsheet_would_run_is_inert(tmp_path):
    write_table(tmp_path / "t.csv", {"a": "=cmd()", "b": "a cat", "x, y": 'a "cat"'})
    assert (tmp_path / "t.csv").read_text() == 'video_id,caption\na,\'=cmd()\nb,a cat\n"x, y","a ""cat"""\n'


def test_a_table_is_told_by_its_first_line(tmp_path):
    table = tmp_path / "t.csv"
    assert not is_table(table)
    for text in ("video,caption\na,a cat\n", "", "video_id,caption", "video_id,caption,split\n"):
        table.write_text(text)
        assert not is_table(table)
    assert not is_table(tmp_path)
    for captions in ({}, {"a": "a cat"}):
        write_table(table, captions)
        assert is_table(table)
