"""Make `wikipedia.txt.bz2` from the Wikipedia dump that the `gensim` wheel carries.

Takes a few seconds. Run it as

    python lectures/data/make_wikipedia.py           # write the file beside this script
    python lectures/data/make_wikipedia.py --check   # write nothing, exit 1 if they differ

The dump is cleaned with gensim's own functions and its own defaults (`WikiCorpus`): markup removed,
lower case, tokens of 2 to 15 letters, articles of at least 50 tokens. One-letter words ("a") and
all punctuation are therefore gone. `WikiCorpus` itself would spread the work over processes and
give the articles without a fixed order, so its steps are called here one by one.
"""

from __future__ import annotations

import bz2
import sys
from pathlib import Path

from gensim.corpora.wikicorpus import ARTICLE_MIN_WORDS, extract_pages, filter_wiki, tokenize
from gensim.test.utils import datapath

DUMP = "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
TARGET = Path(__file__).parent / "wikipedia.txt.bz2"


def articles() -> list[list[str]]:
    """Return the dump's articles, in its order, as lists of tokens."""
    found = []
    with bz2.open(datapath(DUMP)) as dump:
        for _title, text, _page in extract_pages(dump, filter_namespaces=("0",)):
            tokens = tokenize(filter_wiki(text))
            if len(tokens) >= ARTICLE_MIN_WORDS:
                found.append(tokens)
    return found


def packed(found: list[list[str]]) -> bytes:
    """Return the bytes of the shipped file: one article a line, tokens separated by spaces.

    bzip2 holds no time and no name, so equal articles give equal bytes.
    """
    lines = "".join(" ".join(tokens) + "\n" for tokens in found)
    return bz2.compress(lines.encode(), 9)


if __name__ == "__main__":
    made = packed(articles())
    if sys.argv[1:] == ["--check"]:
        if made != TARGET.read_bytes():
            sys.exit(f"{TARGET} is not what this script makes")
    else:
        TARGET.write_bytes(made)
