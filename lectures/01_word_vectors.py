# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 01 · Word vectors: from counting to predicting
#
# A program sees *france* and *spain* as two strings. Nothing in the letters says that one can often
# stand where the other does. **How can numbers say it, and can text alone supply the numbers?**
#
# After this lecture you will be able to
#
# - say why one-hot vectors carry no meaning, and build vectors that do from co-occurrence counts;
# - compress those counts with the singular value decomposition (SVD), written by yourself;
# - compute a softmax that never overflows;
# - turn two vectors per word into a probability $P(o \mid c)$, and say what one vector would cost;
# - write the likelihood of a text under such a model, and the loss $J(\theta)$ to be lowered.
#
# You need matrix products, logarithms, and NumPy indexing. Reading takes about 60 minutes; the code
# runs in half a minute on one core. Lecture 02 then learns the vectors by gradient descent.

# %% [markdown]
# ## Symbols
#
# | symbol | in code | meaning | shape |
# |---|---|---|---|
# | $\lvert V\rvert$ | `len(words)` | number of words in the vocabulary | |
# | $d$ | `d` | number of coordinates that a word's vector keeps | |
# | $X$ | `X` | co-occurrence counts, a row per word | $\lvert V\rvert \times \lvert V\rvert$ |
# | $M$ | `M` | $\log(1 + X)$, element by element | $\lvert V\rvert \times \lvert V\rvert$ |
# | $A$, $B$ | `A`, `B` | in the SVD $M = A\,\mathrm{diag}(s)\,B^\top$ | $\lvert V\rvert \times d$ |
# | $s$ | `s` | the singular values of $M$, largest first | $d$ |
# | $m$ | `m` | window: how many words to each side count | |
# | $c$, $o$ | `c`, `o` | a center word, an outside word (row numbers) | |
# | $v_w$, $u_w$ | `V[w]`, `U[w]` | input and output vector of word $w$ | $d$ |
# | $V$, $U$ | `V`, `U` | all of them, one a row | $\lvert V\rvert \times d$ |
# | $x$ | `x` | scores before a softmax | $\lvert V\rvert$ |
# | $\hat y$ | `y_hat` | predicted probabilities, $\mathrm{softmax}(U v_c)$ | $\lvert V\rvert$ |
# | $T$ | `T` | number of positions in the text | |
# | $L$, $J$ | `likelihood`, `J` | likelihood of the text; loss per position | |
#
# The letter $V$ alone is a matrix; $\lvert V\rvert$ is the size of the vocabulary. The SVD's two
# orthogonal factors are often called $U$ and $V$ too; here they are $A$ and $B$.

# %%
if __name__ != "__main__":
    raise ImportError("a lecture is run, not imported; its helpers are corpora and figures")

import itertools
import math
from collections import Counter

import numpy as np
import scipy.optimize
import scipy.special
import torch
from matplotlib import pyplot as plt
from scipy import sparse

from lectures import corpora, figures

torch.set_num_threads(1)  # for small matrices, threads cost more than they give

# %% [markdown]
# ## 1. One-hot vectors say nothing
#
# The plainest vector for word $i$ of $\lvert V\rvert$ words has a 1 at place $i$ and 0 elsewhere.
# All one-hot vectors together are the rows of the identity matrix.

# %%
small = ["france", "spain", "oxygen"]
one_hot = np.eye(len(small))
print(dict(zip(small, one_hot.astype(int).tolist(), strict=True)))

# %% [markdown]
# **Predict before you run.** Which is nearer to *france*, *spain* or *oxygen*?
#
# <details><summary>Answer</summary>
#
# Neither. Two different one-hot vectors have no place where both are non-zero, so their product is
# 0 (they are orthogonal), and their distance is $\sqrt{1^2 + 1^2} = \sqrt 2$, whatever the words.
#
# </details>

# %%
france, spain, oxygen = one_hot
print("france . spain =", france @ spain, "  france . oxygen =", france @ oxygen)
for a, b in itertools.combinations(one_hot, 2):
    assert a @ b == 0
    assert math.dist(a, b) == math.sqrt(2)

# %% [markdown]
# What breaks: whatever a model learns about *france* helps it with *spain* no more than with
# *oxygen*. The cure is to let a word's vector come from where the word is used: "you shall know a
# word by the company it keeps" (Firth 1957).

# %% [markdown]
# ## 2. Counting the company a word keeps
#
# Take two sentences, and look one word to each side ($m = 1$). Beside *cat* we see *the* once and
# *drinks* once. Beside *dog* we see the same. Do it with pencil and paper before you run the cell.

# %%
toy = [["the", "cat", "drinks", "milk"], ["the", "dog", "drinks", "water"]]
toy_words = ["the", "cat", "dog", "drinks", "milk", "water"]
toy_index = {word: i for i, word in enumerate(toy_words)}

# %% [markdown]
# In a text $w_1 \dots w_T$, the count for center word $c$ and outside word $o$ is
#
# $$X_{co} = \sum_{t=1}^{T}\ \sum_{\substack{-m \le j \le m\\ j \ne 0}} [w_t = c]\,[w_{t+j} = o],$$
#
# where places outside the text count nothing. As a loop:


# %%
def count_by_loop(article: list[str], index: dict[str, int], m: int) -> np.ndarray:
    X = np.zeros((len(index), len(index)))
    for t, center in enumerate(article):
        for j in range(-m, m + 1):
            if j != 0 and 0 <= t + j < len(article):
                X[index[center], index[article[t + j]]] += 1
    return X


X = sum(count_by_loop(article, toy_index, m=1) for article in toy)
for word, row in zip(toy_words, X.astype(int), strict=True):
    print(f"{word:>7} {row}")

# %% [markdown]
# The rows of *cat* and *dog* are equal, although the two words never meet: they keep the same
# company. So are those of *milk* and *water*. Their one-hot vectors were $\sqrt 2$ apart.

# %%
row = {word: X[i] for word, i in toy_index.items()}
assert math.dist(row["cat"], row["dog"]) == 0
assert math.dist(row["milk"], row["water"]) == 0
assert math.dist(row["cat"], row["milk"]) > 0

