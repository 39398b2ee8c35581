"""Text that others wrote, where people read it."""

import pytest

from hetero.display.text import in_markdown, is_one_line, one_line, say, shown

TITLE = "\x1b]0;pwn\x07\x1b[1A\x1b[2K\rPASS: 10 pass"


def test_a_terminal_shows_what_it_would_obey(capsys):
    assert shown(TITLE) == r"\x1b]0;pwn\x07\x1b[1A\x1b[2K\rPASS: 10 pass"
    say(f"one\n\ttwo {TITLE}")
    assert capsys.readouterr().out == f"one\n\ttwo {shown(TITLE)}\n"
    assert shown("é 漢字 🙂 a\u00a0b \u0915\u094d\u200d\u0937") == "é 漢字 🙂 a\u00a0b \u0915\u094d\u200d\u0937", (
        "writing is left alone"
    )


@pytest.mark.parametrize("character", ["\x00", "\x7f", "\x9b", "\u202e", "\u2066", "\ufeff", "\U000e0041", "\udc80"])
def test_nothing_is_unseen(character):
    assert not is_one_line(f"a{character}b")
    assert shown(f"a{character}b").isascii() and is_one_line(shown(f"a{character}b"))


def test_no_text_becomes_a_line_of_its_own():
    assert one_line("fail\n\nPASS: 10 pass\t!") == "fail PASS: 10 pass !"
    assert is_one_line("one") and not is_one_line("one\ntwo") and not is_one_line("one\ttwo")


def test_markdown_shows_text_as_text():
    text = in_markdown("<script>a</script>\n![x](http://e/x.png)|[a][b] & [c]: d")
    assert text == "&#60;script>a&#60;/script> ![x&#93;(http://e/x.png)&#124;[a&#93;[b] &#38; [c&#93;: d"
    assert in_markdown("46.0 % [30.0, 60.0], `hetero verify` * 2") == "46.0 % [30.0, 60.0], `hetero verify` * 2"
