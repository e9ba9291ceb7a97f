"""The film in work on its own, with fakes for stage and encoder: threads, segments, spools, errors, going on."""

from __future__ import annotations

import errno
import threading
import time
from contextlib import contextmanager
from fractions import Fraction

import numpy as np
import pytest

from animegen import InterpolatorSpec
from animegen.errors import ResourceError, UsageError
from animegen.film.channel import Channel, Stopped
from animegen.film.parts import Parts, segment_length, split
from animegen.film.workers import Crew, Meter
from animegen.upsampling.fill import fill
from animegen.upsampling.frames import ArrayFrame
from animegen.upsampling.gaps import gaps, mark
from animegen.upsampling.timeline import Factor, Rate

SPEC = InterpolatorSpec("mix", "toys:Mix", "Mixes.")


def mix(first, last, times, *, prompt="", seed=0):
    return np.stack([np.rint(first * (1 - t) + last * t) for t in times]).astype(np.uint8)


def frames(count):
    for index in range(count):
        yield ArrayFrame(index, Fraction(index, 12), np.full((4, 6, 3), index * 3 % 256, np.uint8))


def plans(count, timeline=None):
    return (timeline or Factor(4)).place(gaps(mark(frames(count))))


@contextmanager
def encoder(path):
    """Frames as text, whole or absent."""
    lines = []
    yield lambda image, time: lines.append(f"{time} {int(image[0, 0, 0])}")
    path.write_text("\n".join(lines))


class Stage:
    """Counts the frames it draws, and may break off."""

    def __init__(self, until=None, error=None):
        self.drawn, self._until, self._error = 0, until, error
        self.threads = set()

    def __call__(self, first, last, times, **call):
        self.threads.add(threading.current_thread().name)
        if self._until is not None and self.drawn >= self._until:
            raise self._error
        self.drawn += len(times)
        return mix(first, last, times)

    def draw(self, plans, wanted):
        return fill("toys:mix", SPEC, self, plans, wanted=wanted)


class Chained(Stage):
    """Sees a sequence, two images ahead of what it gives."""

    def sequence(self, images, times):
        seen, times = [], iter(times)
        for image in images:
            seen.append(image)
            if len(seen) > 2:
                yield self._at(seen[:2], next(times))
                del seen[0]
        yield self._at(seen, next(times))

    def _at(self, pair, times):
        return self(*pair, times) if times else np.empty((0, *pair[0].shape), np.uint8)


def film(parts, total):
    return [path.read_text() for path in parts.paths(total)]


def make(folder, stages=None, count=30, **more):
    parts = Parts(folder, more.pop("length", 8), ".txt")
    stages = stages or [Stage()]
    meter = Meter()
    with parts.alone():
        total = Crew(parts, [stage.draw for stage in stages], more.pop("encoder", encoder), meter).run(
            plans(count, **more)
        )
    return parts, total, meter


@pytest.fixture
def whole(tmp_path):
    parts, total, _ = make(tmp_path / "whole")
    return film(parts, total)


def test_segments_hold_every_frame_once_and_in_order(tmp_path):
    parts, total, meter = make(tmp_path / "film")
    lines = [line.split() for text in film(parts, total) for line in text.splitlines()]
    assert total == 120 == len(lines) == meter.done
    assert [Fraction(time) for time, _ in lines] == [Fraction(number, 48) for number in range(120)]
    assert [int(value) for _, value in lines[::4]] == [index * 3 for index in range(30)]
    assert (meter.drawn, meter.copied) == (29 * 3, 30 + 3)  # the last frame is held
    assert {len(text.splitlines()) for text in film(parts, total)} == {8}
    assert not list(parts.folder.glob("*.spool"))