# %% [markdown]
# A loop in Python is too slow for a long text. Shift the text against itself instead: for distance
# $j$, the centers are all positions but the last $j$, the outside words all but the first $j$. That
# counts each pair once, from the left; the transpose adds it from the right.


# %%
def cooccurrence(articles: list[list[str]], index: dict[str, int], m: int) -> np.ndarray:
    """Return the counts X, shape (|V|, |V|); words that are not in `index` leave gaps."""
    X = np.zeros((len(index), len(index)))
    for article in articles:
        ids = np.array([index.get(word, -1) for word in article])
        for j in range(1, m + 1):
            c, o = ids[:-j], ids[j:]
            known = (c >= 0) & (o >= 0)
            np.add.at(X, (c[known], o[known]), 1)
    return X + X.T


assert np.array_equal(cooccurrence(toy, toy_index, m=1), X)

# %% [markdown]
# On real text, the first article of the Wikipedia sample, the two must agree again, and with an
# independent third way: with the one-hot vectors of the text as rows of a sparse matrix $D$
# ($T \times \lvert V\rvert$), a count is a product, $\sum_j D_{\text{left}}^\top D_{\text{right}}$.

# %%
articles = corpora.wikipedia()
article = articles[0]
index = {word: i for i, word in enumerate(dict.fromkeys(article))}
ids = [index[word] for word in article]
D = sparse.csr_array((np.ones(len(ids)), (range(len(ids)), ids)))
oracle = sum(D[:-j].T @ D[j:] for j in (1, 2, 3, 4)).toarray()
assert np.array_equal(cooccurrence([article], index, m=4), oracle + oracle.T)
assert np.array_equal(count_by_loop(article, index, m=4), oracle + oracle.T)

# %% [markdown]
# `np.add.at` is needed. The shorter `X[c, o] += 1` reads all places, adds 1, and writes all places
# back, so that a pair which occurs a hundred times is counted once:

# %%
X_lossy = np.zeros((len(index), len(index)))
X_lossy[ids[:-1], ids[1:]] += 1
print(f"pairs of neighbors: {len(ids) - 1}, counted by `X[c, o] += 1`: {X_lossy.sum():.0f}")
assert X_lossy.sum() == len(set(itertools.pairwise(ids))) < len(ids) - 1

# %% [markdown]
# Now the whole sample: 106 articles, the 2,000 most frequent words, four words to each side.
# (One-letter words, numbers and punctuation are gone. Most of the titles begin with A, and it will
# show: *alkanes*, *afroasiatic*.)

# %%
m = 4
frequency = Counter(word for article in articles for word in article)
words = sorted(frequency, key=lambda word: (-frequency[word], word))[:2000]
index = {word: i for i, word in enumerate(words)}
X = cooccurrence(articles, index, m)
covered = sum(frequency[word] for word in words) / frequency.total()
print(f"{frequency.total():,} tokens; 2,000 of {len(frequency):,} words cover {covered:.0%}")
print(f"{X.sum():,.0f} pairs; {np.mean(X > 0):.0%} of the table is not zero")
assert (X == X.T).all()

# %% [markdown]
# Each word now has a vector of 2,000 counts, most of them 0. The full vocabulary would need a table
# of 34,212 × 34,212 numbers. We want a hundred numbers per word instead.

# %%
gigabytes = len(frequency) ** 2 * 8 / 1e9
print(f"the full table in float64: {gigabytes:.1f} GB")
assert len(frequency) == 34_212

# %% [markdown]
# ## 3. Compressing the counts: the singular value decomposition
#
# Every real matrix can be written $M = A\,\mathrm{diag}(s)\,B^\top$ with orthonormal columns in $A$
# and in $B$ and $s_1 \ge s_2 \ge \dots \ge 0$. A matrix that we can do by hand:
#
# $$M = \begin{pmatrix}3 & 0\\ 4 & 5\end{pmatrix},\qquad
#   M M^\top = \begin{pmatrix}9 & 12\\ 12 & 41\end{pmatrix}.$$
#
# $B$ drops out of $M M^\top = A\,\mathrm{diag}(s^2)\,A^\top$, so **the columns of $A$ are
# eigenvectors of $M M^\top$ and $s^2$ its eigenvalues**. Their sum is the trace, $9 + 41 = 50$;
# their product the determinant, $9 \cdot 41 - 12^2 = 225$. Hence $s^2 = 45$ and $5$.
#
# To find the first eigenvector, multiply any vector by $M M^\top$ again and again: each time the
# part along it grows by $s_1^2$, and the others by less. For several at once, keep them
# perpendicular after each step (`np.linalg.qr`), or they all fall onto the first.


