"""Sound, subtitles, covers, fonts, chapters and tags: copied beside new pictures."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from animegen.errors import UsageError
from animegen.video import (
    VideoReader,
    container_for,
    join,
    write_video,
)

FILM = Fraction(24000, 1001)


ASS = """[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0
[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


EVEN = list(range(48))


@pytest.mark.parametrize("late", [Fraction(0), Fraction(1, 4)])
def test_sound_subtitles_chapters_tags_and_fonts_come_along(
    drawn: Any, source: Any, segmented: Any, packets: Any, tmp_path: Path, late: Fraction
):
    font = bytes(range(256)) * 9
    path = source(
        tmp_path / "a.mkv", drawn(48), [round(1000 * index / FILM) for index in range(48)], Fraction(1, 1000),
        rate=FILM, sounds=("aac", "libopus"), texts=("subrip", "ass"), font=font, late=late,
    )  # fmt: skip
    reader = VideoReader(path)
    assert [(track.kind, track.codec, track.language) for track in reader.tracks] == [
        ("audio", "aac", "jpn"), ("audio", "opus", "eng"), ("subtitle", "subrip", ""), ("subtitle", "ass", ""),
        ("attachment", "font/ttf", ""),
    ]  # fmt: skip
    suffix, notes = container_for("mp4", reader)
    assert suffix == ".mkv"
    assert "subrip" in notes[0]
    for codec in ("h264", "ffv1"):
        parts, end, _ = segmented(reader, tmp_path / codec, codec, 20)
        out = tmp_path / f"{codec}.mkv"
        said: list[str] = []
        join(out, parts, reader, container="mkv", comment="made", end=end, even=True, warn=said.append)
        assert not said
        for kind, number in (("audio", 0), ("audio", 1), ("subtitles", 0), ("subtitles", 1)):
            before, after = packets(path, kind, number), packets(out, kind, number)
            assert [data for data, _ in before] == [data for data, _ in after]
            assert max(abs(a - b) for (_, a), (_, b) in zip(before, after, strict=True)) <= Fraction(1, 1000)
        with av.open(str(out)) as container, av.open(str(path)) as original:
            tags = {key.lower(): value for key, value in container.metadata.items()}
            assert (tags["title"], tags["comment"]) == ("My film", "made")
            assert [stream.language for stream in container.streams.audio] == ["jpn", "eng"]
            assert container.streams.audio[1].metadata["title"] == "sound 1"
            assert container.streams.video[0].language == "jpn"
            assert container.streams.attachments[0].data == font
            begun = [chapter["start"] * chapter["time_base"] for chapter in container.chapters()]
            assert len(begun) == 2
            first = next(container.decode(video=0))
            lead = first.pts * first.time_base
            assert abs(begun[1] - (1 - reader.start + lead)) <= Fraction(1, 1000)
            assert abs(container.duration - original.duration) <= 60_000


def test_mp4_keeps_sound_and_its_own_subtitles_and_mkv_turns_them_to_text(
    drawn: Any, source: Any, segmented: Any, packets: Any, tmp_path: Path
):
    path = source(tmp_path / "a.mp4", drawn(48), EVEN, 1 / FILM, rate=FILM, sounds=("aac",))
    both = tmp_path / "b.mp4"
    with av.open(str(path)) as taken, av.open(str(both), "w") as output:
        kept = [*taken.streams.video, *taken.streams.audio]  # not the one of chapters
        streams = {stream.index: output.add_stream_from_template(stream) for stream in kept}
        word: Any = output.add_stream("mov_text", time_base=Fraction(1, 1000))
        word.codec_context.subtitle_header = ASS.encode()
        for packet in taken.demux(kept):
            if packet.size:
                packet.stream = streams[packet.stream_index]
                output.mux(packet)
        for start, text in ((0, ""), (500, "Hello"), (900, ""), (1400, "Gute Nacht, だれか"), (1800, "")):
            packet = av.Packet(len(text.encode()).to_bytes(2, "big") + text.encode())
            packet.stream, packet.time_base = word, Fraction(1, 1000)
            packet.pts = packet.dts = start
            packet.duration, packet.is_keyframe = 400, True
            output.mux(packet)
    reader = VideoReader(both)
    assert [track.codec for track in reader.tracks] == ["aac", "mov_text"]
    assert container_for("mp4", reader) == (".mp4", ())
    parts, end, _ = segmented(reader, tmp_path / "h", "h264", 20)
    join(tmp_path / "out.mp4", parts, reader, container="mp4", end=end)
    for kind in ("audio", "subtitles"):
        # MP4 writes a gap between two lines as a line of no text, by itself.
        before, after = (
            [line for line in packets(file, kind) if line[0] != b"\0\0"] for file in (both, tmp_path / "out.mp4")
        )
        assert [data for data, _ in before] == [data for data, _ in after]
        assert max(abs(a - b) for (_, a), (_, b) in zip(before, after, strict=True)) <= Fraction(1, 1000)
    parts, end, _ = segmented(reader, tmp_path / "f", "ffv1", 20)
    join(tmp_path / "out.mkv", parts, reader, container="mkv", end=end)
    words = packets(tmp_path / "out.mkv", "subtitles")
    assert [data.decode() for data, _ in words] == ["Hello", "Gute Nacht, だれか"]
    assert [round(float(time), 2) for _, time in words] == [0.5, 1.4]


def test_a_track_that_does_not_fit_is_named(drawn: Any, source: Any, segmented: Any, tmp_path: Path):
    path = source(tmp_path / "a.mkv", drawn(8), list(range(0, 320, 40)), Fraction(1, 1000), texts=("subrip",))
    reader = VideoReader(path)
    parts, _, _ = segmented(reader, tmp_path / "h", "h264", 20)
    said: list[str] = []
    join(tmp_path / "out.mp4", parts, reader, container="mp4", warn=said.append)
    assert said == ["subtitle track 1 (subrip) is left out."]
    assert container_for("frames", reader) == ("", ("a folder of frames cannot hold subtitle track 1 (subrip).",))
    with pytest.raises(UsageError, match="no format 'avi'"):
        container_for("avi", reader)


def test_folders_and_animations_have_nothing_beside(drawn: Any, segmented: Any, tmp_path: Path):
    write_video(tmp_path / "a.gif", drawn(6), Fraction(10))
    reader = VideoReader(tmp_path / "a.gif")
    parts, end, frames = segmented(reader, tmp_path / "parts", "h264", 4)
    join(tmp_path / "out.mp4", parts, reader, container="mp4", end=end)
    assert [frame.time for frame in VideoReader(tmp_path / "out.mp4").timed()] == [frame.time for frame in frames]
