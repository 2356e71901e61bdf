# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Problem set 2: GloVe and n-grams
#
# Everything in this sheet is counting. Count which words stand **near** each other, and you can
# draw a map on which *gold* lies beside *silver*. Count which words stand **after** each other, and
# you have a model that says how surprising a new chapter is. You build both, piece by piece, and at
# the end both read the King James Bible.
#
# **What you need.** Lectures 04 (`glove`) for questions 1 to 5 and 05 (`ngram_lms`) for the rest;
# the sheet uses their symbols and leans on their derivations. The SVD is lecture 01's.
# **Time.** About five hours. No function needs more than ten lines.
#
# | | question | points |
# |---|---|---|
# | 1 | co-occurrence counts | 8 |
# | 2 | reduction by the SVD | 5 |
# | 3 | GloVe's weight | 3 |
# | 4 | GloVe's loss and its gradients | 12 |
# | 5 | one step of AdaGrad | 5 |
# | 6 | n-gram counts | 8 |
# | 7 | add-δ | 5 |
# | 8 | interpolation | 6 |
# | 9 | Kneser–Ney | 10 |
# | 10 | perplexity | 6 |
# | 11 | a written answer | 3 |
#
# **How it is graded.** Below each function stands a check that you can run and read. After you hand
# in, hidden tests call the same function with other sizes, seeds and edge cases, each part of a
# question on its own: a wrong `grad_U` does not cost you a right `loss`. A mistake counts once:
# where a question needs something from an earlier one, it gets it as an argument. Arrays are
# NumPy's, float64 or float32; several results come back as a tuple, in the order of the statement.
# Your functions may print, loop, and call helpers that you write in cells of your own, above the
# check that needs them; they must not read variables of the notebook that they are not given. Keep
# the names of the parameters: other cells may call your functions by them. Whether you change an
# argument on the way is up to you: the tests hand you copies.

# %% [markdown]
# ## Symbols
#
# | symbol | code | shape | meaning |
# |---|---|---|---|
# | $\lvert V\rvert$ | `size` | | words in the vocabulary, at least 1 |
# | $i$, $j$ | | | two words, as row numbers: a center word and an outside word |
# | $X$ | `X` | $(\lvert V\rvert, \lvert V\rvert)$ | co-occurrence counts, weighted by distance |
# | $m$ | `m` | | words on each side of the center that belong to its window |
# | $V$, $U$ | `V`, `U` | $(\lvert V\rvert, d)$ | input vectors $v_i$ and output vectors $u_j$, one a row |
# | $b$, $\tilde b$ | `b`, `b_tilde` | $(\lvert V\rvert,)$ | their biases |
# | $f$ | `f` | | weight of a cell of $X$, with its two numbers $x_{\max}$ and $\gamma$ |
# | $J$ | `loss` | | the loss, a number |
# | $\theta$, $g$, $G$ | `theta`, `g`, `G` | alike | parameters; a gradient; its squares so far, summed |
# | $w$, $h$ | `gram[-1]`, `gram[:-1]` | | a token; its history, the $n-1$ tokens before it |
# | $c(hw)$, $c(h)$ | `counts`, `totals` | | how often $hw$ was seen; $c(h)=\sum_w c(hw)$ |
# | $N_{1+}(h\,\bullet)$ | `followers` | | number of *different* tokens seen after $h$ |
# | $N_{1+}(\bullet\, w)$ | `contexts` | | number of different tokens seen before $w$ |
# | $\delta$, $\lambda_k$, $D$ | `delta`, `lam`, `D` | | added count; mixture weight; discount |
#
# A gradient has the shape of what it is the gradient of. Logarithms are natural.
#
# The next cell is given, like every cell that you cannot edit. It holds what the checks compare
# with, and `central_difference`, which serves you in question 4: the gradient of `f` with respect
# to `V` should be `central_difference(lambda V: f(V, ...)[0], V)`.

# %% nbgrader={"cell_type": "code", "checksum": "edc11d70f3632075294229f68acae3bb", "grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
from collections import Counter

import numpy as np


def as_array(value, name):
    """Return an array of floats, from whatever holds them: a list, a tensor, a number."""
    assert value is not None, f"{name} is None: does your function return it?"
    return np.asarray(value.detach() if hasattr(value, "detach") else value, dtype=float)


def as_number(value, name):
    """Return one number as a float; [3.0] is one too."""
    value = as_array(value, name)
    assert value.size == 1, f"{name} has shape {value.shape}, but it should be a number"
    return value.item()


def as_dict(counts, name):
    """Return a plain dict of what is not zero: an entry of 0 says no more than none."""
    assert counts is not None, f"{name} is None: does your function return it?"
    return {gram: count for gram, count in dict(counts).items() if count}


def assert_close(value, expected, name, advice=""):
    """Pass if `value` equals `expected` up to rounding; the number 3 and [3.0] are the same."""
    value, expected = as_array(value, name), np.asarray(expected, dtype=float)
    same_axes = [n for n in value.shape if n != 1] == [n for n in expected.shape if n != 1]
    assert same_axes, f"{name} has shape {value.shape}, but it should have {expected.shape}"
    value = value.reshape(expected.shape)
    off = np.abs(value - expected).max() if value.size else 0.0
    assert np.allclose(value, expected, rtol=1e-4, atol=1e-5), (
        f"{name} is off by {off:.2g}. {advice}"
    )


def assert_close_up_to_sign(value, expected, name, advice=""):
    """The same, but each column may have the other sign, as singular vectors may."""
    value = as_array(value, name)
    if value.size == np.size(expected):
        value = value.reshape(np.shape(expected))
        sign = np.where(np.sum(value * expected, axis=0) < 0, -1.0, 1.0)
        expected = expected * sign
    assert_close(value, expected, name, advice)


def central_difference(f, theta, step=1e-5):
    """Return the gradient of the number f(theta), one entry at a time: slow, and hard to fool."""
    gradient = np.zeros_like(theta)
    for i in np.ndindex(theta.shape):
        shift = np.zeros_like(theta)
        shift[i] = step
        above, below = as_number(f(theta + shift), "f"), as_number(f(theta - shift), "f")
        gradient[i] = (above - below) / (2 * step)
    return gradient


# %% [markdown]
# # Part one: words that stand near each other
#
# ## 1. Co-occurrence counts
#
# How often does word $j$ stand near word $i$? Move a window over the text and add up, and let near
# neighbors count more: a pair at distance $k$ counts $1/k$ (lecture 04, section 1).
#
# $$X_{ij} = \sum_t\ \sum_{1\le |k|\le m} \frac{1}{|k|}\,[w_t = i]\,[w_{t+k} = j]$$
#
# The square brackets are 1 where the equation holds and 0 elsewhere. Around *drinks*, with $m=2$:
#
# ```text
#    the      cat     drinks     milk      .
#    1/2       1        C         1       1/2        what each adds to the row of "drinks"
# ```
#
# The sum runs over **every** place $t$ and both signs of $k$, so each pair of places is met twice,
# once from either end, and $X$ is symmetric. If a word stands near itself, that is a pair like any
# other: it lands on the diagonal, from both ends.
#
# **Write `cooccurrence(text, size, m)`.** `text` is a list of texts (say, chapters), each a list of
# one or more word indices from 0 to `size - 1`; `m` is at least 1, and a text may be shorter than
# the window. A window ends where its text ends and does not reach into the next one. Return the
# array $X$, shape `(size, size)`.

# %% nbgrader={"cell_type": "code", "checksum": "1124920aacb56fb2753ee0abb0fca1d1", "grade": false, "grade_id": "cooccurrence", "locked": false, "schema_version": 3, "solution": true, "task": false} deletable=false
def cooccurrence(text, size, m):
    """Return X (size, size): for each pair of words, the sum of 1/distance over the windows."""
    # YOUR CODE HERE
    raise NotImplementedError()