# %%
def top_singular(M: np.ndarray, d: int, rounds: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Return A, shape (|V|, d), and s, shape (d,), by orthogonal iteration."""
    A = np.random.default_rng(0).normal(size=(len(M), d))
    for _ in range(rounds):
        A, _ = np.linalg.qr(M @ (M.T @ A))
    return A, np.linalg.norm(M.T @ A, axis=0)


M = np.array([[3.0, 0.0], [4.0, 5.0]])
A, s = top_singular(M, d=2)
print("s² =", (s**2).round(6))
assert np.allclose(s**2, [45, 5])

# %%
A_numpy, s_numpy, _ = np.linalg.svd(M)
assert np.allclose(s, s_numpy)
assert np.allclose(abs(A.T @ A_numpy), np.eye(2))  # equal up to sign: -a is as good as a

# %% [markdown]
# Without the perpendicular step the second column is lost (its cosine with the first is 1):

# %%
columns = np.random.default_rng(0).normal(size=(2, 2))
for _ in range(40):
    columns = M @ M.T @ columns
    columns /= np.linalg.norm(columns, axis=0)
print(f"|cosine| of the two columns without QR: {abs(columns[:, 0] @ columns[:, 1]):.6f}")
assert abs(columns[:, 0] @ columns[:, 1]) > 1 - 1e-9

# %% [markdown]
# Why this one? **Of all matrices of rank $d$, its first $d$ terms are the nearest to $M$**, with
# squared error $s_{d+1}^2 + s_{d+2}^2 + \dots$ (Eckart and Young 1936). For our $2 \times 2$
# matrix and $d = 1$ the error should be $5$, and no direction should do better. Try 100,000:

# %%
angle = np.linspace(0, np.pi, 100_000)
directions = np.stack([np.cos(angle), np.sin(angle)], axis=1)
error = (M**2).sum() - ((directions @ M) ** 2).sum(axis=1)  # what projection leaves out
print(f"smallest squared error of a direction: {error.min():.6f}; at the SVD's: {s[1] ** 2:.6f}")
assert abs(error.min() - s[1] ** 2) < 1e-6
assert np.allclose(abs(directions[error.argmin()] @ A[:, 0]), 1)

# %% [markdown]
# ### On the counts themselves, it finds "the"
#
# Squared error cares most for the largest numbers, and the largest counts are those of *the* and
# *of*. The first direction of the raw $X$ holds 92% of its square, and half of that direction is
# one word:

# %%
A_raw, s_raw, _ = np.linalg.svd(X)
share = s_raw[0] ** 2 / (s_raw**2).sum()
weight = A_raw[:, 0] ** 2  # sums to 1 over the words
first_words = {words[i]: round(float(weight[i]), 2) for i in np.argsort(-weight)[:4]}
print(f"share of the first direction: {share:.0%}; its words: {first_words}")
assert share > 0.9
assert weight[index["the"]] > 0.5

# %% [markdown]
# One cure is to damp the large counts before the decomposition: $M = \log(1 + X)$. The 1 keeps a
# count of 0 at 0. (Section 6 has a better reason for this choice.) No word then holds more
# than a few percent of the first direction.

# %%
M = np.log1p(X)
A, s, Bt = np.linalg.svd(M)
B = Bt.T
A_ours, s_ours = top_singular(M, d=40)
print("s by our iteration:", s_ours[:5].round(2))
print("s by NumPy:        ", s[:5].round(2))
assert np.allclose(s_ours[:5], s[:5])
assert np.allclose(abs(A_ours[:, :5].T @ A[:, :5]), np.eye(5), atol=1e-3)  # up to sign again
assert (A[:, 0] ** 2).max() < 0.06

# %% [markdown]
# How many directions do we need? The **scree plot** draws the singular values in order. Scree is
# the rubble at the foot of a cliff: after the cliff, more directions add little each.

# %%
share = s**2 / (s**2).sum()
figure, axes = plt.subplots()
axes.semilogy(np.arange(1, 201), s[:200])
for k in (1, 2, 100):
    label = f"first {k}: {share[:k].sum():.0%} of the sum of squares"
    axes.plot(k, s[k - 1], "o", color=figures.palette["red"])
    axes.annotate(label, (k, s[k - 1]), (8, 4), textcoords="offset points")
axes.set(xlabel="direction, by size", ylabel="singular value of log(1 + X)")
axes.set_yticks([20, 50, 100, 200, 500], ["20", "50", "100", "200", "500"])
axes.minorticks_off()
axes.set_title("Two directions stand out; the rest is a long, flat slope")
figures.show(
    figure,
    f"""Scree plot, log scale: singular value 1 is {s[0]:.0f}, 2 is {s[1]:.0f}, 3 is {s[2]:.0f},
    then a slow decline to {s[99]:.0f} at 100. The first two directions hold
    {share[:2].sum():.0%} of the sum of squares, the first hundred {share[:100].sum():.0%}.""",
)

# %% [markdown]
# The figure says: two directions tower over the rest, and no clear end follows. What is the first?
# It is **frequency**: a frequent word has large counts with everything. It correlates with the log
# of the word's frequency at 0.9, so it says little about meaning. We leave it out when we compare
# words: our vectors are the next 99 coordinates, $A_{w,k}\, s_k$ for $k = 2 \dots 100$.

# %%
log_frequency = np.log([frequency[word] for word in words])
correlation = abs(np.corrcoef(A[:, 0], log_frequency)[0, 1])
print(f"|correlation| of direction 1 with log frequency: {correlation:.2f}")
assert 0.85 < correlation < 0.95

# %% [markdown]
# ### Neighbors
#
# Compare by cosine, so that only the direction of a vector counts. The first lines come from 100
# directions of the raw counts; the second from the logarithm, frequency left out.


# %%
def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def neighbors(word: str, vectors: np.ndarray) -> list[str]:
    cosines = unit(vectors) @ unit(vectors)[index[word]]
    return [words[i] for i in np.argsort(-cosines) if words[i] != word][:4]


vectors = A[:, 1:100] * s[1:100]
for word in ["france", "water", "language", "computer", "two"]:
    print(f"{word:>9}  raw {neighbors(word, A_raw[:, :100] * s_raw[:100])}")
    print(f"{'':>9}  log {neighbors(word, vectors)}")
assert neighbors("two", vectors) == ["three", "four", "five", "six"]

# %% [markdown]
# Which of the two changes did it? Take twenty words of four kinds. The mean cosine of two words of
# one kind should be high, that of two words of different kinds low.

# %%
kinds = {
    "months": "january march june july october".split(),
    "numbers": "two three four five six".split(),
    "countries": "france china italy spain britain".split(),
    "chemistry": "oxygen acid metal ions water".split(),
}
chosen = [word for kind in kinds.values() for word in kind]
ids = [index[word] for word in chosen]
same = np.kron(np.eye(4), np.ones((5, 5))) == 1
for name, left, size in (("raw", A_raw, s_raw), ("log", A, s)):
    for first in (1, 2):
        cloud = unit(left[:, first - 1 : 100] * size[first - 1 : 100])[ids]
        cosine = cloud @ cloud.T
        within, between = cosine[same & ~np.eye(20, dtype=bool)].mean(), cosine[~same].mean()
        print(f"{name}, directions {first} to 100: within {within:.2f}, between {between:.2f}")
        assert (within > 3 * between) == (first == 2)

# %% [markdown]
# Leaving out frequency did it: with it, all words look alike. By this measure the logarithm is not
# needed. We keep it for what it does in section 6.
#
# ### A map of words
#
# The twenty words once more, projected from 99 dimensions onto the two in which they differ most
# (an SVD again, of their centered unit vectors).

# %%
left, size, _ = np.linalg.svd(cloud - cloud.mean(axis=0), full_matrices=False)
place = dict(zip(chosen, left[:, :2] * size[:2], strict=True))
to_the_left = "three four acid june march october italy britain oxygen ions".split()  # labels apart
figure, axes = plt.subplots(figsize=(7, 5.5))
for members, marker, color in zip(kinds.values(), "osD^", figures.palette.values(), strict=False):
    axes.plot(*np.transpose([place[word] for word in members]), marker, color=color)
    for word in members:
        side = (-7, "right") if word in to_the_left else (7, "left")
        axes.annotate(word, place[word], (side[0], -3), ha=side[1], textcoords="offset points")
axes.set(xlabel="first direction (cosine units)", ylabel="second direction (cosine units)")
axes.margins(0.15)
axes.set_title("Words of one kind lie together, from counts alone")
figures.show(
    figure,
    f"""Map of twenty words in two dimensions. Months, numbers, countries and chemical words form
    four groups; months and countries are next to each other. Mean cosine within a group
    {within:.2f}, between groups {between:.2f}.""",
)

# %% [markdown]
# Nobody told the program what a month is. But there is a price: the table was built for the whole
# text at once, and grows with the square of the vocabulary. The other road does not store counts.
# It walks along the text and **predicts** each word's neighbors, with a few numbers per word. For
# that we need probabilities.

# %% [markdown]
# ## 4. From scores to probabilities: the softmax
#
# A model will give each word a score, any real number. Probabilities must be positive and sum to 1.
# The exponential makes positive, the division makes the sum 1:
#
# $$\mathrm{softmax}(x)_i = \frac{e^{x_i}}{\sum_{j} e^{x_j}}.$$
#
# In the head: scores $0, \ln 2, \ln 4$ have exponentials $1, 2, 4$, so probabilities
# $\tfrac17, \tfrac27, \tfrac47$.


# %%
def softmax_naive(x: np.ndarray) -> np.ndarray:
    return np.exp(x) / np.exp(x).sum()


y_hat = softmax_naive(np.log([1, 2, 4]))
print("7 · softmax =", (7 * y_hat).round(6))
assert np.allclose(y_hat, [1 / 7, 2 / 7, 4 / 7])

# %% [markdown]
# **Soft**: even the lowest score keeps some mass. **Max**: the largest gets more than its share.
# How much more? A ratio of two probabilities depends only on the *difference* of the scores,
# $\hat y_i / \hat y_j = e^{x_i - x_j}$; so the size of the scores decides.
#
# **Predict before you run.** Multiply the scores $1, 2, 4$ by $\beta$. What happens at $\beta = 0$,
# and as $\beta$ grows?
#
# <details><summary>Answer</summary>
#
# At $\beta = 0$ all scores are equal: probability 1/3 each. As $\beta$ grows, the differences do,
# and the largest score takes all: a hard maximum. $1/\beta$ is called the temperature.
#
# </details>

# %%
scores = np.array([1.0, 2.0, 4.0])
beta = np.logspace(-2, 1, 100)
curves = np.array([softmax_naive(b * scores) for b in beta])
figure, axes = plt.subplots()
axes.semilogx(beta, curves)
for i, shift in enumerate([(-45, -18), (4, 4), (-52, 4)]):
    label = f"score {scores[i]:.0f}"
    axes.annotate(label, (beta[55], curves[55, i]), shift, textcoords="offset points")
axes.set(xlabel="factor β on the scores", ylabel="softmax(β x)")
axes.set_title("Softmax runs from uniform to maximum as scores grow")
ends = [[f"{p:.2f}" for p in softmax_naive(b * scores)] for b in (0.01, 1, 10)]
figures.show(
    figure,
    f"""Softmax of the scores 1, 2, 4 times beta. At beta 0.01 the three probabilities are
    {", ".join(ends[0])}; at 1 they are {", ".join(ends[1])}; at 10, {", ".join(ends[2])}.""",
)
assert np.allclose(softmax_naive(0 * scores), 1 / 3)
assert (curves > 0).all()  # soft: nothing falls to 0, however small it prints
assert softmax_naive(10 * scores).max() > 0.999999

# %% [markdown]
# > **The notes say** "max: amplify the probability of larger $x_i$". That holds for large
# > differences. Compared with plain shares $x_i / \sum_j x_j$, scores of 1, 2, 4 are sharpened, but
# > scores of 0.1, 0.2, 0.4 (the same shares) are flattened:

# %%
for x in (scores, scores / 10):
    print(f"{x}  shares {(x / x.sum()).round(2)}  softmax {softmax_naive(x).round(2)}")
assert softmax_naive(scores)[2] > 4 / 7 > softmax_naive(scores / 10)[2]

# %% [markdown]
# ### What breaks: large scores
#
# The largest float64 is about $e^{709}$. A score of 1000 gives $\infty/\infty$; and if all scores
# are below $-745$, $0/0$.

# %%
with np.errstate(over="ignore", invalid="ignore"):
    print("scores  1000,  1001:", softmax_naive(np.array([1000.0, 1001.0])))
    print("scores -1000, -1001:", softmax_naive(np.array([-1000.0, -1001.0])))
    assert np.isnan(softmax_naive(np.array([1000.0, 1001.0]))).all()
    assert np.exp(709.0) < np.exp(710.0) == np.inf
    assert np.exp(-745.0) > np.exp(-746.0) == 0

# %% [markdown]
# The cure: since only differences matter, **subtract the largest score first**. Then the largest
# exponential is $e^0 = 1$: no overflow, and a denominator of at least 1.


# %%
def softmax(x: np.ndarray) -> np.ndarray:
    """Softmax over the last axis; the shape stays."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


random = np.random.default_rng(1)
for scale in (1, 100, 10_000):
    x = scale * random.normal(size=(5, 7))
    assert np.allclose(softmax(x), scipy.special.softmax(x, axis=-1), atol=1e-15)
    assert np.allclose(softmax(x), softmax(x + 321))
print("scores 1000, 1001:", softmax(np.array([1000.0, 1001.0])).round(4))

# %% [markdown]
# `axis=-1, keepdims=True` gives every row its own maximum. With one maximum for the whole matrix, a
# row that lies far below it is 0/0 again. A loss needs $\log \hat y_i$, and there the same trick is
# applied once more, because $\hat y_i$ itself may be too small for a float:
#
# $$\log \mathrm{softmax}(x)_i = x_i - x_{\max} - \log \sum_j e^{x_j - x_{\max}}.$$


# %%
def log_softmax(x: np.ndarray) -> np.ndarray:
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


x = np.array([0.0, -800.0])
with np.errstate(divide="ignore"):
    print("log(softmax(x)) =", np.log(softmax(x)), "  log_softmax(x) =", log_softmax(x))
assert np.allclose(log_softmax(x), scipy.special.log_softmax(x))

# %%
rows = np.array([[0.0, 1.0], [-1000.0, -1001.0]])
with np.errstate(invalid="ignore"):
    print("second row, one maximum for all:", softmax_naive(rows[1] - rows.max()))
print("second row, its own maximum:", softmax(rows)[1].round(4))
assert np.allclose(softmax(rows), scipy.special.softmax(rows, axis=-1))

# %% [markdown]
# ## 5. Predicting: two vectors per word
#
# Give each word $w$ two vectors: $v_w$ for when it stands in the **center**, $u_w$ for when it is
# an **outside** word. The score of outside word $o$ beside center $c$ is $u_o^\top v_c$:
#
# $$P(o \mid c) = \frac{\exp(u_o^\top v_c)}{\sum_{w} \exp(u_w^\top v_c)},
#   \qquad \hat y = \mathrm{softmax}(U v_c).$$
#
# With $v_c = (\ln 2, 0)$ and output vectors whose first numbers are $0, 1, 2$, the scores are
# $0, \ln 2, \ln 4$: the sevenths of section 4, whatever the second numbers.

# %%
v_c = np.array([math.log(2), 0])  # (d,)
U = np.array([[0, 9], [1, -5], [2, 3]])  # (|V|, d)
y_hat = softmax(U @ v_c)  # (|V|,)
print("7 · P(o|c) =", (7 * y_hat).round(6))
assert np.allclose(y_hat, [1 / 7, 2 / 7, 4 / 7])

# %% [markdown]
# All center words at once: row $c$ of $V U^\top$ holds the scores of center $c$. Against the
# formula, term by term, in Python's own arithmetic:

# %%
n, d = 6, 3
V, U = random.normal(size=(2, n, d))
P = softmax(V @ U.T)  # (|V|, |V|): row c is P(. | c)
for c, o in itertools.product(range(n), repeat=2):
    score = [sum(U[w, k] * V[c, k] for k in range(d)) for w in range(n)]
    assert math.isclose(P[c, o], math.exp(score[o]) / sum(map(math.exp, score)))
assert np.allclose(P.sum(axis=1), 1)

# %% [markdown]
# ### Why two? What one vector does to the gradient
#
# The notes say that two vectors "simplify math and optimization". Suppose $u_w = v_w$. The sum in
# the denominator runs over all words, so over the center itself too, whatever the outside word is:
# its score is $u_c^\top u_c$, a square. One number is enough to see what that does: at $u = 3$ the
# slope of $u \cdot u$ is $6$, not $3$.

# %%
h = 1e-6
slope = ((3 + h) ** 2 - (3 - h) ** 2) / (2 * h)
print(f"slope of u·u at 3: {slope:.4f}")
assert math.isclose(slope, 2 * 3)

# %% [markdown]
# For vectors, $\nabla_u (u^\top u) = 2u$. So with one vector per word, the gradient of
# $-\log P(o \mid c)$ by $u_c$ collects $u_w$ from every score, and **twice** $u_c$ from the score
# of $c$ itself (with $y$ one-hot at $o$; lecture 02 derives $\hat y - y$):
#
# $$\nabla_{u_c} = \sum_{w \ne c} (\hat y_w - y_w)\,u_w \;+\; 2\,(\hat y_c - y_c)\,u_c.$$
#
# Two vectors have no such special case. Central differences decide, for $o \ne c$ and for $o = c$:


# %%
def gradient_of_one(U: np.ndarray, o: int, c: int, factor: float) -> np.ndarray:
    weights = softmax(U @ U[c]) - np.eye(len(U))[o]  # ŷ - y, (|V|,)
    weights[c] *= factor
    return weights @ U  # (d,)


def numeric(U: np.ndarray, o: int, c: int, h: float = 1e-6) -> np.ndarray:
    def loss_at(step: np.ndarray) -> float:
        moved = U + np.outer(np.eye(len(U))[c], step)
        return -log_softmax(moved @ moved[c])[o]

    return np.array([(loss_at(h * e) - loss_at(-h * e)) / (2 * h) for e in np.eye(U.shape[1])])


for o, c in ((1, 4), (4, 4)):
    gap = [abs(gradient_of_one(U, o, c, factor) - numeric(U, o, c)).max() for factor in (2, 1)]
    print(f"o={o} c={c}: error with the 2: {gap[0]:.6f}, without: {gap[1]:.2f}")
    assert gap[0] < 1e-7
    assert gap[1] > 0.01

# %% [markdown]
# A special case in the gradient is a nuisance. The deeper trouble is what one vector makes the
# model *say*: the score of a word with itself is $\lVert u_c \rVert^2$, and by Cauchy–Schwarz no
# word whose vector is at most as long can score higher. **Among vectors of one length, every word
# best predicts itself**; in real text, a word rarely stands beside itself.
#
# The smallest example: two words that are always beside each other. We want $P(2 \mid 1)$ and
# $P(1 \mid 2)$ near 1. With one vector each, their product cannot exceed $\tfrac14$: the leads of
# the other word's score over the own one sum to
# $(u_2^\top u_1 - u_1^\top u_1) + (u_1^\top u_2 - u_2^\top u_2) = -\lVert u_1 - u_2\rVert^2 \le 0$.
# Try 20,000 pairs of vectors; then two vectors per word:

# %%
assert (np.argmax(unit(U) @ unit(U).T, axis=1) == np.arange(len(U))).all()
couples = random.normal(size=(20_000, 2, 3)) * random.uniform(0, 2, size=(20_000, 2, 1))
P = softmax(couples @ couples.transpose(0, 2, 1))  # (couples, 2, 2)
best = (P[:, 0, 1] * P[:, 1, 0]).max()
V, U = 3 * np.eye(2), 3 * np.eye(2)[::-1]
P = softmax(V @ U.T)
print(f"P(2|1) P(1|2): one vector each, at best {best:.3f}; two each, {P[0, 1] * P[1, 0]:.4f}")
assert 0.24 < best <= 0.25
assert P[0, 1] * P[1, 0] > 0.999

# %% [markdown]
# ## 6. Likelihood, and the loss $J(\theta)$
#
# Let $\theta$ be all vectors. **How well does $\theta$ predict the text?** Multiply the
# probabilities of every outside word of every position:
#
# $$L(\theta) = \prod_{t=1}^{T}\ \prod_{\substack{-m \le j \le m\\ j \ne 0}}
#   P(w_{t+j} \mid w_t; \theta),\qquad
#   J(\theta) = -\frac1T \log L(\theta)
#   = -\frac1T \sum_{t=1}^{T} \sum_{\substack{-m \le j \le m\\ j \ne 0}}
#   \log P(w_{t+j} \mid w_t; \theta).$$
#
# The logarithm turns the product into a sum, the minus turns the best (largest $L$) into the
# smallest $J$, and $1/T$ makes texts of different lengths comparable. In the head: four different
# words, $m = 1$, all vectors zero. Then every $P = \tfrac14$; there are $1 + 2 + 2 + 1 = 6$ pairs,
# so $L = 4^{-6} = 1/4096$ and $J = \tfrac64 \ln 4 = 2.079$.


# %%
def pairs(text: list[int], m: int) -> list[tuple[int, int]]:
    """Return (center, outside) for every position and window place inside the text."""
    T = len(text)
    return [
        (text[t], text[t + j])
        for t in range(T)
        for j in range(-m, m + 1)
        if j != 0 and 0 <= t + j < T
    ]


assert len(pairs([0, 1, 2, 3], m=1)) == 6


# %%
def likelihood(text: list[int], V: np.ndarray, U: np.ndarray, m: int) -> float:
    return math.prod(softmax(U @ V[c])[o] for c, o in pairs(text, m))


def J(text: list[int], V: np.ndarray, U: np.ndarray, m: int) -> float:
    log_P = log_softmax(V @ U.T)  # (|V|, |V|)
    return -sum(log_P[c, o] for c, o in pairs(text, m)) / len(text)


zeros = np.zeros((4, 2))
text = [0, 1, 2, 3]
print(f"1/L = {1 / likelihood(text, zeros, zeros, 1):.0f}, J = {J(text, zeros, zeros, 1):.3f}")
assert math.isclose(likelihood(text, zeros, zeros, 1), 1 / 4096)
assert math.isclose(J(text, zeros, zeros, 1), 6 / 4 * math.log(4))

# %% [markdown]
# > **The notes say** "date likelihood". It is the **data** likelihood: the probability of the
# > outside words that we have, given their centers, read as a function of $\theta$. It is no
# > distribution over $\theta$. Check: for one center word, the probabilities of all possible
# > outside pairs sum to 1. Over all *texts* $L$ does not: most words are predicted twice or more,
# > once from each neighbor. Above, all $4^4$ texts of four words together have
# > $4^4 \cdot 4^{-6} = \tfrac1{16}$.

# %%
V, U = random.normal(size=(2, 4, 3))
center = 2
total = sum(math.prod(softmax(U @ V[center])[[a, b]]) for a in range(4) for b in range(4))
print(f"sum over all contexts (a, b) of one center word: {total:.6f}")
assert math.isclose(total, 1)
texts = itertools.product(range(4), repeat=4)
assert math.isclose(sum(likelihood(list(t), zeros, zeros, 1) for t in texts), 1 / 16)

# %% [markdown]
# Now a real sentence, the first twelve tokens of the sample, with small random vectors as at the
# start of training. The independent judge is PyTorch's cross-entropy, its name for
# $-\log\mathrm{softmax}(x)_o$, over the same pairs.

# %%
sentence = articles[0][:12]
print(" ".join(sentence))
text = [index[word] for word in sentence if word in index]
V, U = 0.01 * random.normal(size=(2, len(words), 50))
centers, outsides = torch.tensor(pairs(text, m)).T
logits = torch.tensor(V)[centers] @ torch.tensor(U).T
oracle = torch.nn.functional.cross_entropy(logits, outsides, reduction="sum") / len(text)
print(f"T = {len(text)}, pairs = {len(centers)}, J = {J(text, V, U, m):.2f}")
assert math.isclose(J(text, V, U, m), oracle.item())
assert math.isclose(J(text, V, U, m), -math.log(likelihood(text, V, U, m)) / len(text))

# %% [markdown]
# **Predict before you run.** What is $J$ divided by the number of pairs per position, before any
# training?
#
# <details><summary>Answer</summary>
#
# Small vectors give scores near 0, so every word gets about $1/\lvert V\rvert$, and each pair costs
# $\ln 2000 = 7.60$. If your own first loss is far from $\ln\lvert V\rvert$ per pair, look for a bug
# before you train.
#
# </details>

# %%
per_pair = J(text, V, U, m) * len(text) / len(centers)
print(f"J per pair: {per_pair:.2f}   ln |V|: {math.log(len(words)):.2f}")
assert abs(per_pair - math.log(len(words))) < 0.01

# %% [markdown]
# ### What breaks: the product
#
# $L$ is a product of numbers near $1/2000$. It leaves the range of float64 after about a hundred
# pairs, while $J$ has no such limit. We never compute $L$, only its logarithm.

# %%
longer = [index[word] for word in articles[0] if word in index][:100]
lengths = [T for T in range(1, 101) if likelihood(longer[:T], V, U, m) > 0]
count = len(pairs(longer[: lengths[-1]], m))
print(f"L is above 0 for texts of up to {lengths[-1]} words ({count} pairs)")
print(f"for 100 words: L = {likelihood(longer, V, U, m)}, J = {J(longer, V, U, m):.1f}")
assert likelihood(longer, V, U, m) == 0
assert math.isfinite(J(longer, V, U, m))

# %% [markdown]
# ### Counts are all that $J$ sees
#
# $J$ is a sum over pairs, and equal pairs have equal terms. Collect them, and the text enters only
# through its counts: $J = -\frac1T \sum_{c,o} X_{co} \log P(o \mid c)$. Counting and predicting
# look at the same numbers. (Below we give the mean over pairs, $-\sum X \log P / \sum X$, which is
# $J$ up to the constant factor $\sum X / T$. With the natural logarithm its unit is called a nat.)


# %%
def loss_per_pair(scores: np.ndarray, X: np.ndarray) -> float:
    """Mean of -log P(o|c) over the pairs counted in X; `scores` is V Uᵀ, shape (|V|, |V|)."""
    return -(X * log_softmax(scores)).sum() / X.sum()


X_text = cooccurrence([[words[i] for i in text]], index, m)
assert math.isclose(loss_per_pair(V @ U.T, X_text), per_pair)

# %% [markdown]
# And here the SVD meets the softmax. Suppose the scores were $M = \log(1 + X)$ itself. Then
#
# $$\mathrm{softmax}(M_c)_o = \frac{1 + X_{co}}{\sum_w (1 + X_{cw})},$$
#
# the share of $o$ among the neighbors of $c$, with 1 added to each count. In the toy text, *cat*
# has two neighbors and there are six words: *the* and *drinks* get $\tfrac28$, the others
# $\tfrac18$.

# %%
X_toy = cooccurrence(toy, toy_index, m=1)
y_hat = softmax(np.log1p(X_toy))[toy_index["cat"]]
print("8 · P(o|cat) =", dict(zip(toy_words, (8 * y_hat).round(6).tolist(), strict=True)))
assert np.allclose(y_hat * 8, [2, 1, 1, 2, 1, 1])

# %% [markdown]
# So the SVD gives a two-vector model for free: with $V = A\sqrt{s}$ and $U = B\sqrt{s}$, cut to $d$
# columns, $V U^\top$ is the best approximation of $M$ of rank $d$. How good are its predictions on
# the whole sample? And with **one** vector per word? $U U^\top$ has no negative eigenvalue, but
# half of $M$'s are negative, one of them large. It corrects the first direction: frequent words
# meet one another less, and the rest more, than the product of two frequencies would have it. The
# best that one vector can do, in squares, is to keep the positive eigenvalues only.

# %%
eigenvalues, Q = np.linalg.eigh(M)
order = np.argsort(-eigenvalues)
eigenvalues, Q = eigenvalues[order], Q[:, order]
print(f"largest eigenvalues: {eigenvalues[:2].round(0)}, smallest: {eigenvalues[-2:].round(0)}")
print(f"negative ones: {np.mean(eigenvalues < 0):.0%}")
assert np.allclose(np.sort(abs(eigenvalues))[::-1], s)  # |eigenvalues| are M's singular values

# %%
first_direction = s[0] * np.outer(A[:, 0], B[:, 0])
top, rest = slice(20), slice(20, None)  # the 20 most frequent words, the others
for name, block in (("20 with 20", (top, top)), ("20 with the rest", (top, rest))):
    print(f"{name}: mean of M {M[block].mean():.1f}, foreseen {first_direction[block].mean():.1f}")
assert M[top, top].mean() < first_direction[top, top].mean()
assert M[top, rest].mean() > first_direction[top, rest].mean()

# %%
dimensions = [2, 5, 10, 20, 50, 100, 200, 500, 900]
two, one = [], []
for d in dimensions:
    V, U = A[:, :d] * np.sqrt(s[:d]), B[:, :d] * np.sqrt(s[:d])
    scores_two = V @ U.T
    two.append(loss_per_pair(scores_two, X))
    U = Q[:, :d] * np.sqrt(eigenvalues[:d])
    scores_one = U @ U.T
    one.append(loss_per_pair(scores_one, X))
assert np.isclose(((M - scores_two) ** 2).sum(), (s[d:] ** 2).sum())
assert np.isclose(((M - scores_one) ** 2).sum(), (eigenvalues[d:] ** 2).sum())

# %%
uniform = math.log(len(words))
unigram = loss_per_pair(np.tile(np.log(X.sum(axis=0)), (len(X), 1)), X)
all_counts = loss_per_pair(M, X)
assert eigenvalues[899] > 0
assert all_counts < two[-1] < unigram < two[0] < uniform < min(one)

# %%
figure, axes = plt.subplots()
axes.semilogx(dimensions, one, "s-")
axes.annotate("one vector per word", (2, 12.2))
axes.semilogx(dimensions, two, "o--")
axes.annotate("two vectors per word", (2, 6.7))
levels = {"uniform": (uniform, 3), "word frequency": (unigram, 3), "all counts": (all_counts, -12)}
for label, (value, above) in levels.items():
    axes.axhline(value, color="#777777", linewidth=1)
    text_place = {"xytext": (0, above), "textcoords": "offset points", "ha": "right"}
    axes.annotate(f"{label} {value:.2f}", (950, value), **text_place)
axes.set(xlabel="dimensions d", ylabel="loss per pair (nats)", ylim=(5, 14))
axes.set_title("Factors of the counts predict, if a word has two vectors")
figures.show(
    figure,
    f"""Loss per pair against d. Two vectors: {two[0]:.2f} at d=2, {two[5]:.2f} at d=100,
    {two[-1]:.2f} at d=900, near the {all_counts:.2f} of all counts and below the {unigram:.2f} of
    word frequency. One vector: {one[0]:.1f} at d=2, rising to {one[-1]:.1f}, above the
    {uniform:.2f} of a uniform guess throughout.""",
)

# %% [markdown]
# The figure says: vectors that only tried to rebuild counts do predict the text, with 900
# dimensions better than word frequency does. One vector per word is worse than a uniform guess, and
# more dimensions make it *worse*: each adds a square to every word's score with itself. (All this
# is the text that the counts came from. Whether a model predicts text it has not seen is another
# question, which lecture 05 takes up.)
#
# That comparison is hard on one vector, since squared error is not its goal. So **train both for
# $J$ itself**, on the 200 most frequent words, from three small random starts (`torch` gives the
# gradient, which lecture 02 does by hand; SciPy's minimizer L-BFGS takes the steps).


# %%
def train(X: np.ndarray, d: int, vectors_per_word: int, seed: int) -> tuple[float, np.ndarray]:
    """Return the lowest loss per pair that L-BFGS finds, and P, shape (|V|, |V|)."""
    counts = torch.tensor(X)

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        leaf = torch.tensor(theta, requires_grad=True)
        V, U = leaf.view(vectors_per_word, len(X), d)[[0, -1]]  # one table or two
        value = -(counts * torch.log_softmax(V @ U.T, dim=-1)).sum() / counts.sum()
        value.backward()
        return value.item(), leaf.grad.numpy()

    start = 0.1 * np.random.default_rng(seed).normal(size=vectors_per_word * len(X) * d)
    end = scipy.optimize.minimize(
        loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 800}
    )
    V, U = end.x.reshape(vectors_per_word, len(X), d)[[0, -1]]
    assert math.isclose(end.fun, loss_per_pair(V @ U.T, X))
    return end.fun, softmax(V @ U.T)


