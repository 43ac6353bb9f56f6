import unicodedata

import pytest

from pipeline.datasets.listing import list_videos, root_of
from pipeline.errors import PipelineError


def fill(folder, names):
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x" * (number + 1))


def ids(source):
    return [video.id for video in list_videos(source)]


def test_videos_are_found_at_any_depth_by_extension(tmp_path):
    fill(
        tmp_path,
        ["b.mp4", "a.MOV", "deep/er/c.webm", "notes.txt", "captions.jsonl", "mp4", ".hidden.mp4", ".git/d.mp4"],
    )
    assert ids(tmp_path) == ["a.MOV", "b.mp4", "deep/er/c.webm"]
    assert [video.size for video in list_videos(tmp_path)] == [2, 1, 3]


def test_spaces_unicode_and_dashes_in_names(tmp_path):
    names = ["-dash-.mp4", "my holiday/day 1.mp4", "vid-1_0_10.avi", "\u00fcber/\u65e5\u672c \U0001f600.mkv"]
    fill(tmp_path, names)
    assert ids(tmp_path) == names


def test_two_files_of_one_stem_are_two_videos_and_a_new_one_renames_none(tmp_path):
    fill(tmp_path, ["clip.mp4", "other.mp4"])
    before = ids(tmp_path)
    fill(tmp_path, ["clip.webm", "sub/clip.mp4"])
    assert ids(tmp_path) == ["clip.mp4", "clip.webm", "other.mp4", "sub/clip.mp4"]
    assert set(before) < set(ids(tmp_path))


def test_a_name_in_two_characters_an_accent_has_the_composed_id_and_its_own_path(tmp_path):
    decomposed = unicodedata.normalize("NFD", "caf\u00e9.mp4")
    fill(tmp_path, [decomposed])
    (video,) = list_videos(tmp_path)
    assert (video.id, video.path) == ("caf\u00e9.mp4", decomposed)
    assert (tmp_path / video.path).is_file()


def test_names_that_differ_in_their_accents_alone_are_refused(tmp_path):
    fill(tmp_path, ["caf\u00e9.mp4", unicodedata.normalize("NFD", "caf\u00e9.mp4")])
    with pytest.raises(PipelineError, match="is there twice"):
        list_videos(tmp_path)


def test_links_are_followed_but_not_in_circles(tmp_path):
    fill(tmp_path, ["videos/a.mp4", "elsewhere/b.mp4"])
    (tmp_path / "videos" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "videos" / "loop").symlink_to(tmp_path / "videos")
    (tmp_path / "videos" / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    assert ids(tmp_path / "videos") == ["a.mp4", "linked/b.mp4"]


def test_a_list_file(tmp_path):
    fill(tmp_path, ["set/b.mp4", "set/sub/a b.mp4", "far/c.mp4"])
    listed = tmp_path / "set" / "train.txt"
    listed.write_text(f"# ours\nsub/a b.mp4\n\n./b.mp4\n{tmp_path}/far/c.mp4\n{tmp_path}/set/sub/../b.mp4x\n")
    with pytest.raises(PipelineError, match=r"train\.txt:6: there is no file .*b\.mp4x"):
        list_videos(listed)
    listed.write_text("# ours\nsub/a b.mp4\n\n./b.mp4\n../far/c.mp4\n")
    assert ids(listed) == ["../far/c.mp4", "b.mp4", "sub/a b.mp4"]
    assert all((root_of(listed) / video.path).is_file() for video in list_videos(listed))
    listed.write_text(f"{tmp_path}/far/c.mp4\n{tmp_path}/set/b.mp4\n")
    assert ids(listed) == [f"{tmp_path}/far/c.mp4", "b.mp4"]
    assert all((root_of(listed) / video.path).is_file() for video in list_videos(listed))


def test_a_video_listed_twice_is_refused(tmp_path):
    fill(tmp_path, ["b.mp4"])
    (tmp_path / "list.txt").write_text("b.mp4\n./b.mp4\n")
    with pytest.raises(PipelineError, match=r"b\.mp4 is there twice"):
        list_videos(tmp_path / "list.txt")


def test_a_missing_and_an_empty_folder(tmp_path):
    with pytest.raises(PipelineError, match=r"nowhere`: there is no such folder or list file"):
        list_videos(tmp_path / "nowhere")
    with pytest.raises(PipelineError, match="no video in it"):
        list_videos(tmp_path)