@pytest.mark.parametrize("length", [1, 3, 7, 8, 120, 500])
@pytest.mark.parametrize("timeline", [Factor(4), Rate(Fraction(30)), Rate(Fraction(100, 7))])
def test_boundaries_lie_where_they_will_not_where_gaps_end(tmp_path, length, timeline):
    one, total, _ = make(tmp_path / "one", length=10_000, timeline=timeline)
    many, again, _ = make(tmp_path / "many", length=length, timeline=timeline)
    assert total == again
    assert "\n".join(film(many, total)) == film(one, total)[0]
    assert many.count(total) == -(-total // length)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_several_devices_share_the_film(tmp_path, whole, count):
    stages = [Stage() for _ in range(count)]
    parts, total, meter = make(tmp_path / "film", stages)
    assert film(parts, total) == whole
    assert sum(stage.drawn for stage in stages) == meter.drawn == 87
    assert len(set.union(*(stage.threads for stage in stages))) > 1


@pytest.mark.parametrize("until", [0, 4, 20])
@pytest.mark.parametrize("devices", [1, 3])
def test_a_stage_that_sees_a_sequence_gives_the_same_film(tmp_path, whole, until, devices):
    with pytest.raises(RuntimeError):
        make(tmp_path / "film", [Chained(until, RuntimeError()) for _ in range(devices)])
    parts, total, _ = make(tmp_path / "film", [Chained() for _ in range(devices)])
    assert film(parts, total) == whole


@pytest.mark.parametrize("until", [0, 1, 5, 6, 20, 47, 86])
@pytest.mark.parametrize("devices", [1, 2])
def test_after_a_failure_no_frame_is_drawn_twice(tmp_path, whole, until, devices):
    broken = [Stage(until, RuntimeError("broken")) for _ in range(devices)]
    with pytest.raises(RuntimeError, match="broken"):
        make(tmp_path / "film", broken, count=80)
    spooled = sum(1 for _ in (tmp_path / "film").glob("*.spool/*.raw"))
    segments = sum(1 for _ in (tmp_path / "film").glob("*.txt"))
    stage = Stage()
    parts, total, meter = make(tmp_path / "film", [stage], count=80)
    fresh, _, _ = make(tmp_path / "fresh", count=80)
    assert film(parts, total) == film(fresh, total)
    assert stage.drawn + sum(one.drawn for one in broken) <= 79 * 3 + 3 * devices  # one call may be lost
    assert meter.kept == spooled + 8 * segments
    assert meter.done == total == 320


def test_what_is_there_is_neither_drawn_nor_converted(tmp_path, whole):
    parts, total, _ = make(tmp_path / "film")
    parts.path(7).unlink()

    class Converted(ArrayFrame):
        def image(self):
            asked.append(self.index)
            return super().image()

    asked = []
    again = (Converted(f.index, f.time, f.pixels) for f in frames(30))
    stage = Stage()
    with parts.alone():
        Crew(parts, [stage.draw], encoder, Meter()).run(Factor(4).place(gaps(mark(again))))
    assert film(parts, total) == whole
    assert stage.drawn == 6
    assert set(asked) == {14, 15, 16}  # outputs 56 to 63


def test_a_frame_lies_on_the_disk_before_the_next_is_begun(tmp_path):
    folder = tmp_path / "film"
    seen = []

    class Looks(Stage):
        def __call__(self, first, last, times, **call):
            seen.append({path.stem for path in folder.glob("*.spool/*.raw")})
            return super().__call__(first, last, times, **call)

    with pytest.raises(RuntimeError):
        make(folder, [Looks(6, RuntimeError())], length=500)
    assert [len(names) for names in seen] == [0, 3, 6]


def test_a_frame_that_a_power_cut_damaged_is_drawn_again(tmp_path, whole):
    with pytest.raises(RuntimeError):
        make(tmp_path / "film", [Stage(8, RuntimeError())])
    spooled = sorted((tmp_path / "film").glob("*.spool/*.raw"))
    spooled[0].write_bytes(spooled[0].read_bytes()[:-1])
    data = bytearray(spooled[1].read_bytes())
    data[-1] ^= 1
    spooled[1].write_bytes(data)
    (spooled[0].parent / ".00000003.raw").write_bytes(b"half")
    parts, total, meter = make(tmp_path / "film")
    assert film(parts, total) == whole
    assert meter.kept == 8 + len(spooled) - 2


def test_reading_goes_no_further_ahead_than_it_may(tmp_path):
    """Sources of any length take the same memory: count the frames that are read and not yet drawn."""
    most = 0
    read = 0

    def counted():
        nonlocal read
        for frame in frames(400):
            read += 1
            yield frame

    class Slow(Stage):
        def __call__(self, first, last, times, **call):
            nonlocal most
            time.sleep(0.001)
            most = max(most, read - self.drawn)
            return super().__call__(first, last, times, **call)

    parts = Parts(tmp_path / "film", 16, ".txt")
    stage = Slow()
    with parts.alone():
        Crew(parts, [stage.draw], encoder, Meter()).run(Factor(2).place(gaps(mark(counted()))))
    assert 4 <= most <= 16


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), ResourceError, "No space left on device"),
        (MemoryError(), ResourceError, "out of memory while writing"),
    ],
)
def test_what_fails_in_writing_ends_all_threads_and_says_what_to_do(tmp_path, whole, error, kind, said):
    @contextmanager
    def full(path):
        with encoder(path) as put:

            def limited(image, time):
                if time >= Fraction(1, 2):
                    raise error
                put(image, time)

            yield limited

    before = threading.active_count()
    with pytest.raises(kind, match=said) as caught:
        make(tmp_path / "film", encoder=full)
    assert any("--resume" in hint for hint in caught.value.hints)
    assert threading.active_count() == before
    parts, total, meter = make(tmp_path / "film")
    assert film(parts, total) == whole
    assert meter.kept > 24