# %%
X_200 = X[:200, :200]
itself = np.trace(X_200) / X_200.sum()
print(f"in the text, {itself:.1%} of neighbors are the word itself")
results = {}
for count, d in ((1, 10), (1, 20), (2, 10)):
    losses, models = zip(*(train(X_200, d, count, seed) for seed in range(3)), strict=True)
    predicted = [(X_200.sum(axis=1) * np.diag(P)).sum() / X_200.sum() for P in models]
    times = np.array(predicted) / itself
    results[count, d] = np.array(losses), times
    summary = f"{count} vector(s), d={d}: loss {np.mean(losses):.2f}"
    print(f"{summary}, itself {times.mean():.1f} times as often as it is")
assert results[2, 10][0].max() < results[1, 20][0].min()
assert results[1, 20][0].max() < results[1, 10][0].min()
assert results[1, 20][1].min() > 1.7
assert results[2, 10][1].max() < 1.2

# %% [markdown]
# Trained, one vector loses little in $J$, but with as many numbers per word (20) it stays behind
# two vectors of 10, from every start (by a hundredth of a nat); and it says that a word stands
# beside itself about twice as often as it does, while two vectors get that right within a fifth.
# Two vectors cost memory. What they buy is a gradient without a special case and a model that need
# not predict itself.

