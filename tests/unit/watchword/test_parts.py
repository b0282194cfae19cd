import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.policy.domain.subject_rows import Format, PartRows, read_part
from watchword.parts import UncutFileError, digest_of, parts_of


def _file(folder: Path, content: bytes) -> Path:
    file = folder / "people.csv"
    file.write_bytes(content)
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parts")


_CELLS = st.sampled_from(["a", "Zürich", '"x,y"', '"a\nb"', '"say ""no"""', "", '"\n"'])
_ROWS = st.lists(st.lists(_CELLS, min_size=2, max_size=2), max_size=30)


@given(rows=_ROWS, size=st.integers(1, 60), end=st.sampled_from(["\n", "\r\n"]))
def test_the_parts_of_a_csv_have_its_rows(
    folder: Path, rows: list[list[str]], size: int, end: str
) -> None:
    content = end.join(",".join(row) for row in [["subject", "label"], *rows]).encode()
    file = _file(folder, content)

    parts = list(parts_of(file, "csv", size=size))

    assert b"".join(parts) == content
    whole = read_part(content, Format.CSV, columns=(), before=0)
    assert isinstance(whole, PartRows)
    collected: list[object] = []
    columns: tuple[str, ...] = ()
    for part in parts:
        read = read_part(part, Format.CSV, columns=columns, before=len(collected))
        assert isinstance(read, PartRows)
        columns = read.columns
        collected += read.rows
    assert collected == list(whole.rows)


@given(lines=st.lists(st.text(max_size=9), max_size=30), size=st.integers(1, 60))
def test_the_parts_of_json_lines_are_whole_lines(folder: Path, lines: list[str], size: int) -> None:
    content = "".join(line.replace("\n", " ") + "\n" for line in lines).encode()

    parts = list(parts_of(_file(folder, content), "jsonl", size=size))

    assert b"".join(parts) == content
    assert all(part.endswith(b"\n") for part in parts)


@pytest.mark.parametrize(("length", "taken"), [(1024 * 1024, True), (1024 * 1024 + 1, False)])
def test_a_record_fits_into_a_part(folder: Path, length: int, taken: bool) -> None:
    file = _file(folder, b"subject\n" + b"x" * (length - 1) + b"\n")

    if taken:
        assert [len(part) for part in parts_of(file, "csv")] == [8, length]
    else:
        with pytest.raises(UncutFileError, match="record 2"):
            list(parts_of(file, "csv"))


def test_a_quotation_mark_that_is_never_closed_does_not_fill_the_memory(folder: Path) -> None:
    file = _file(folder, b'subject\n"' + b"x\n" * 600_000)

    with pytest.raises(UncutFileError, match="record 2"):
        list(parts_of(file, "csv"))


def test_an_empty_file_has_no_parts(folder: Path) -> None:
    assert list(parts_of(_file(folder, b""), "csv")) == []


def test_the_digest_is_sha256_of_the_whole_file(folder: Path) -> None:
    content = b"x" * 3_000_000

    assert digest_of(_file(folder, content)) == hashlib.sha256(content).hexdigest()
