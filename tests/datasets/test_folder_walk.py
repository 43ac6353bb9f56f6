"""What lies in a folder beside its videos stops nothing, and is said."""

import os

import av
import pytest

from pipeline.datasets import folder_walk
from pipeline.datasets.listing import EXTENSIONS, list_videos, passed_over
from pipeline.errors import PipelineError

# What FFmpeg's demuxers call their files and no folder of videos is listed by. A name that is in neither list makes
# the test below fail: somebody has to decide whether it is a video's.
SOUND = """
aa aa3 aac aax ac3 ac4 acm ads adp adx aea afc aix al ape apc apl aptx aptxhd ast avr bcstm bfstm binka bit bonk brstm
c2 daud 302 dfpwm dss dtk dts dtshd eac3 ec3 fap flac fsb fwse g722 722 g723_1 g728 g729 genh gsm hca iamf ircam isma
laf lc3 lvf m2a m4a m4b mac mca mka mlp mp2 mp3 mpa mpc msbc msf mtaf musx nist nsp ogg oma omg osq paf pvf qoa rco
redspark rka rsd rso sb sbc sbg sdr2 sds sdx sf shn sln son sph ss2 svag svs sw tak tco thd tta ub ul uw vag vb vpk
vqe vqf vql wa way wsd xvag xmd sdns cdata
"""
NO_VIDEO = {
    "sound": SOUND,
    "pictures": "adf ans art asc avif cdg diz heic heif ice idf j2k jxl mpo",
    "text": "aqt idx mcc mks mpl2 nfo pjs rt sami scc smi stl sub sup txt vt vtt webvtt",
    "a list of files": "ism",
    "pixels whose size nobody tells": "bitpacked cif qcif rgb v210 yuv yuv10",
    "a name that mostly means something else": "avs cdxl cgi dat v xl",
}


def demuxed() -> set[str]:
    found: set[str] = set()
    for name in av.formats_available:
        try:
            found |= av.ContainerFormat(name, "r").extensions
        except ValueError:  # it only writes
            continue
    return found


def test_every_extension_that_ffmpeg_reads_is_listed_or_ruled_out():
    ruled_out = {name for names in NO_VIDEO.values() for name in names.split()}
    listed = {extension[1:] for extension in EXTENSIONS}
    assert not ruled_out & listed
    assert demuxed() - listed - ruled_out == set()
    assert len(demuxed()) > 100


MORE = [".ogm", ".rmvb", ".dv", ".h264", ".y4m", ".qt", ".mk3d", ".UNKNOWN_video"]
REPORTED = [".gif", ".3g2", ".mxf", ".f4v", ".divx", ".m2v", ".rm", ".amv"]


@pytest.mark.parametrize("extension", [*REPORTED, *MORE])
def test_what_ffmpeg_reads_is_a_video(tmp_path, extension):
    (tmp_path / f"a{extension}").write_bytes(b"x")
    assert [video.id for video in list_videos(tmp_path)] == [f"a{extension}"]


def test_what_is_passed_over_is_counted_with_its_reason(tmp_path):
    for name in ("a.mp4", "b.MKV", "1.txt", "2.TXT", "3.srt", "README", ".DS_Store", "sub/4.txt", "sub/.x/c.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "gone.mp4").symlink_to("nowhere")
    (tmp_path / "round").symlink_to("round")
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    assert [video.id for video in list_videos(tmp_path)] == ["a.mp4", "b.MKV"]
    assert passed_over(tmp_path) == [
        "5 files are not called as videos are (3 .txt, 1 without extension, 1 .srt)",
        "a link that leads nowhere: gone.mp4",
        "cannot be looked at (Too many levels of symbolic links): round",
        "hidden, because the name begins with a dot: .DS_Store, sub/.x",
        "leads back to a folder that it lies in: sub/up",
        "neither a file nor a folder, but a pipe, a socket or a device: pipe.mp4",
    ]


def test_a_closed_folder_in_it_is_passed_over(tmp_path, monkeypatch):
    """As `lost+found` is, for everybody but root."""
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "a.mp4").write_bytes(b"x")
    look = os.scandir

    def closed(folder):
        if "lost+found" in str(folder):
            raise PermissionError(13, "Permission denied", str(folder))
        return look(folder)

    monkeypatch.setattr(folder_walk.os, "scandir", closed)
    assert [video.id for video in list_videos(tmp_path)] == ["a.mp4"]
    assert passed_over(tmp_path) == ["cannot be listed (Permission denied): lost+found"]
    with pytest.raises(PipelineError, match="cannot be listed"):
        list_videos(tmp_path / "lost+found")


def test_where_there_is_no_video_it_says_what_there_is(tmp_path):
    (tmp_path / "a.part").write_bytes(b"x")
    with pytest.raises(PipelineError, match=r"no video in it; 1 file is not called as videos are \(1 \.part\)"):
        list_videos(tmp_path)


def test_a_list_that_names_a_pipe_or_a_folder_says_so(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "folder.mp4").mkdir()
    listed = tmp_path / "list.txt"
    for name, what in (("pipe.mp4", "it is a pipe"), ("folder.mp4", "it is a folder")):
        listed.write_text(f"{name}\n")
        with pytest.raises(PipelineError, match=rf"list\.txt:1: there is no file {name}: {what}"):
            list_videos(listed)
    assert passed_over(listed) == []