# %% [markdown]
# ## 7. What we showed
#
# | claim | its check |
# |---|---|
# | One-hot vectors of different words are orthogonal, $\sqrt 2$ apart | section 1, every pair |
# | Words with the same company have the same counts | section 2, *cat* and *dog* |
# | Counting by shifts equals the definition and $D^\top D$ | section 2, toy and a whole article |
# | Our SVD equals NumPy's, up to signs | section 3, by hand, $2\times2$, and the sample |
# | Its cut is the nearest matrix of its rank | section 3, 100,000 directions |
# | Raw counts are mostly "the"; the logarithm spreads them | section 3, weights |
# | Words look alike until frequency is left out | section 3, cosines within and between kinds |
# | Our softmax equals SciPy's where the naive one is nan | section 4, scores of ±10,000 |
# | Softmax sharpens large scores and flattens small ones | section 4, 1, 2, 4 and a tenth of it |
# | $P(o\mid c)$ sums to 1 and equals the formula term by term | section 5 |
# | With one vector, the gradient of $u_c^\top u_c$ has a 2 | section 5, central differences |
# | $J$ is $-\frac1T\log L$ and PyTorch's cross-entropy | section 6, by hand and a sentence |
# | Before training, a pair costs $\ln\lvert V\rvert$ | section 6, the sentence |
# | $L$ underflows, $J$ does not | section 6, a hundred words |
# | $\mathrm{softmax}(\log(1+X))$ is the share of counts, one added | section 6, *cat* |
# | One vector predicts itself about twice too often | section 6, trained for $J$ |
#
# Not shown here: how to find a good $\theta$ without counts, and whether people agree with such
# vectors. Lecture 02 does both for the vectors that it learns; lecture 04 puts the SVD beside them,
# with intervals.
#
# ## Exercises
#
# In assignment **ps1_word2vec**: question 1, softmax (section 4: of a vector and of each row of a
# matrix); 2, sigmoid (the softmax of two scores, $x$ and 0); 3, the naive-softmax loss and its
# gradients (section 5, and lecture 02); 5, windows over a text (`pairs` in section 6); 8, nearest
# neighbors (section 3). Its questions 4, 6 and 7 belong to lectures 02 and 03.
#
# ## Sources
#
# - J. R. Firth, *A Synopsis of Linguistic Theory 1930–1955* (1957), p. 11; Z. Harris,
#   *Distributional Structure*, Word 10 (1954): meaning from company.
# - C. Eckart and G. Young, *The approximation of one matrix by another of lower rank*,
#   Psychometrika 1 (1936).
# - G. Golub and C. Van Loan, *Matrix Computations*, 4th ed. (2013), section 8.2:
#   orthogonal iteration.
# - S. Deerwester et al., *Indexing by Latent Semantic Analysis*, JASIS 41 (1990): SVD of counts.
# - P. Blanchard, D. Higham and N. Higham, *Accurately computing the log-sum-exp and softmax
#   functions*, IMA J. Numer. Anal. 41 (2021).
# - T. Mikolov et al., *Distributed Representations of Words and Phrases and their Compositionality*
#   (2013), section 2, equations 1 and 2: $J$ and $P(o \mid c)$ with two vectors.
# - Y. Goldberg and O. Levy, *word2vec Explained* (2014), section 1, footnote: why a word and a
#   context have vectors of their own.
