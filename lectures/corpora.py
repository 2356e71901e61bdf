"""The course's texts: where each is from, and a loader that checks it.

Every text comes with an ordinary dependency or lies in `data/`; nothing is downloaded and nothing
is written. A loader compares the bytes that it reads with the hash in `SOURCES`, returns plain
Python values, and keeps what it made for the next call: treat them as read-only.
"""

from __future__ import annotations

import bz2
import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parent / "data"


class CorpusError(Exception):
    """A corpus is missing or is not the text that the course was written for."""


@dataclass(frozen=True)
class Source:
    """Where a corpus comes from; `sha256` is of the bytes that its loader reads."""

    source: str
    licence: str
    sha256: str


SOURCES = {
    "wikipedia": Source(
        "English Wikipedia, 106 articles from the dump sample inside gensim 4 "
        "(enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2), "
        "tokenized by lectures/data/make_wikipedia.py",
        "CC BY-SA 3.0",
        "c522d25b51901269a05ce929c7c2117e5e8f99eb72f020808ee7b35092510a70",
    ),
}


def _read(name: str, path: Path) -> bytes:
    """Return the bytes of the corpus `name` at `path`, once they are known to be the right ones."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CorpusError(
            f"the {name} corpus cannot be read at {path} ({error.strerror}): "
            "install the course again with `make setup`"
        ) from None
    if hashlib.sha256(content).hexdigest() != SOURCES[name].sha256:
        raise CorpusError(
            f"the {name} corpus at {path} is not the text this course was written for "
            "(its sha256 differs): install the course again with `make setup`"
        )
    return content


@functools.cache
def wikipedia() -> list[list[str]]:
    """Return 106 articles of English Wikipedia as lists of lower-case tokens, 452,944 in all.

    The articles are long ones on anarchism, autism, Abraham Lincoln, algae, ...: an
    encyclopedia's first letters, not a fair sample of it. One-letter words, numbers and punctuation
    are gone, so a "sentence" of it is the run of a whole article.
    """
    text = bz2.decompress(_read("wikipedia", DATA / "wikipedia.txt.bz2")).decode()
    return [line.split(" ") for line in text.splitlines()]
