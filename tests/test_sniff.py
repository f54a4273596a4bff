"""How a CSV file is written is found from its bytes."""

from __future__ import annotations

import codecs

import pytest

from tools.draft.sniff import CHUNK, HEAD, Dialect, read_records, sniff, take_sample

ROWS = [["id", "name", "price", "day"]] + [
    [str(i), f"item {i % 7}", f"{i * 1.25:.2f}", f"2024-01-{i % 28 + 1:02d}"] for i in range(60)
]


def found(text: str | bytes, target: str | None = None) -> Dialect:
    content = text if isinstance(text, bytes) else text.encode()
    blocks = [content[i : i + 1000] for i in range(0, len(content), 1000)]
    return sniff(take_sample(blocks), target)[0]


def table(delimiter: str, end: str = "\n") -> str:
    return end.join(delimiter.join(row) for row in ROWS) + end


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "^"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_delimiter_is_found_whatever_the_line_ends(delimiter: str, end: str) -> None:
    assert found(table(delimiter, end)) == Dialect(delimiter=delimiter)


def test_decimal_commas_do_not_look_like_delimiters() -> None:
    rows = "\n".join(f"{i};{i},5;0{i % 9},25;10/03/2004" for i in range(50))
    assert found("a;b;c;d\n" + rows).delimiter == ";"


def test_times_of_day_do_not_make_the_colon_a_delimiter() -> None:
    rows = "\n".join(f"2024-01-01 10:{i:02d}:00,{i}" for i in range(50))
    assert found("at,n\n" + rows).delimiter == ","


def test_quoted_delimiters_and_newlines_keep_the_quote() -> None:
    rows = "\n".join(f'{i},"first, second\nline ""{i}""",x' for i in range(40))
    assert found("id,note,kind\n" + rows) == Dialect()


def test_inch_marks_and_unbalanced_quotes_mean_no_quoting() -> None:
    rows = "\n".join(f'ham\t"{i} inch is 5" and {"more" if i % 3 else chr(34)}' for i in range(60))
    assert found(rows) == Dialect(delimiter="\t", quote="", header=False)


def test_a_backslash_before_a_quote_is_an_escape() -> None:
    rows = "\n".join(f'{i},"he said \\"no, {i}\\"",x' for i in range(40))
    assert found("id,note,kind\n" + rows).escape == "\\"


def test_single_quotes_around_fields_are_quotes() -> None:
    rows = "\n".join(f"{i};'a; b {i}';'c'" for i in range(40))
    assert found("id;note;kind\n" + rows).quote == "'"


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (codecs.BOM_UTF8 + "a,b\né,1\n".encode(), "utf-8"),
        ("a,b\né,1\n".encode("utf-16"), "utf-16"),
        (("a,b\né,1\n" * 20).encode("utf-16-le"), "utf-16-le"),
        ("a,b\n€,1\n".encode("cp1252"), "cp1252"),
        (b"a,b\n\x81\xe9,1\n", "latin-1"),
        ("a,b\né,1\n".encode(), "utf-8"),
    ],
)
def test_the_encoding_is_found(content: bytes, encoding: str) -> None:
    assert found(content).encoding == encoding


def test_one_wrong_byte_far_down_decides_the_encoding() -> None:
    content = table(",").encode() * (2 * HEAD // len(table(","))) + b"1,caf\xe9,2,2024-01-01\n"
    assert found(content).encoding == "cp1252"


def test_quotes_far_down_are_seen() -> None:
    line = b"1,plain,2.5,2024-01-01\n"
    content = line * (2 * HEAD // len(line) + 10) + b'2,"5"" pipe, long",2.5,2024-01-01\n' * (CHUNK // 30)
    dialects = sniff(take_sample(content[i : i + HEAD // 4] for i in range(0, len(content), HEAD // 4)))
    assert {dialect.quote for dialect in dialects} == {'"', ""}


def test_a_multibyte_character_across_two_blocks_is_no_wrong_byte() -> None:
    assert take_sample(["é".encode()[:1], "é".encode()[1:]]).encoding == "utf-8"


@pytest.mark.parametrize(
    ("text", "target", "header"),
    [
        (table(","), None, True),
        (table(",").split("\n", 1)[1], None, False),
        ("2,1,5301,38.50\n1,1,5348,39.2\n2,1,5303,38.30\n", "3", False),
        ("label,text\n" + "ham,hello\nspam,win\n" * 20, None, True),
        ("ham,hello\nspam,win\n" * 20, None, False),
        ("city,mayor\nParis,Anne\nRome,Roberto\nBonn,Katja\n", None, True),
        ("2019,2020,2021\n" + "1.5,2.5,3.5\n" * 9, "2021", False),
        ("x1,y\n" + "".join(f"{i},{i}\n" for i in range(9)), "y", True),
    ],
)
def test_a_header_is_told_from_a_record(text: str, target: str | None, header: bool) -> None:
    assert found(text, target).header == header


def test_blank_lines_are_no_records() -> None:
    assert read_records("a,b\n\n1,2\n\n", ",", '"', "") == ([["a", "b"], ["1", "2"]], 0)