def test_a_source_that_breaks_off_leaves_no_short_segment(tmp_path):
    def broken():
        yield from frames(5)
        raise ResourceError("gone")

    parts = Parts(tmp_path / "film", 8, ".txt")
    with parts.alone(), pytest.raises(ResourceError, match="gone"):
        Crew(parts, [Stage().draw], encoder, Meter()).run(Factor(4).place(gaps(mark(broken()))))
    assert all(len(path.read_text().splitlines()) == 8 for path in parts.folder.glob("*.txt"))


def test_ctrl_c_keeps_what_is_drawn(tmp_path, whole):
    parts = Parts(tmp_path / "film", 8, ".txt")
    stage = Stage()
    meter = Meter()

    def tick():
        if meter.done > 20:
            raise KeyboardInterrupt

    class Slow(Stage):
        def __call__(self, *args, **call):
            time.sleep(0.01)
            return super().__call__(*args, **call)

    slow = Slow()
    before = threading.active_count()
    with parts.alone(), pytest.raises(KeyboardInterrupt):
        Crew(parts, [slow.draw], encoder, meter).run(plans(30), tick)
    assert threading.active_count() == before
    _, total, again = make(tmp_path / "film", [stage])
    assert film(parts, total) == whole
    assert slow.drawn + stage.drawn <= 87 + 3
    assert again.kept >= 20


def test_one_process_at_a_time(tmp_path):
    parts = Parts(tmp_path / "film", 8, ".txt")
    with parts.alone():
        with pytest.raises(UsageError, match="another process"), Parts(tmp_path / "film", 8, ".txt").alone():
            pass
        (parts.folder / "000000.txt").write_text("")
    with parts.alone(fresh=True):
        assert not list(parts.folder.iterdir())


def test_segments_are_as_long_as_the_size_of_frames_allows():
    assert segment_length((320, 240)) == 64
    assert segment_length((1920, 1080)) == 43
    assert segment_length((3840, 2160)) == 10
    assert segment_length((7680, 4320)) == 8
    assert segment_length((1920, 1080), 4) < segment_length((1920, 1080), 3)


def test_facts_are_believed_only_with_all_their_segments(tmp_path):
    parts, total, _ = make(tmp_path / "film")
    assert parts.facts() is None
    parts.keep_facts({"frames_out": total})
    assert parts.facts() == {"frames_out": total}
    parts.path(3).unlink()
    assert parts.facts() is None


def test_numbers_are_split_where_segments_end():
    numbers = list(range(5, 21))
    assert [(segment, numbers[part]) for segment, part in split(numbers, 8)] == [
        (0, [5, 6, 7]),
        (1, list(range(8, 16))),
        (2, [16, 17, 18, 19, 20]),
    ]
    assert list(split([], 8)) == []


def test_a_channel_sends_everyone_away_when_all_is_to_stop():
    stop = threading.Event()
    channel = Channel(1, stop)
    channel.put(1)
    stop.set()
    with pytest.raises(Stopped):
        channel.put(2)
    with pytest.raises(Stopped):
        next(iter(channel))