# %% nbgrader={"cell_type": "code", "checksum": "32a9a5c1acc76338edd8b0a2f87be289", "grade": true, "grade_id": "cooccurrence_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
assert_close(
    6 * as_array(cooccurrence([[0, 1, 2, 3, 4]], 5, 3), "X"),
    [[0, 6, 3, 2, 0], [6, 0, 6, 3, 2], [3, 6, 0, 6, 3], [2, 3, 6, 0, 6], [0, 2, 3, 6, 0]],
    "6 times X of the text 0 1 2 3 4 with m = 3",
    "A neighbor at distance 1, 2, 3 counts 1, 1/2, 1/3, to the left and to the right.",
)
assert_close(
    cooccurrence([[0, 1, 0]], 2, 2),
    [[1.0, 2.0], [2.0, 0.0]],
    "X of the text 0 1 0 with m = 2",
    "The two zeros see each other at distance 2: 1/2 from either end. The 1 sees a 0 twice.",
)
assert_close(
    cooccurrence([[0, 1], [2]], 3, 2),
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
    "X of two texts, 0 1 and 2",
    "The 2 stands alone in its text: it has no neighbors.",
)


# %% nbgrader={"cell_type": "code", "checksum": "3474266b4a167dac555c885aa439d5b8", "grade": true, "grade_id": "cooccurrence_text_hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: one text of different words; windows larger than the text; a text of one word.

# %% nbgrader={"cell_type": "code", "checksum": "8dff2cceb85e0871a7f4af6e22d11232", "grade": true, "grade_id": "cooccurrence_repeats_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: words that occur again and again, also near themselves; a vocabulary of one word.

# %% nbgrader={"cell_type": "code", "checksum": "a437bd63f120014389151996570aa5e9", "grade": true, "grade_id": "cooccurrence_texts_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: several texts, long and short.

# %% [markdown]
# ## 2. Reduction by the SVD
#
# A row of $X$ is already a vector for a word, of $\lvert V\rvert$ numbers. Which $k$ numbers keep
# most of it? The singular value decomposition of any matrix $M$, shape $(p, q)$, is
#
# $$M = A\,\mathrm{diag}(s)\,B^\top, \qquad s_1 \ge s_2 \ge \dots \ge 0,$$
#
# with perpendicular unit vectors in the columns of $A$ and of $B$. The first $k$ terms give the
# best matrix of rank $k$ (lecture 01), and in it row $i$ is a combination of the first $k$ columns
# of $B$ with the coordinates $(A_{i1}s_1, \dots, A_{ik}s_k)$. These are the row's new, short vector.
#
# **Write `svd_reduce(M, k)`.** `M` is $(p, q)$, of any shape and not always symmetric, and
# $1\le k\le\min(p, q)$. Return the array $(p, k)$ of the first $k$ columns of $A$, each multiplied
# by its singular value. Let a library do the decomposition, and read in its documentation what
# exactly it returns. The sign of a column is free: if $a$ and $b$ belong to $s$, so do $-a$ and
# $-b$; the tests accept either.

# %% nbgrader={"cell_type": "code", "checksum": "57c925cd0d4bf326fca0d32ffd50f1e3", "grade": false, "grade_id": "svd_reduce", "locked": false, "schema_version": 3, "solution": true, "task": false} deletable=false
def svd_reduce(M, k):
    """Return (p, k): the rows of M (p, q) in the coordinates of its k largest singular values."""
    # YOUR CODE HERE
    raise NotImplementedError()


