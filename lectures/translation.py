"""From Wycliffe's English to that of King James: data, model, and what a translation is worth.

The shipped weights are `data/translation.safetensors` and `data/translation_lstm.safetensors`, made
by `data/make_translation.py` and `data/make_attention_lstm.py`.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Sequence
from typing import Literal

import sacrebleu
from torch import Tensor

from lectures import attention_lstm, batching, checkpoints, corpora, decoding, ibm_model1
from lectures.attention_lstm import AttentionLSTM
from lectures.bpe import BOS, BPE, EOS
from lectures.transformer import Transformer, beam_search, greedy

NAME, LSTM, MERGES = "translation", "translation_lstm", 3000
Side = Literal["train", "valid", "test"]


@functools.cache
def bpe() -> BPE:
    """Return the pieces that both languages share, learned from the train side (some seconds)."""
    pairs = corpora.translation_pairs("train")
    return BPE.from_texts((t for p in pairs for t in (p.wycliffe, p.king_james)), MERGES)


@functools.cache
def ids(side: Side) -> list[tuple[list[int], list[int]]]:
    """Return the verse pairs of a side as ids, without begin and end."""
    code = bpe()
    return [
        (code.encode(pair.wycliffe), code.encode(pair.king_james))
        for pair in corpora.translation_pairs(side)
    ]


def tensors(pairs: Sequence[tuple[list[int], list[int]]]) -> tuple[Tensor, Tensor]:
    """Return sources (B, H), each with its end, and targets (B, Z + 1), from begin to end."""
    source = batching.pad([[*source, EOS] for source, _ in pairs])
    return source, batching.pad([[BOS, *target, EOS] for _, target in pairs])


@functools.cache
def model1() -> ibm_model1.WordForWord:
    """Return IBM Model 1, five passes of EM on the train side's words (about 20 s)."""
    pairs = corpora.translation_pairs("train")
    return ibm_model1.WordForWord([(p.wycliffe, p.king_james) for p in pairs])


@functools.cache
def load() -> Transformer:
    """Return the shipped transformer, ready to translate."""
    model = Transformer(len(bpe()))
    checkpoints.load(NAME, model)
    return model


def lstm() -> AttentionLSTM:
    """Return a new attention LSTM with about as many weights as the transformer.

    As in the transformer one table of embeddings serves both sides.
    """
    n = len(bpe())
    model = AttentionLSTM(n, n, d=256, d_embedding=256, dropout=0.2)
    model.target_embedding = model.source_embedding
    return model


@functools.cache
def load_lstm() -> AttentionLSTM:
    """Return the shipped attention LSTM, ready to translate."""
    model = lstm()
    checkpoints.load(LSTM, model)
    return model


def translate(
    model: Transformer | AttentionLSTM,
    texts: Sequence[str],
    k: int = 1,
    alpha: float = 1.0,
    forbid: decoding.Forbid | None = decoding.loops,
) -> list[str]:
    """Translate texts in the order given: greedily (k = 1), or by beam search without loops."""
    code = bpe()
    sources = [[*code.encode(text), EOS] for text in texts]
    out = [""] * len(texts)
    for batch in batching.by_tokens([len(ids) for ids in sources], 2000 // k):
        source = batching.pad([sources[i] for i in batch])
        longest = 2 * source.shape[1] + 10
        if isinstance(model, AttentionLSTM):
            if k != 1:
                raise ValueError("the LSTM translates greedily here")
            said = attention_lstm.greedy(model, source, longest)
        elif k == 1:
            said = greedy(model, source, longest)
        else:
            found = beam_search(model, source, longest, k, alpha, forbid=forbid)
            said = [hypotheses[0][1] for hypotheses in found]
        for i, ids_said in zip(batch, said, strict=True):
            out[i] = code.decode(ids_said)
    return out


def loops(text: str) -> bool:
    """Whether some phrase stands three times or more in a row, or one of four words twice.

    Case and punctuation do not count.
    """
    words = [word.lower() for word in ibm_model1.tokens(text) if word[0].isalnum()]
    for n in range(1, len(words) // 2 + 1):
        same = 0  # how many words in a row are those n places before
        for word, before in zip(words[n:], words, strict=False):
            same = same + 1 if word == before else 0
            if same >= (2 * n if n < 4 else n):
                return True
    return False


def scores(texts: Sequence[str], side: Side = "test", every: int = 1) -> dict[str, float]:
    """BLEU and chrF (sacrebleu) of translations of a side's verses; percent of them that loop."""
    references = [[pair.king_james for pair in corpora.translation_pairs(side)[::every]]]
    return {
        "bleu": round(sacrebleu.corpus_bleu(texts, references).score, 2),
        "chrf": round(sacrebleu.corpus_chrf(texts, references).score, 2),
        "loops": round(100 * sum(map(loops, texts)) / len(texts), 2),
    }


def keep(said: dict[str, list[str]]) -> None:
    """Write what systems said for the test verses, a line each, into `data/translations.csv`.

    A column for each system; those of systems that are not in `said` stay as they are.
    """
    path = checkpoints.DATA / "translations.csv"
    pairs = corpora.translation_pairs("test")
    kept: list[dict[str, str]] = [{} for _ in pairs]
    if path.exists():
        with path.open(newline="") as file:
            kept = list(csv.DictReader(file))
    lines = [
        {"book": p.book, "chapter": p.chapter, "verse": p.verse}
        | {name: text for name, text in line.items() if name not in p._fields}
        | {name: texts[i] for name, texts in said.items()}
        for i, (p, line) in enumerate(zip(pairs, kept, strict=True))
    ]
    with path.open("w", newline="") as file:
        out = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        out.writeheader()
        out.writerows(lines)