# %% nbgrader={"cell_type": "code", "checksum": "8cafd9c206c48118d09154ed65960ace", "grade": true, "grade_id": "svd_reduce_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Its rows are perpendicular, so one sees the singular values: 5, 2 and 1.
M = np.array([[0.0, 2.0, 0.0, 0.0], [3.0, 0.0, 4.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
reduced = svd_reduce(M.copy(), 2)
assert np.shape(reduced) == (3, 2), (
    f"three rows, two numbers each: the shape should be (3, 2), not {np.shape(reduced)}"
)
assert_close_up_to_sign(
    reduced,
    np.array([[0.0, 2.0], [5.0, 0.0], [0.0, 0.0]]),
    "M in two numbers per row",
    "The row of length 5 comes first; the third direction, of size 1, is left out.",
)


# %% nbgrader={"cell_type": "code", "checksum": "52e703201bf0c12e994b23af000181cc", "grade": true, "grade_id": "svd_reduce_symmetric_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: symmetric matrices, as X is one; float64 and float32.

# %% nbgrader={"cell_type": "code", "checksum": "42f3ea36a75078031b8c9bbfc24bc021", "grade": true, "grade_id": "svd_reduce_rectangular_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: more rows than columns, fewer, and equally many; float64 and float32.

# %% [markdown]
# ## 3. GloVe's weight
#
# The SVD takes every cell of $X$ as seriously as every other. GloVe (Pennington, Socher and Manning
# 2014) weighs them: a count of 50 is surer than a count of 1, but *of the* must not drown the rest.
#
# $$f(x) = \begin{cases}(x/x_{\max})^\gamma & x < x_{\max}\\ 1 & \text{otherwise}\end{cases}$$
#
# The paper takes $x_{\max} = 100$ and $\gamma = 3/4$. In the head: $f(100/16) = 1/8$, and
# $f(1{,}000{,}000) = 1$.
#
# **Write `glove_weight(x, x_max, gamma)`.** `x` is a count or an array of counts of any shape, none
# of them negative; `x_max` and `gamma` are positive. The result has the shape of `x`.

# %% nbgrader={"cell_type": "code", "checksum": "c0d8bd347e8e2d3034e52544eea275b8", "grade": false, "grade_id": "glove_weight", "locked": false, "schema_version": 3, "solution": true, "task": false} deletable=false
def glove_weight(x, x_max, gamma):
    """Return the weight of a count, or of each count of an array."""
    # YOUR CODE HERE
    raise NotImplementedError()


# %% nbgrader={"cell_type": "code", "checksum": "99ff03062c6360b9c3ce8555da561cf6", "grade": true, "grade_id": "glove_weight_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
assert_close(
    glove_weight(100 / 16, 100, 0.75), 1 / 8, "f(100/16)", "A sixteenth, to the power 3/4: 1/8."
)
assert_close(
    glove_weight(np.array([[0.0, 9.0], [36.0, 5000.0]]), 36, 0.5),
    [[0.0, 0.5], [1.0, 1.0]],
    "f of a table with x_max = 36 and gamma = 1/2",
    "9 is a quarter of 36, whose root is 1/2; from 36 on the weight stays 1.",
)


# %% nbgrader={"cell_type": "code", "checksum": "885f7b45e4329ad6bba470952879d4c5", "grade": true, "grade_id": "glove_weight_below_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: counts below x_max, numbers and arrays, float64, float32 and whole numbers.

# %% nbgrader={"cell_type": "code", "checksum": "fa28e55cae177728f7b966b3c6a1baf7", "grade": true, "grade_id": "glove_weight_cap_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: counts of x_max and more.

# %% [markdown]
# ## 4. GloVe's loss
#
# GloVe wants the product of two words' vectors, and a bias for each, to be the logarithm of their
# count. Here is one cell of the table with its error $e_{ij}$:
#
# ```text
#       v_i  ·  u_j   +   b_i   +   b̃_j   −   log X_ij   =   e_ij
#      (d,)    (d,)      number    number      number
# ```
#
# Each error is squared and weighed, and **only the pairs that were seen enter**: for the others
# $\log X_{ij}$ is $-\infty$.
#
# $$J = \sum_{X_{ij}>0} f(X_{ij})\;e_{ij}^2$$
#
# For the gradients go backwards along the chain. One cell's loss changes with its error at the rate
# $E_{ij} = 2 f(X_{ij})\,e_{ij}$ (and $E_{ij}=0$ where $X_{ij}=0$), and the error depends on $v_i$
# through $u_j$, on $u_j$ through $v_i$, and on the biases with factor 1:
#
# $$\frac{\partial J}{\partial v_i} = \sum_j E_{ij}\,u_j,\qquad
#   \frac{\partial J}{\partial u_j} = \sum_i E_{ij}\,v_i,\qquad
#   \frac{\partial J}{\partial b_i} = \sum_j E_{ij},\qquad
#   \frac{\partial J}{\partial\tilde b_j} = \sum_i E_{ij}$$
#
# $X$ is square, so a forgotten transpose gives a result of the right shape and with wrong numbers.
# Mind which index a sum runs over.
#
# **Write `glove_loss_and_gradients(V, U, b, b_tilde, X, f)`.** `V` and `U` are
# $(\lvert V\rvert, d)$, `b` and `b_tilde` are $(\lvert V\rvert,)$, `X` is
# $(\lvert V\rvert, \lvert V\rvert)$, none of it negative, some of it zero; it need not be symmetric.
# `f` is the weight, a function of one parameter `x` that takes a number or an array and returns its
# like. It may be any weight: use the one that you are given, and do not count on $f(0)$ being 0.
# Return five results: the loss (a number) and the gradients of `V`, `U`, `b` and `b_tilde`, in this
# order.

# %% nbgrader={"cell_type": "code", "checksum": "c7677ecdbcd878995e034339418cc995", "grade": false, "grade_id": "glove", "locked": false, "schema_version": 3, "solution": true, "task": false} deletable=false
def glove_loss_and_gradients(V, U, b, b_tilde, X, f):
    """Return J and its gradients with respect to V, U, b and b_tilde, summed over X > 0."""
    # YOUR CODE HERE
    raise NotImplementedError()


# %% nbgrader={"cell_type": "code", "checksum": "49e7f80983d972003212af289c6b5a82", "grade": true, "grade_id": "glove_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Word 0 was seen near itself once and near word 1 e times; the other two cells are empty. The
# errors are 2 + 1 + 0.5 - log 1 = 3.5 and 1 + 1 - 0.5 - log e = 0.5.
loss, grad_V, grad_U, grad_b, grad_b_tilde = glove_loss_and_gradients(
    np.array([[2.0, 1.0], [3.0, 3.0]]),
    np.array([[1.0, 0.0], [0.0, 1.0]]),
    np.array([1.0, 7.0]),
    np.array([0.5, -0.5]),
    np.array([[1.0, np.e], [0.0, 0.0]]),
    lambda x: np.where(np.asarray(x) > 2, 2.0, 1.0),
)
assert_close(loss, 12.75, "loss", "3.5 squared with weight 1, 0.5 squared with weight 2.")
assert_close(
    grad_V,
    [[7.0, 2.0], [0.0, 0.0]],
    "grad_V",
    "E is [7, 2] in row 0; word 1 was no center: its row is zero.",
)
assert_close(
    grad_U,
    [[14.0, 7.0], [4.0, 2.0]],
    "grad_U",
    "Both words stood near word 0, so both rows are multiples of v_0: 7 and 2 times.",
)
assert_close(grad_b, [9.0, 0.0], "grad_b", "The bias of the center: E summed over its row.")
assert_close(
    grad_b_tilde, [7.0, 2.0], "grad_b_tilde", "The bias of the outside word: down its column."
)


# %% nbgrader={"cell_type": "code", "checksum": "3b8a1d57b09ab33a39af4d720393be11", "grade": true, "grade_id": "glove_loss_hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: the loss, for other vocabularies (one word too), tables and weights.

# %% nbgrader={"cell_type": "code", "checksum": "c7a1d8e7916ca9f4898414af240880d7", "grade": true, "grade_id": "glove_grad_V_hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: the gradient with respect to V.

# %% nbgrader={"cell_type": "code", "checksum": "c0306ea86be5b79860ea7df9d0236a3b", "grade": true, "grade_id": "glove_grad_U_hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: the gradient with respect to U.

# %% nbgrader={"cell_type": "code", "checksum": "b42fda9d47c9e94a2b860e63cfb85c63", "grade": true, "grade_id": "glove_grad_b_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: the gradient with respect to b.

# %% nbgrader={"cell_type": "code", "checksum": "1a356b74c10ceb922e5f2b74346c97c5", "grade": true, "grade_id": "glove_grad_b_tilde_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: the gradient with respect to b_tilde.

# %% [markdown]
# ## 5. One step of AdaGrad
#
# The word *the* meets everybody and is asked to move by every cell of its row; a rare word by a
# handful. One learning rate is too large for one or too small for the other. AdaGrad (Duchi, Hazan
# and Singer 2011) keeps, for each number on its own, the sum $G$ of its squared gradients so far,
# the one of this step included, and divides by its root:
#
# $$G^{\mathrm{new}} = G + g^2, \qquad
#   \theta^{\mathrm{new}} = \theta - \alpha\,\frac{g}{\sqrt{G^{\mathrm{new}}} + \varepsilon},
#   \qquad \varepsilon = 10^{-10}$$
#
# All of it acts on each number by itself. $G$ starts at zero, so the first step of every number
# has length $\alpha$, whatever the size of its gradient. What is $\varepsilon$ for? A number that was
# never asked has $G = 0$ and $g = 0$, and must stay where it is.
#
# **Write `adagrad_step(theta, G, g, alpha)`.** `theta`, `G` and `g` are arrays of one shape (any).
# Return the new `theta` and the new `G`, in this order.

# %% nbgrader={"cell_type": "code", "checksum": "9cc2eea1be18fff0aa9f25256cd18eeb", "grade": false, "grade_id": "adagrad", "locked": false, "schema_version": 3, "solution": true, "task": false} deletable=false
def adagrad_step(theta, G, g, alpha):
    """Return theta and G after one step of AdaGrad along the gradient g."""
    # YOUR CODE HERE
    raise NotImplementedError()


# %% nbgrader={"cell_type": "code", "checksum": "ed57994d3e8355fd0e6f906a3df1fd9a", "grade": true, "grade_id": "adagrad_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
theta, G = adagrad_step(
    np.array([1.0, 1.0, 1.0]), np.array([0.0, 9.0, 0.0]), np.array([-5.0, 4.0, 0.0]), 0.1
)
assert_close(G, [25.0, 25.0, 0.0], "G", "The old sums 0, 9, 0 and the squares of -5, 4, 0.")
assert_close(
    theta,
    [1.1, 0.92, 1.0],
    "theta",
    "A tenth of -5/5, of 4/5 and of nothing is taken away.",
)

# %% nbgrader={"cell_type": "code", "checksum": "7a754e7316c46f700cb317b471c634f0", "grade": true, "grade_id": "adagrad_G_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: the sums of squares, for other shapes and several steps.

# %% nbgrader={"cell_type": "code", "checksum": "fea057a799a697da8b951cf9f15c842c", "grade": true, "grade_id": "adagrad_theta_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: the parameters, for other shapes, rates and several steps.

# %% nbgrader={"cell_type": "code", "checksum": "fdffa1106334dc395f5e82cdef8cfcf2", "grade": true, "grade_id": "adagrad_zero_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: numbers that no gradient has asked yet.

# %% [markdown]
# ### The ritual, on your code
#
# ps1's three questions, before anything is trained. (These cells carry no points; if one fails, it
# tells you where to look.)
#
# 1. **Is the first loss what a model loses that knows nothing?** For a softmax that was
#    $\log\lvert V\rvert$. GloVe's predicts no distribution: with vectors and biases near zero the
#    error of a cell is $-\log X_{ij}$, and the loss is $\sum f(X_{ij})\log^2 X_{ij}$.
# 2. **Do the gradients pass central differences?**
# 3. **Can it learn a few examples by heart?** A table of six words has 36 cells; vectors of six
#    numbers must be able to fit every one.

# %% nbgrader={"cell_type": "code", "checksum": "67fa0ad9c614383c08a9d4bdd55d5d27", "grade": false, "grade_id": "ritual_first_loss", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["skip-execution"] deletable=false editable=false
rng = np.random.default_rng(0)
table = rng.uniform(0.2, 30, size=(6, 6)) * (rng.random((6, 6)) < 0.8)
seen = table > 0
theta = [rng.normal(scale=0.001, size=shape) for shape in [(6, 6), (6, 6), (6,), (6,)]]


def paper_weight(x):
    """The paper's weight, by your function."""
    return glove_weight(x, 100, 0.75)


loss, *_ = glove_loss_and_gradients(*theta, table, paper_weight)
nothing = np.sum((np.minimum(table[seen] / 100, 1)) ** 0.75 * np.log(table[seen]) ** 2)
loss = as_number(loss, "loss")
print(f"first loss {loss:.2f}, by the formula {nothing:.2f}")
assert abs(loss - nothing) < 0.05 * nothing, "at zero, the error of a cell is -log X"

# %% nbgrader={"cell_type": "code", "checksum": "b49ee90cc5af33ded0d906f71231a4bf", "grade": false, "grade_id": "ritual_gradients", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["skip-execution"] deletable=false editable=false
theta = [np.random.default_rng(k).normal(size=part.shape) for k, part in enumerate(theta)]
_, *gradients = glove_loss_and_gradients(*theta, table, paper_weight)
for k, name in enumerate(["V", "U", "b", "b_tilde"]):

    def loss_of(part, k=k):
        """The loss as a function of one of the four parameters."""
        return glove_loss_and_gradients(*theta[:k], part, *theta[k + 1 :], table, paper_weight)[0]

    numerical = central_difference(loss_of, theta[k])
    assert_close(gradients[k], numerical, f"the gradient of {name}", "Compare it term by term.")
    print(f"the gradient of {name} passes")

# %% nbgrader={"cell_type": "code", "checksum": "d5cadaeba70551a992a92fbdf3425d3a", "grade": false, "grade_id": "ritual_overfit", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["skip-execution"] deletable=false editable=false
squares = [np.zeros_like(part) for part in theta]
first, *_ = glove_loss_and_gradients(*theta, table, paper_weight)
for _ in range(400):
    _, *gradients = glove_loss_and_gradients(*theta, table, paper_weight)
    for k in range(4):
        new = adagrad_step(theta[k], squares[k], as_array(gradients[k], "a gradient"), 0.3)
        theta[k], squares[k] = (as_array(part, "a result").reshape(theta[k].shape) for part in new)
last, *_ = glove_loss_and_gradients(*theta, table, paper_weight)
first, last = as_number(first, "loss"), as_number(last, "loss")
print(f"six words: loss {first:.2f} before, {last:.4f} after 400 steps")
assert last < 0.01 * first, "36 cells can be learned by heart"

# %% [markdown]
# ### On real text: a map of words
#
# Now the pieces meet the King James Bible: its training chapters, and the words that are in them a
# hundred times or more. `cooccurrence` counts, GloVe fits the table, all of it in each step, and
# AdaGrad moves the vectors. If your gradients loop over the cells, a step takes seconds; the cell
# measures that, and then makes do with fewer words.

# %% nbgrader={"cell_type": "code", "checksum": "1a84f4f46896e75449afeb1f76479a36", "grade": false, "grade_id": "bible", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["skip-execution"] deletable=false editable=false
import re

from lectures import corpora


def tokens_of(verse):
    """Words and punctuation marks of a verse, in lower case, as in lecture 05."""
    return re.findall(r"[a-zæ]+(?:[’-][a-zæ]+)*’?|[^\sa-zæ]", verse.lower())


chapters = {
    side: [
        [tokens_of(verse) for verse in chapter.splitlines()]
        for chapter in corpora.king_james_chapters(side)
    ]
    for side in ("train", "valid", "test")
}
frequency = Counter(w for chapter in chapters["train"] for verse in chapter for w in verse)
print({side: f"{len(c)} chapters" for side, c in chapters.items()})
print(f"train: {frequency.total():,} tokens, {len(frequency):,} different ones")

# %% nbgrader={"cell_type": "code", "checksum": "2d7eebe47e33c5450ccbf2e4157f476f", "grade": false, "grade_id": "train_glove", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["skip-execution", "nbval-ignore-output"] deletable=false editable=false
import time

kinds = {
    "numbers": "two three four seven ten hundred thousand".split(),
    "family": "father mother son daughter brother wife".split(),
    "metals": "gold silver brass".split(),
    "the body": "hand head eyes mouth feet".split(),
}


def glove_vectors(words, steps=100, d=20, alpha=0.2):
    """Count, and train on the whole table at once; return v + u of each word, and X."""
    index = {word: i for i, word in enumerate(words)}
    text = [[index[w] for verse in c for w in verse if w in index] for c in chapters["train"]]
    X = as_array(cooccurrence([tokens for tokens in text if tokens], len(words), 5), "X")
    rng = np.random.default_rng(0)
    theta = [*rng.normal(scale=0.1, size=(2, len(words), d)), *np.zeros((2, len(words)))]
    squares = [np.zeros_like(part) for part in theta]
    for step in range(steps):
        began = time.perf_counter()
        loss, *gradients = glove_loss_and_gradients(*theta, X, paper_weight)
        if step == 0 and time.perf_counter() - began > 1 and len(words) > 200:
            print("one step takes more than a second: going on with fewer words")
            mapped = {word for members in kinds.values() for word in members}
            return glove_vectors(
                [*words[:80], *sorted(mapped.difference(words[:80]))], steps, d, alpha
            )
        for k in range(4):
            g = as_array(gradients[k], "a gradient").reshape(theta[k].shape)
            new = adagrad_step(theta[k], squares[k], g, alpha)
            theta[k], squares[k] = (as_array(part, "a result") for part in new)
        if step in (0, steps - 1):
            per_cell = as_number(loss, "loss") / np.sum(X > 0)
            print(f"step {step + 1}: loss per seen cell {per_cell:.3f}")
    return theta[0] + theta[1], X, index


frequent = [word for word, c in frequency.most_common() if c >= 100 and word.isalpha()]
vectors, X, index = glove_vectors(frequent)
unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
print(f"{len(index)} words, {np.mean(X > 0):.0%} of the cells of X are not empty")
for word in ["gold", "water", "king", "wife", "three", "jesus"]:
    if word in index:
        order = np.argsort(-unit @ unit[index[word]])
        print(f"{word:>6}: " + ", ".join([*index][i] for i in order[1:7]))

# %% nbgrader={"cell_type": "code", "checksum": "4f49681a760f61954bf633268c933d75", "grade": false, "grade_id": "word_map", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["skip-execution", "nbval-ignore-output"] deletable=false editable=false
from matplotlib import pyplot as plt

from lectures import figures

chosen = [word for members in kinds.values() for word in members]
cloud = unit[[index[word] for word in chosen]]
place = as_array(svd_reduce(cloud - cloud.mean(axis=0), 2), "the plane")  # your SVD
figure, axes = plt.subplots(figsize=(7, 5))
for (kind, members), marker in zip(kinds.items(), "os^D", strict=True):
    rows = [chosen.index(word) for word in members]
    axes.plot(place[rows, 0], place[rows, 1], marker, label=kind)
    for row in rows:
        axes.annotate(chosen[row], place[row], (6, -3), textcoords="offset points")
axes.set(xlabel="first direction", ylabel="second direction")
axes.set_title("Words of one kind lie together")
axes.legend()
axes.margins(0.12)
group = np.array([kind for kind, members in kinds.items() for _ in members])
cosine = cloud @ cloud.T - 2 * np.eye(len(chosen))
same = np.mean(group[cosine.argmax(axis=1)] == group)
chance = np.mean([np.sum(group == kind) - 1 for kind in group]) / (len(chosen) - 1)
figures.show(
    figure,
    f"A map of {len(chosen)} words in two directions: {', '.join(kinds)}. "
    f"For {same:.0%} of them the nearest of the others, by cosine in all 20 directions, is of the "
    f"same kind; by chance it would be {chance:.0%}.",
)
assert same > 2 * chance, "words of one kind should lie together"


# %% [markdown]
# Nobody told the model what a number is, or that gold is a metal. It saw that these words have the
# same company.
#
# # Part two: words that stand after each other
#
# ## 6. N-gram counts
#
# A bag of vectors knows no order. A language model lives by it: it says how probable each next
# token is after the tokens before it. An n-gram is $n$ tokens in a row, the last of which is the one
# to predict and the others its history $h$.
#
# A sentence has a beginning and an end, and both are worth counting: *the* often begins one, *of*
# never ends one. Put $n-1$ marks `<s>` in front, which fill up the history of the first words, and
# **one** `</s>` behind, which is a token to predict like any other:
#
# ```text
#  n = 3:   <s>  <s>  the  cat  drinks  </s>        one n-gram ends in each token,
#                      └────┴─────┘                  and in </s>: four of them here,
#                      history, token                none ends in <s>
# ```
#
# **Write `ngram_counts(text, n)`.** `text` is a list of sentences, each a list of tokens (strings,
# without the marks; a sentence may be shorter than $n$, or empty). Return how often each n-gram
# occurs, as a dictionary (a `Counter` is one): the keys are tuples of $n$ strings, also for $n=1$,
# where the key for *the* is `("the",)`.

# %% nbgrader={"cell_type": "code", "checksum": "687edb965945ec328cfaef771e134705", "grade": false, "grade_id": "ngram_counts", "locked": false, "schema_version": 3, "solution": true, "task": false} deletable=false
def ngram_counts(text, n):
    """Return a dictionary from each n-gram, a tuple of n tokens, to how often it occurs."""
    # YOUR CODE HERE
    raise NotImplementedError()


# %% nbgrader={"cell_type": "code", "checksum": "0dffd2af8e879f611a5225c5419cfc54", "grade": true, "grade_id": "ngram_counts_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
counts = as_dict(ngram_counts([["go", "go", "go"], ["go", "on"]], 2), "the bigram counts")
assert sum(counts.values()) == 7, (
    f"five words and two ends make seven bigrams, one for each; you have {sum(counts.values())}"
)
assert counts == {
    ("<s>", "go"): 2,
    ("go", "go"): 2,
    ("go", "</s>"): 1,
    ("go", "on"): 1,
    ("on", "</s>"): 1,
}, f"look at each bigram again: {counts}"
counts = as_dict(ngram_counts([["go", "on"]], 3), "the trigram counts")
assert counts == {("<s>", "<s>", "go"): 1, ("<s>", "go", "on"): 1, ("go", "on", "</s>"): 1}, (
    f"two marks in front, one behind: {counts}"
)


# %% nbgrader={"cell_type": "code", "checksum": "a2b80a7e53483a2f398c2e708f451f28", "grade": true, "grade_id": "ngram_counts_bigrams_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: bigrams of other texts; long and short sentences, an empty one.

# %% nbgrader={"cell_type": "code", "checksum": "a3d708ab9f00049ef149f00d40641904", "grade": true, "grade_id": "ngram_counts_orders_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: other n, also 1, and sentences shorter than n.

# %% [markdown]
# A probability needs a denominator: how often was there anything after $h$?
#
# $$c(h) = \sum_w c(hw)$$
#
# This is the count of $h$ **as a history**. It is not the count of $h$ as an n-gram: nothing follows
# `</s>`, and `<s>` is a history though it is never predicted. For unigrams the history is the empty
# tuple `()`, and $c(h)$ the number of all tokens.
#
# **Write `histories(counts)`.** `counts` is a `Counter` of n-grams of one length, tuples as in
# `ngram_counts`. Return a dictionary from each history, a tuple of $n-1$ tokens, to $c(h)$.

# %% nbgrader={"cell_type": "code", "checksum": "09a4e5e9445e085a2a8e3a0bdce63782", "grade": false, "grade_id": "histories", "locked": false, "schema_version": 3, "solution": true, "task": false} deletable=false
def histories(counts):
    """Return a dictionary from each history to how often it was followed by a token."""
    # YOUR CODE HERE
    raise NotImplementedError()


# %% nbgrader={"cell_type": "code", "checksum": "077f2de6253a15453782e7c514e5b36b", "grade": true, "grade_id": "histories_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
totals = as_dict(
    histories(Counter({("<s>", "go"): 2, ("go", "go"): 2, ("go", "on"): 1, ("on", "</s>"): 1})),
    "the totals",
)
assert totals == {("<s>",): 2, ("go",): 3, ("on",): 1}, (
    f"'go' is followed by 'go' twice and by 'on' once; its key is ('go',): {totals}"
)
totals = as_dict(histories(Counter({("go",): 3, ("</s>",): 2})), "the totals of unigrams")
assert totals == {(): 5}, f"a unigram's history is the empty tuple: {totals}"

# %% nbgrader={"cell_type": "code", "checksum": "b6fd82d3b980185194192897f4962bf4", "grade": true, "grade_id": "histories_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: other texts and other n.

# %% [markdown]
# From here on the sheet hands you counts that are right, so a slip above cannot cost you points
# below. **`counts` and `totals` are always a `Counter`**: for what was never seen they give 0. The
# checks use a text of two sentences (lecture 05's). At the end the Bible asks the functions below
# some forty thousand times each, with 130,000 bigrams in `counts`. A loop costs no points, but one
# that walks through all of `counts` for each question makes you wait there.

# %% nbgrader={"cell_type": "code", "checksum": "3200689182119b8b64fd4e75e588b610", "grade": false, "grade_id": "toy", "locked": true, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# the cat drinks milk / the dog drinks water: seven tokens can be predicted, </s> among them.
toy_size = 7
toy_counts = {
    1: Counter("the the cat dog drinks drinks milk water </s> </s>".split()),
    2: Counter(
        {
            ("<s>", "the"): 2,
            ("the", "cat"): 1,
            ("the", "dog"): 1,
            ("cat", "drinks"): 1,
            ("dog", "drinks"): 1,
            ("drinks", "milk"): 1,
            ("drinks", "water"): 1,
            ("milk", "</s>"): 1,
            ("water", "</s>"): 1,
        }
    ),
}
toy_counts[1] = Counter({(word,): count for word, count in toy_counts[1].items()})
toy_totals = {
    1: Counter({(): 10}),
    2: Counter(
        {
            ("<s>",): 2,
            ("the",): 2,
            ("cat",): 1,
            ("dog",): 1,
            ("drinks",): 2,
            ("milk",): 1,
            ("water",): 1,
        }
    ),
}


# %% [markdown]
# ## 7. Add-δ
#
# The ratio $c(hw)/c(h)$ gives 0 to whatever was not seen, and one such token makes a whole chapter
# impossible. The first cure: pretend that every token of the vocabulary was seen $\delta$ times
# more often after every history.
#
# $$P(w\mid h) = \frac{c(hw) + \delta}{c(h) + \delta\,\lvert V\rvert}$$
#
# The denominator is what the numerators add up to, so the probabilities of all $\lvert V\rvert$
# tokens sum to 1, after any history; check that for one of yours.
#
# **Write `add_delta(gram, counts, totals, size, delta)`.** `gram` is a tuple of $n$ tokens: return
# the probability of its last token after the others, a number. `counts` and `totals` are the
# Counters of the n-grams of that length and of their histories, `size` is $\lvert V\rvert$ (the
# tokens that can be predicted, `</s>` among them and `<s>` not), and `delta` is positive. Mind that
# most histories are never seen.

# %% nbgrader={"cell_type": "code", "checksum": "c79b9846eb047c5878bc7ad3e4b8d3ee", "grade": false, "grade_id": "add_delta", "locked": false, "schema_version": 3, "solution": true, "task": false} deletable=false
def add_delta(gram, counts, totals, size, delta):
    """Return P(last token | the tokens before it) with delta added to every count."""
    # YOUR CODE HERE
    raise NotImplementedError()


# %% nbgrader={"cell_type": "code", "checksum": "af6b2a2ebaea2b1f2bb223e8d5f96542", "grade": true, "grade_id": "add_delta_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
for gram, expected, advice in [
    (("the", "</s>"), 1 / 11, "Never seen after 'the', which was seen twice: 1/2 of 2 + 7/2."),
    (("the", "cat"), 3 / 11, "Seen once after 'the': 1.5 of 5.5."),
    (("wine", "milk"), 1 / 7, "Nothing was seen after 'wine': all seven tokens are alike."),
]:
    assert_close(
        add_delta(gram, toy_counts[2], toy_totals[2], toy_size, 0.5),
        expected,
        f"P({gram[1]} | {gram[0]}) with delta = 1/2",
        advice,
    )


# %% nbgrader={"cell_type": "code", "checksum": "7223264f0c8f0d3f5be49e71800c74ec", "grade": true, "grade_id": "add_delta_seen_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: n-grams that were seen, in other texts, with other n and delta.

# %% nbgrader={"cell_type": "code", "checksum": "51ddc84d9f12c9c7e7d367bb25e7915b", "grade": true, "grade_id": "add_delta_unseen_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: n-grams that were not seen, after histories that were, and after others.

# %% [markdown]
# ## 8. Interpolation
#
# Add-δ makes all unseen words equally likely, *the* and *methuselah* alike. But if the trigram
# knows nothing, the bigram may. So ask every order and mix:
#
# $$P(w\mid h) = \sum_{k=0}^{n}\lambda_k\,P_k, \qquad \lambda_k\ge0,\quad \sum_k\lambda_k=1$$
#
# $P_0 = 1/\lvert V\rvert$ knows nothing. $P_k$ is the ratio of counts of order $k$, which sees the
# last $k$ tokens of the n-gram and no more:
#
# ```text
#   gram = (in, the, midst), n = 3
#   P_1 = c(midst) / c()          P_2 = c(the midst) / c(the)        P_3 = c(in the midst) / c(in the)
# ```
#
# **After a history that was never seen**, $c(h) = 0$ and the ratio has no value; then $P_{k-1}$
# stands in: $P_k = P_{k-1}$. Each $P_k$ is then a distribution, and so is their mixture.
#
# **Write `interpolation(gram, counts, totals, size, lam)`.** `gram` is a tuple of $n$ tokens, `lam`
# the list of the $n+1$ weights $\lambda_0, \dots, \lambda_n$. `counts[k]` and `totals[k]`, for $k$
# from 1 to $n$, are the Counters of the k-grams and of their histories. Return the probability, a
# number.

# %% nbgrader={"cell_type": "code", "checksum": "2761da4b38aa0df7e0081635bbea45d6", "grade": false, "grade_id": "interpolation", "locked": false, "schema_version": 3, "solution": true, "task": false} deletable=false
def interpolation(gram, counts, totals, size, lam):
    """Return P(last token | the tokens before it), mixed from all orders with weights lam."""
    # YOUR CODE HERE
    raise NotImplementedError()


# %% nbgrader={"cell_type": "code", "checksum": "54b762924ee26253b7ade7e0281409ee", "grade": true, "grade_id": "interpolation_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
for gram, expected, advice in [
    (("the", "cat"), 0.1 / 7 + 0.2 / 10 + 0.7 / 2, "P_0 = 1/7, P_1 = 1/10, P_2 = 1/2."),
    (("the", "milk"), 0.1 / 7 + 0.2 / 10, "'the' was seen, 'the milk' was not: P_2 = 0."),
    (("wine", "the"), 0.1 / 7 + 0.9 * 2 / 10, "'wine' was never seen: P_2 is P_1 = 2/10."),
]:
    assert_close(
        interpolation(gram, toy_counts, toy_totals, toy_size, [0.1, 0.2, 0.7]),
        expected,
        f"P({gram[1]} | {gram[0]}) with weights 0.1, 0.2, 0.7",
        advice,
    )


# %% nbgrader={"cell_type": "code", "checksum": "1995fe5bd3e86401f383c7375e45fa82", "grade": true, "grade_id": "interpolation_seen_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: histories that were seen, in other texts, with other n and weights.

# %% nbgrader={"cell_type": "code", "checksum": "83aa9bcc59b964103f7a5497410b2c71", "grade": true, "grade_id": "interpolation_unseen_hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: histories that were never seen, whole or in part; the sum over all tokens.

# %% [markdown]
# ## 9. Kneser–Ney
#
# How much should be taken from what was seen, and who gets it? Lecture 05 measured the first: about
# the same discount $D$ from every count, however large. What that frees goes to a shorter history,
# and that one must answer another question than "how often was $w$ seen?". *midst* is in the text
# 321 times, always after *the*: elsewhere it never comes. The question is **after how many different
# words** was $w$ seen? Kneser and Ney (1995), for bigrams:
#
# $$P(w\mid h) = \frac{\max(c(hw)-D,\,0)}{c(h)} + \frac{D\,N_{1+}(h\,\bullet)}{c(h)}
#   \cdot\frac{N_{1+}(\bullet\,w)}{N_{1+}(\bullet\,\bullet)}$$
#
# with $N_{1+}(h\,\bullet)$ the number of different tokens seen after $h$, $N_{1+}(\bullet\,w)$ the
# number of different tokens seen before $w$ (`<s>` is one of them), and $N_{1+}(\bullet\,\bullet)$
# the number of different bigrams. The first is what $D$ was taken from, so many times; the second
# says who gets it. You write it in three pieces.
#
# **Write `continuations(counts)`.** `counts` is a Counter of bigrams. Return two dictionaries:
# `followers`, from each history $h$ to $N_{1+}(h\,\bullet)$, and `contexts`, from each token $w$ to
# $N_{1+}(\bullet\,w)$. Their keys are tuples of one token, as those of `totals`: `("the",)`.

# %% nbgrader={"cell_type": "code", "checksum": "5cbb6292d3d6383e3f8f6f02bc4d1646", "grade": false, "grade_id": "continuations", "locked": false, "schema_version": 3, "solution": true, "task": false} deletable=false
def continuations(counts):
    """Return followers and contexts: how many different tokens stand after, and before, each."""
    # YOUR CODE HERE
    raise NotImplementedError()


# %% nbgrader={"cell_type": "code", "checksum": "12b9877456b7f9983143684fdae08591", "grade": true, "grade_id": "continuations_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# After "go" stood "go", "on" and </s>; before "on" stood "go" alone, five times.
bigrams = Counter(
    {
        ("<s>", "go"): 3,
        ("go", "go"): 2,
        ("go", "on"): 5,
        ("go", "</s>"): 1,
        ("on", "</s>"): 4,
    }
)
followers, contexts = (as_dict(part, "a dictionary") for part in continuations(bigrams))
assert followers == {("<s>",): 1, ("go",): 3, ("on",): 1}, (
    f"different tokens after each history, however often each was seen: {followers}"
)
assert contexts == {("go",): 2, ("on",): 1, ("</s>",): 2}, (
    f"different tokens before each token, however often each was seen: {contexts}"
)


# %% nbgrader={"cell_type": "code", "checksum": "7d5cea1fc6504a3e43ec1c1f95f6f1e2", "grade": true, "grade_id": "continuations_followers_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: the number of different followers, in other texts.

# %% nbgrader={"cell_type": "code", "checksum": "96ef4aee22fab23a5fefdb4d6212b663", "grade": true, "grade_id": "continuations_contexts_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: the number of different tokens before each, in other texts.

# %% [markdown]
# **How large is $D$?** Ney, Essen and Kneser (1994) found it by leaving out one token at a time.
# With $n_1$ the number of different n-grams that were seen exactly once, and $n_2$ of those seen
# exactly twice:
#
# $$D = \frac{n_1}{n_1 + 2\,n_2}$$
#
# **Write `discount(counts)`.** `counts` is a Counter of n-grams, of which at least one was seen
# once. Return $D$, a number.

# %% nbgrader={"cell_type": "code", "checksum": "20aa21fd84f6662c826f19a83f89a2b9", "grade": false, "grade_id": "discount", "locked": false, "schema_version": 3, "solution": true, "task": false} deletable=false
def discount(counts):
    """Return D from the numbers of n-grams that were seen once and twice."""
    # YOUR CODE HERE
    raise NotImplementedError()


# %% nbgrader={"cell_type": "code", "checksum": "2513994c20b4609d3084a048ca9c1906", "grade": true, "grade_id": "discount_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
assert_close(
    discount(Counter({("go",): 1, ("on",): 5, ("up",): 2, ("in",): 3, ("at",): 1, ("by",): 1})),
    3 / 5,
    "D",
    "Three were seen once, one twice; those that were seen more often take no part.",
)


# %% nbgrader={"cell_type": "code", "checksum": "dea3a892f7765f001025704b2c38097c", "grade": true, "grade_id": "discount_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: other counts; none that was seen twice.

# %% [markdown]
# **Write `kneser_ney(gram, counts, totals, followers, contexts, D)`.** `gram` is a bigram $(h, w)$;
# `counts` and `totals` are the Counters of bigrams and of histories, `followers` and `contexts` are
# Counters with the entries above, and $0 < D \le 1$. Return $P(w\mid h)$, a number. **If $h$ was
# never seen as a history**, nothing can be discounted, and $P(w\mid h) =
# N_{1+}(\bullet\,w)/N_{1+}(\bullet\,\bullet)$.

# %% nbgrader={"cell_type": "code", "checksum": "e710dfdc76ea2ddaaae966079316b283", "grade": false, "grade_id": "kneser_ney", "locked": false, "schema_version": 3, "solution": true, "task": false} deletable=false
def kneser_ney(gram, counts, totals, followers, contexts, D):
    """Return P(w | h) of the bigram (h, w): discounted counts, and continuation counts below."""
    # YOUR CODE HERE
    raise NotImplementedError()


# %% nbgrader={"cell_type": "code", "checksum": "73f6936e2311c3112cf7b9038278c33f", "grade": true, "grade_id": "kneser_ney_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Nine different bigrams; "drinks" stood after two different words, "milk" after one.
toy_followers = Counter(
    {
        ("<s>",): 1,
        ("the",): 2,
        ("cat",): 1,
        ("dog",): 1,
        ("drinks",): 2,
        ("milk",): 1,
        ("water",): 1,
    }
)
toy_contexts = Counter(
    {
        ("the",): 1,
        ("cat",): 1,
        ("dog",): 1,
        ("drinks",): 2,
        ("milk",): 1,
        ("water",): 1,
        ("</s>",): 2,
    }
)
for gram, expected, advice in [
    (("cat", "milk"), 0.6 * 1 / 9, "Never seen after 'cat': only its share of what was freed."),
    (("cat", "drinks"), 0.4 + 0.6 * 2 / 9, "0.4 of one count is left; the other 0.6 is shared."),
    (("the", "cat"), 0.4 / 2 + 0.6 * 1 / 9, "Of two counts, two followers gave 0.6 of one each."),
    (("cat", "</s>"), 0.6 * 2 / 9, "Never seen either, but it ends two different bigrams."),
    (("wine", "drinks"), 2 / 9, "'wine' is no history: 'drinks' ends two of nine bigrams."),
]:
    assert_close(
        kneser_ney(gram, toy_counts[2], toy_totals[2], toy_followers, toy_contexts, 0.6),
        expected,
        f"P({gram[1]} | {gram[0]}) with D = 0.6",
        advice,
    )


# %% nbgrader={"cell_type": "code", "checksum": "d1b266882260983764660065c281c42d", "grade": true, "grade_id": "kneser_ney_seen_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: bigrams that were seen, in other texts and with other discounts.

# %% nbgrader={"cell_type": "code", "checksum": "7b40d18d401357ae84b934d6dec2fabd", "grade": true, "grade_id": "kneser_ney_unseen_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: bigrams that were not seen, after histories that were.

# %% nbgrader={"cell_type": "code", "checksum": "98f842a9e517a44915717d913c7a99e3", "grade": true, "grade_id": "kneser_ney_history_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: histories that were never seen.

# %% [markdown]
# ## 10. Perplexity
#
# Which model is better? The one that is less surprised by a text that it has not seen. The surprise
# at a token is $-\log P$; the perplexity is the exponential of its mean:
#
# $$J = -\frac1T\sum_{t=1}^{T}\log P(w_t\mid h_t), \qquad \text{perplexity} = \exp(J)$$
#
# It is the number of equally likely choices that would surprise as much: 7 for a fair die with
# seven sides. The $T$ tokens are **all tokens of all sentences and the `</s>` of each**; `<s>` is
# never predicted and does not count. The mean is over tokens, not over sentences, so a long
# sentence weighs more than a short one.
#
# Two traps. A product of a few hundred probabilities is 0 in a computer, so add up logarithms.
# And if the model gives a token the probability 0, the perplexity is infinite: return
# `float("inf")`, whatever the other tokens are. A model that rules out what happened does not get
# to skip it.
#
# **Write `perplexity(P, text, n)`.** `P` is a function of one parameter `gram`, a tuple of $n$
# tokens, that returns the probability of its last token; `text` is a list of one or more sentences,
# without the marks, as in question 6. Ask `P` about the n-grams of question 6. Return the
# perplexity, a number.

# %% nbgrader={"cell_type": "code", "checksum": "01f750b3769d103d282c0a3db5ecdabb", "grade": false, "grade_id": "perplexity", "locked": false, "schema_version": 3, "solution": true, "task": false} deletable=false
def perplexity(P, text, n):
    """Return exp of the mean of -log P(gram) over all tokens of the text, each `</s>` included."""
    # YOUR CODE HERE
    raise NotImplementedError()


# %% nbgrader={"cell_type": "code", "checksum": "aeec6c9cb22c9952dae91f7cf69668cc", "grade": true, "grade_id": "perplexity_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
fair_die = perplexity(lambda gram: 1 / 7, [["3", "1", "4"], ["1", "5", "9", "2"]], 1)
assert_close(fair_die, 7.0, "perplexity of a fair die with seven sides", "Whatever it shows.")
asked = {("<s>", "go"): 1 / 2, ("go", "on"): 1 / 4, ("on", "</s>"): 1 / 8, ("<s>", "</s>"): 1 / 16}
assert_close(
    perplexity(lambda gram: asked[gram], [["go", "on"], []], 2),
    2.0**2.5,
    "perplexity of two sentences, one of them empty",
    "Four tokens with 1/2, 1/4, 1/8 and 1/16: 1, 2, 3 and 4 times log 2, in the mean 2.5 times.",
)
impossible = perplexity(lambda gram: 0.0 if gram[0] == "on" else 0.5, [["go", "on"]], 1)
assert as_number(impossible, "perplexity") == np.inf, (
    "a token with probability 0 makes the perplexity infinite"
)

# %% nbgrader={"cell_type": "code", "checksum": "9e23e496b5c9038559ced9cf027476f9", "grade": true, "grade_id": "perplexity_value_hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: other texts and models, other n; short and long sentences.

# %% nbgrader={"cell_type": "code", "checksum": "a42be245a135f65585955a5e52152dcf", "grade": true, "grade_id": "perplexity_zero_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: a token with probability 0.

# %% nbgrader={"cell_type": "code", "checksum": "370b1d49a97b7c1ea1bb6423df48c48f", "grade": true, "grade_id": "perplexity_long_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false} deletable=false editable=false
# Hidden: a long text of improbable tokens.

# %% [markdown]
# ### The ritual again
#
# For a language model the three questions read: does a model **without any counts** have the
# perplexity $\lvert V\rvert$, that is $J = \log\lvert V\rvert$? Do the probabilities **sum to one**
# after every history, the unseen ones too? And does it learn a few examples by heart: with almost
# nothing added, is the toy text hardly a surprise?

# %% nbgrader={"cell_type": "code", "checksum": "6be0fc1a0d7c5739c1fb11cfac2b2b96", "grade": false, "grade_id": "ritual_models", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["skip-execution"] deletable=false editable=false
toy = [["the", "cat", "drinks", "milk"], ["the", "dog", "drinks", "water"]]
models = {
    "add-δ": lambda gram: add_delta(gram, toy_counts[2], toy_totals[2], toy_size, 0.1),
    "interpolation": lambda gram: interpolation(
        gram, toy_counts, toy_totals, toy_size, [0.1, 0.2, 0.7]
    ),
    "Kneser–Ney": lambda gram: kneser_ney(
        gram, toy_counts[2], toy_totals[2], toy_followers, toy_contexts, 0.5
    ),
}
no_counts = perplexity(lambda gram: add_delta(gram, Counter(), Counter(), 7, 0.1), toy, 2)
print(f"without counts: perplexity {as_number(no_counts, 'it'):.2f}, |V| = {toy_size}")
assert_close(no_counts, toy_size, "the perplexity without counts", "All tokens are alike.")
for name, P in models.items():
    for history in ["the", "drinks", "</s>", "wine"]:
        total = sum(as_number(P((history, word)), "P") for (word,) in toy_counts[1])
        assert_close(total, 1.0, f"{name}: the sum after {history!r}", "Not a distribution.")
    print(f"{name}: sums to one after four histories")
by_heart = perplexity(
    lambda gram: add_delta(gram, toy_counts[2], toy_totals[2], toy_size, 1e-6), toy, 2
)
print(f"by heart: perplexity {as_number(by_heart, 'it'):.3f}")
assert_close(by_heart, 4 ** (2 / 10), "the perplexity of the toy text", "Four coins, ten tokens.")

# %% [markdown]
# (By heart it is $4^{2/10} = 1.32$ and not 1: after *the* and after *drinks* there are two ways to
# go on, in each sentence. No model that sees one token of history can know which.)
#
# ### On real text: a perplexity table
#
# The rules are lecture 05's. The models count the training chapters; a text is a verse. What train
# has fewer than two times becomes `<unk>` on every side. $\delta$ and the $\lambda$s are chosen on
# `valid`, and the table is made on `test`, whose chapters no model has seen. Since the verses of
# one chapter resemble one another, the intervals draw **chapters**, the same for both models of a
# pair.

# %% nbgrader={"cell_type": "code", "checksum": "60631570c2daf49d4fb14de585aa070a", "grade": false, "grade_id": "count_bible", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["skip-execution"] deletable=false editable=false
known = {word for word, c in frequency.items() if c >= 2}
encoded = {
    side: [[[w if w in known else "<unk>" for w in verse] for verse in c] for c in chapters[side]]
    for side in chapters
}
verses = {side: [verse for chapter in encoded[side] for verse in chapter] for side in encoded}
size = len(known | {"<unk>", "</s>"})
counts = {k: Counter(as_dict(ngram_counts(verses["train"], k), "counts")) for k in (1, 2, 3)}
totals = {k: Counter(as_dict(histories(counts[k]), "totals")) for k in counts}
followers, contexts = (Counter(as_dict(part, "N")) for part in continuations(counts[2]))
D = as_number(discount(counts[2]), "D")
print(f"|V| = {size:,}; " + ", ".join(f"{len(counts[k]):,} different {k}-grams" for k in counts))
print(f"D = {D:.2f}")
for word in ["midst", "begat"]:
    print(f"{word}: seen {counts[1][word,]} times, after {contexts[word,]} different words")


# %% nbgrader={"cell_type": "code", "checksum": "c2146486ba33fd28a6be25ad1eeb0152", "grade": false, "grade_id": "choose", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["skip-execution"] deletable=false editable=false
def perplexity_of(P, text, n):
    """Return your perplexity, with your probabilities as plain numbers."""
    return as_number(perplexity(lambda gram: as_number(P(gram), "P"), text, n), "perplexity")


def add_delta_model(delta):
    """Return your add-δ bigram model as a function of the n-gram."""
    return lambda gram: add_delta(gram, counts[2], totals[2], size, delta)


def mixture_model(lam):
    """Return your mixture of orders as a function of the n-gram."""
    return lambda gram: interpolation(gram, counts, totals, size, list(lam))


by_delta = {
    delta: perplexity_of(add_delta_model(delta), verses["valid"], 2)
    for delta in [1, 0.1, 0.01, 0.001]
}
best_delta = min(by_delta, key=by_delta.get)
by_mixture = {
    lam: perplexity_of(mixture_model(lam), verses["valid"], 3)
    for lam in [(0.02, 0.18, 0.3, 0.5), (0.02, 0.28, 0.6, 0.1)]
}
best_lam = min(by_mixture, key=by_mixture.get)
print("add-δ, n = 2, on valid:        ", {k: round(v) for k, v in by_delta.items()})
print("interpolation, n = 3, on valid:", {k: round(v) for k, v in by_mixture.items()})

# %% nbgrader={"cell_type": "code", "checksum": "2706ba99dc569ce3bed4dce2f98a6e62", "grade": false, "grade_id": "perplexity_table", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["skip-execution"] deletable=false editable=false
from lectures.intervals import bootstrap_interval

two = [best_lam[0], best_lam[1], best_lam[2] + best_lam[3]]
models = {
    "uniform": (lambda gram: 1 / size, 1),
    "word frequency": (lambda gram: counts[1][gram] / totals[1][()], 1),
    "add-δ, n = 2": (add_delta_model(best_delta), 2),
    "interpolation, n = 2": (mixture_model(two), 2),
    "interpolation, n = 3": (mixture_model(best_lam), 3),
    "Kneser–Ney, n = 2": (
        lambda gram: kneser_ney(gram, counts[2], totals[2], followers, contexts, D),
        2,
    ),
}
tokens = np.array([sum(len(verse) + 1 for verse in chapter) for chapter in encoded["test"]])
lost = {  # nats, chapter by chapter
    name: tokens * np.log([perplexity_of(P, chapter, n) for chapter in encoded["test"]])
    for name, (P, n) in models.items()
}


def ratio(a, b, tokens):
    """The perplexity of a over that of b."""
    return np.exp((a.sum() - b.sum()) / tokens.sum())


print(f"{tokens.sum():,} tokens in {len(tokens)} chapters of the test side")
for name, nats in lost.items():
    against = ""
    if name not in ("uniform", "Kneser–Ney, n = 2"):
        low, high = bootstrap_interval(ratio, lost["Kneser–Ney, n = 2"], nats, tokens)
        against = f"   Kneser–Ney has {low:.2f} to {high:.2f} of it"
    print(f"{name:21} {np.exp(nats.sum() / tokens.sum()):7.1f}{against}")

# %% [markdown]
# From 8,480 choices to about 60, by counting alone. Kneser–Ney beats the other models that see one
# token of history, though nothing in it was chosen on `valid`; a second token of history helps more
# than that. (Lecture 05 has both, longer histories with Kneser–Ney, and comes down to 47.)

# %% [markdown]
# ## 11. A written answer
#
# A classmate reads the same chapters with a bigram model and reports a perplexity of 29, where your
# Kneser–Ney has 68. You ask, and learn two things. (1) Every word that train has fewer than 100 times
# became `<unk>`, "to save memory". (2) After a history $h$, a word that was seen gets $c(hw)/c(h)$,
# and one that was not gets $c(w)/c()$, its share of all tokens, "like interpolation, but simpler".

# %% [markdown] nbgrader={"cell_type": "markdown", "checksum": "bff5c666e382b1f0f8681e4038210d51", "grade": false, "grade_id": "written", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": true} deletable=false editable=false
# **In three to six sentences**: (a) Why does (1) alone lower the perplexity of the same chapters,
# though the model has learned nothing more, and when may two perplexities be compared at all?
# (b) What do the "probabilities" of (2) sum to after a history that was seen, and why does that
# make the 29 meaningless? (c) Give a correct rule in the place of (2), and say what a word such as
# *midst*, seen 321 times and always after *the*, gets from your rule in a place where the history
# tells nothing; should it get less than its share of the tokens?
#

# %% [markdown]
# *Write your answer here, in place of this line.*
