# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Problem set 1: word2vec
#
# Nobody tells a computer what *river* means. In this sheet you build the model that finds out from
# text alone: skip-gram and CBOW (Mikolov et al. 2013), piece by piece, each piece small enough to
# check by hand. At the end your pieces train on 106 Wikipedia articles and you ask them which words
# are close to *river*.
#
# **What you need.** Lectures 01 (`word_vectors`) and 02 (`word2vec`): the sheet uses their symbols
# and leans on their derivations. Question 4 runs ahead of lecture 03 and says what it needs.
# **Time.** About four hours. No function needs more than ten lines.
#
# | | question | points |
# |---|---|---|
# | 1 | stable softmax | 4 |
# | 2 | sigmoid | 3 |
# | 3 | naive-softmax loss and its gradients | 9 |
# | 4 | negative-sampling loss and its gradients | 10 |
# | 5 | windows over a text | 6 |
# | 6 | skip-gram and CBOW | 14 |
# | 7 | one step of gradient descent | 3 |
# | 8 | nearest neighbors | 4 |
# | 9 | a written answer | 3 |
#
# **How it is graded.** Below each function stands a check that you can run and read. After you hand
# in, hidden tests call the same function with other sizes, seeds and edge cases, each part of a
# question on its own: a wrong `grad_U` does not cost you a right `loss`. A mistake counts once:
# where a question needs something from an earlier one, it gets it from a library or as an argument.
# Arrays are NumPy's, float64 or float32; several results come back as a tuple, in the order of the
# statement. Your functions may print, loop, and call helpers that you write in cells of your own,
# above the check that needs them; they must not read variables of the notebook that they are not
# given. Keep the names of the parameters: other cells may call your functions by them.

# %% [markdown]
# ## Symbols
#
# | symbol | code | shape | meaning |
# |---|---|---|---|
# | $\lvert V\rvert$ | `len(U)` | | words in the vocabulary, at least 1; a word is an index |
# | $d$ | | | length of a word vector, at least 1 |
# | $V$ | `V` | $(\lvert V\rvert, d)$ | input vectors, row $v_w$ |
# | $U$ | `U` | $(\lvert V\rvert, d)$ | output vectors, row $u_w$ |
# | $c$, $v_c$ | `center`, `v_c` | $(d,)$ | the center word and its input vector |
# | $o$, $u_o$ | `o` | | an outside word and its output vector |
# | $\hat v$ | `v_hat` | $(d,)$ | mean of the input vectors of the words around the center (CBOW) |
# | $\hat y$ | `y_hat` | $(\lvert V\rvert,)$ | predicted distribution $\mathrm{softmax}(U v_c)$ |
# | $m$ | `m` | | words on each side of the center that belong to its window |
#
# Vectors are one-dimensional arrays. A gradient has the shape of what it is the gradient of: row
# $w$ of `grad_U` is $\partial J / \partial u_w$.
#
# The next cell is given, like every cell that you cannot edit: `assert_close`, with which the
# checks compare, and `central_difference`, which you meet below.

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import numpy as np


def assert_close(value, expected, name, advice=""):
    """Pass if `value` equals `expected` up to rounding; the number 3 and [3.0] are the same."""
    assert value is not None, f"{name} is None: does your function return it?"
    value = np.asarray(value.detach() if hasattr(value, "detach") else value, dtype=float)
    expected = np.asarray(expected, dtype=float)
    same_axes = [n for n in value.shape if n != 1] == [n for n in expected.shape if n != 1]
    assert same_axes, f"{name} has shape {value.shape}, but it should have {expected.shape}"
    value = value.reshape(expected.shape)
    off = np.abs(value - expected).max() if value.size else 0.0
    assert np.allclose(value, expected, rtol=1e-4, atol=1e-5), (
        f"{name} is off by {off:.2g}. {advice}"
    )


def central_difference(f, theta, step=1e-5):
    """Return the gradient of the number f(theta), one entry at a time: slow, and hard to fool."""
    gradient = np.zeros_like(theta)
    for i in np.ndindex(theta.shape):
        shift = np.zeros_like(theta)
        shift[i] = step
        gradient[i] = (np.sum(f(theta + shift)) - np.sum(f(theta - shift))) / (2 * step)
    return gradient


# %% [markdown]
# ## The ritual
#
# Before you train a model, here and in every later sheet, ask it three questions. They take a
# minute and save evenings.
#
# 1. **Is the first loss near $\log\lvert V\rvert$?** A model that knows nothing gives every word
#    the probability $1/\lvert V\rvert$. Another first loss means a wrong sign, a sum where a mean
#    belongs, or vectors that start too large.
# 2. **Do the gradients pass central differences?** Move one parameter a little up, then a little
#    down, and divide what the loss does by the distance. `central_difference` above does that:
#    $\partial J / \partial\theta_i \approx (J(\theta + \varepsilon e_i) - J(\theta - \varepsilon e_i)) / 2\varepsilon$.
# 3. **Can it overfit one batch?** A model that cannot learn six examples by heart will not learn a
#    million.
#
# The second one serves you from question 3 on: `central_difference(lambda v: f(v, o, U)[0], v_c)`
# is what the gradient of `f` with respect to `v_c` should be. All three run on your own code after
# question 7.

# %% [markdown]
# ## 1. Softmax
#
# Softmax turns any scores $x$ (logits) into a probability distribution:
#
# $$\mathrm{softmax}(x)_i = \frac{\exp(x_i)}{\sum_j \exp(x_j)}$$
#
# *Max*, as it amplifies the largest score; *soft*, as it leaves some probability to the others.
# `exp(1000)` overflows, and $\infty/\infty$ is not a number. Lecture 01 shows the cure: adding the
# same constant to every score changes nothing, since the constant cancels in the fraction. So
# choose the constant well.
#
# **Write `softmax(x)`.** `x` is a vector $(n,)$ or a matrix $(m, n)$; the result has the shape of
# `x`. In a matrix **each row** is a list of scores of its own and becomes a distribution.
# Scores of any size must work, also in a matrix whose rows lie far apart. Whether you change `x`
# itself is up to you: the tests hand you a copy.


# %% nbgrader={"grade": false, "grade_id": "softmax", "locked": false, "schema_version": 3, "solution": true, "task": false}
def softmax(x):
    """Return the softmax of a vector (n,), or of each row of a matrix (m, n)."""
    ### BEGIN SOLUTION
    # The largest score of each row becomes 0: exp cannot overflow, and the sum is at least 1.
    exp_x = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return exp_x / np.sum(exp_x, axis=-1, keepdims=True)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "softmax_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
assert_close(
    softmax(np.array([0.0, np.log(3.0)])),
    [0.25, 0.75],
    "softmax of [0, log 3]",
    "exp turns these scores into 1 and 3; divide by their sum, 4.",
)
assert_close(
    softmax(np.array([[0.0, np.log(3.0), 0.0], [np.log(2.0), 0.0, 0.0]])),
    [[0.2, 0.6, 0.2], [0.5, 0.25, 0.25]],
    "softmax of a matrix with two rows",
    "Each row is a distribution and sums to 1.",
)
assert_close(
    softmax(np.array([1000.0, 1000.0 + np.log(3.0)])),
    [0.25, 0.75],
    "softmax of [1000, 1000 + log 3]",
    "The same differences as [0, log 3], so the same result: which constant can you take away?",
)

# %% nbgrader={"grade": true, "grade_id": "softmax_vector_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: vectors of other lengths, float64 and float32.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for n, dtype in [(6, "float64"), (1, "float64"), (9, "float32"), (1000, "float64")]:
    x = rng.normal(scale=2, size=n).astype(dtype)
    expected = torch.softmax(torch.tensor(x, dtype=torch.float64), dim=0).numpy()
    assert_close(softmax(x.copy()), expected, "softmax")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "softmax_rows_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: matrices, one row, one column, rows that lie far apart.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for m, n, dtype in [(4, 4, "float64"), (3, 5, "float32"), (1, 6, "float64"), (5, 1, "float64")]:
    x = rng.normal(scale=2, size=(m, n)).astype(dtype)
    rows = torch.tensor(x, dtype=torch.float64)
    expected = torch.stack([torch.softmax(row, dim=0) for row in rows]).numpy()
    assert_close(softmax(x.copy()), expected, "softmax")
# No single score overflows here, so this asks for a constant per row and nothing else.
x = rng.integers(-12, 13, size=(3, 4)) / 4 + np.array([[300.0], [0.0], [-450.0]])
expected = torch.stack([torch.softmax(row, dim=0) for row in torch.tensor(x)]).numpy()
assert_close(softmax(x.copy()), expected, "softmax")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "softmax_large_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: vectors of very large and very small scores.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for offset, dtype in [(1000, "float64"), (-1000, "float64"), (500, "float32"), (-500, "float32")]:
    # Quarters are exact in float32 too, so rounding takes no part.
    x = (rng.integers(-12, 13, size=7) / 4 + offset).astype(dtype)
    expected = torch.softmax(torch.tensor(x, dtype=torch.float64), dim=0).numpy()
    assert_close(softmax(x.copy()), expected, "softmax")
x = np.array([-2000.0, 2000.0, 0.0])
assert_close(softmax(x.copy()), [0, 1, 0], "softmax")
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Sigmoid
#
# Softmax chooses among many words. For a yes-or-no question, "did these two words stand together?",
# one score is enough, and the sigmoid turns it into the probability of "yes":
#
# $$\sigma(x) = \frac{1}{1 + \exp(-x)}$$
#
# Two identities that you need in question 4, and can check on paper: $\sigma(-x) = 1 - \sigma(x)$
# and $\sigma'(x) = \sigma(x)\,(1 - \sigma(x))$.
#
# **Write `sigmoid(x)`.** `x` is a number or an array of any shape; the result has the same shape.
# Scores such as $\pm 1000$ must give 1 and 0, and never `nan`. NumPy may warn of an overflow on the
# way to a right result; that costs nothing.


# %% nbgrader={"grade": false, "grade_id": "sigmoid", "locked": false, "schema_version": 3, "solution": true, "task": false}
def sigmoid(x):
    """Return 1 / (1 + exp(-x)) for a number, or for each element of an array."""
    ### BEGIN SOLUTION
    # exp never gets a positive argument, so it cannot overflow.
    small = np.exp(-np.abs(x))
    return np.where(np.asarray(x) >= 0, 1, small) / (1 + small)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "sigmoid_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
assert_close(sigmoid(0.0), 0.5, "sigmoid(0)", "exp(-0) is 1.")
assert_close(sigmoid(np.log(3.0)), 0.75, "sigmoid(log 3)", "A positive score means more than 1/2.")
assert_close(
    sigmoid(np.array([[0.0, np.log(4.0)], [-np.log(4.0), 1000.0]])),
    [[0.5, 0.8], [0.2, 1.0]],
    "sigmoid of a matrix",
    "It acts on each element on its own.",
)

# %% nbgrader={"grade": true, "grade_id": "sigmoid_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: numbers and arrays of other shapes, float64 and float32.
### BEGIN HIDDEN TESTS
import math

rng = np.random.default_rng(np.random.randint(2**31 - 1))
near = float(rng.uniform(0.1, 0.9))  # a wrong bound between the two signs shows close to 0
for x in [*rng.normal(scale=3, size=3).tolist(), near, -near]:
    assert_close(sigmoid(x), 1 / (1 + math.exp(-x)), "sigmoid")
for shape, dtype in [
    ((7,), "float64"),
    ((2, 3), "float32"),
    ((1,), "float64"),
    ((2, 1, 3), "float64"),
]:
    x = rng.normal(scale=3, size=shape).astype(dtype)
    expected = np.array([1 / (1 + math.exp(-value)) for value in x.ravel().tolist()])
    assert_close(sigmoid(x.copy()), expected.reshape(shape), "sigmoid")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "sigmoid_large_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: very large and very small scores.
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(np.random.randint(2**31 - 1))
for dtype in ["float64", "float32"]:
    x = (rng.choice([-1, 1], size=8) * rng.uniform(720, 5000, size=8)).astype(dtype)
    x[:2] = [-800, 800]
    expected = (x > 0).astype(float)
    try:
        y = sigmoid(x.copy())
    except Exception:
        # Does it take numbers only? That was judged above; here the size of the scores is.
        y = [sigmoid(score) for score in x.tolist()]
    assert_close(y, expected, "sigmoid")
### END HIDDEN TESTS

# %% [markdown]
# From here on the sheet has both functions from a library, under other names. **Build the following
# on `library_softmax` and `library_sigmoid`** and a slip above cannot cost you points below. (Your
# own ones do as well, if they are right.) `library_softmax(x, axis=-1)` is the softmax of each row.

# %% nbgrader={"grade": false, "grade_id": "library", "locked": true, "schema_version": 3, "solution": false, "task": false}
from scipy.special import expit as library_sigmoid
from scipy.special import softmax as library_softmax

# %% [markdown]
# ## 3. The naive-softmax loss
#
# How probable is the outside word $o$ around the center word $c$? Every word $w$ gets the score
# $u_w^\top v_c$, a softmax makes a distribution of the scores, and the loss is the surprise at the
# word that stood there:
#
# $$\hat y = \mathrm{softmax}(U v_c), \qquad P(o \mid c) = \hat y_o, \qquad
#   J(v_c, o, U) = -\log \hat y_o$$
#
# With $y$ the one-hot vector of $o$ and $\delta = \hat y - y$, shape $(\lvert V\rvert,)$, lecture
# 02 derives $\partial J / \partial (U v_c) = \delta$: what was predicted minus what was seen. The
# chain rule through the product $U v_c$ gives the two gradients:
#
# $$\frac{\partial J}{\partial v_c} = -u_o + \sum_{w} \hat y_w\, u_w, \qquad
#   \frac{\partial J}{\partial u_w} = \delta_w\, v_c$$
#
# Read the first as expectation minus observation: at a minimum the mean of all output vectors,
# weighted by the prediction, is the output vector that was seen. It is naive since every step
# touches all of $U$.
#
# **Write `naive_softmax_loss_and_gradients(v_c, o, U)`.** `v_c` is $(d,)$, `o` an index, `U` is
# $(\lvert V\rvert, d)$. Return the loss (a number), `grad_v_c` $(d,)$ and `grad_U`
# $(\lvert V\rvert, d)$, in this order. Leave `v_c` and `U` as they are. The scores in the tests are
# moderate.


# %% nbgrader={"grade": false, "grade_id": "naive_softmax", "locked": false, "schema_version": 3, "solution": true, "task": false}
def naive_softmax_loss_and_gradients(v_c, o, U):
    """Return loss, grad_v_c (d,) and grad_U (|V|, d) for one pair of center and outside word."""
    ### BEGIN SOLUTION
    y_hat = library_softmax(U @ v_c)
    loss = -np.log(y_hat[o])
    delta = y_hat.copy()
    delta[o] -= 1
    return loss, U.T @ delta, np.outer(delta, v_c)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "naive_softmax_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# The scores are [log 2, 0, log 2], so y_hat is [0.4, 0.2, 0.4] and delta is [-0.6, 0.2, 0.4].
loss, grad_v_c, grad_U = naive_softmax_loss_and_gradients(
    np.array([np.log(2.0), 0.0]), 0, np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
)
assert_close(loss, -np.log(0.4), "loss", "It is the negative logarithm of y_hat[o].")
assert_close(grad_v_c, [-0.2, 0.6], "grad_v_c", "Each row of U counts with its entry of delta.")
assert_close(
    grad_U,
    [[-0.6 * np.log(2.0), 0.0], [0.2 * np.log(2.0), 0.0], [0.4 * np.log(2.0), 0.0]],
    "grad_U",
    "Row w is v_c times the entry w of delta: no row is left out.",
)

# %% nbgrader={"grade": true, "grade_id": "naive_softmax_loss_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden: the loss, for other vocabularies (one word too) and vectors.
### BEGIN HIDDEN TESTS
import math

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, d, dtype in [(6, 3, "float64"), (1, 4, "float64"), (5, 1, "float32"), (20, 7, "float32")]:
    v_c = rng.normal(size=d).astype(dtype)
    U = rng.normal(size=(size, d)).astype(dtype)
    o = int(rng.integers(size))
    scores = [math.fsum(row) for row in (U.astype(float) * v_c).tolist()]
    expected = math.log(sum(math.exp(score) for score in scores)) - scores[o]
    result = list(naive_softmax_loss_and_gradients(v_c.copy(), o, U.copy()))
    assert_close(result[0], expected, "loss")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "naive_softmax_grad_v_c_hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Hidden: the gradient with respect to v_c.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, d, dtype in [(6, 3, "float64"), (1, 4, "float64"), (5, 1, "float32"), (20, 7, "float32")]:
    v_c = rng.normal(size=d).astype(dtype)
    U = rng.normal(size=(size, d)).astype(dtype)
    o = int(rng.integers(size))
    v = torch.tensor(v_c, dtype=torch.float64, requires_grad=True)
    (-torch.log_softmax(torch.tensor(U, dtype=torch.float64) @ v, dim=0)[o]).backward()
    result = list(naive_softmax_loss_and_gradients(v_c.copy(), o, U.copy()))
    assert_close(result[1], v.grad.numpy(), "grad_v_c")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "naive_softmax_grad_U_hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Hidden: the gradient with respect to U.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, d, dtype in [(6, 3, "float64"), (1, 4, "float64"), (5, 1, "float32"), (20, 7, "float32")]:
    v_c = rng.normal(size=d).astype(dtype)
    U = rng.normal(size=(size, d)).astype(dtype)
    o = int(rng.integers(size))
    u = torch.tensor(U, dtype=torch.float64, requires_grad=True)
    (-torch.log_softmax(u @ torch.tensor(v_c, dtype=torch.float64), dim=0)[o]).backward()
    result = list(naive_softmax_loss_and_gradients(v_c.copy(), o, U.copy()))
    assert_close(result[2], u.grad.numpy(), "grad_U")
### END HIDDEN TESTS

# %% [markdown]
# ## 4. The negative-sampling loss
#
# The softmax pays for $\lvert V\rvert$ words at each step. Negative sampling asks $K+1$ yes-or-no
# questions instead: did $o$ stand beside $c$ (yes), and did $K$ words $w_1 \dots w_K$ drawn at
# random (no)?
#
# $$J(v_c, o, U) = -\log \sigma(u_o^\top v_c) \;-\; \sum_{k=1}^{K} \log \sigma(-u_{w_k}^\top v_c)$$
#
# Each term is a logistic regression. You need one derivative,
# $\frac{d}{dx}\big(-\log\sigma(x)\big) = \sigma(x) - 1$; for the negatives put $-x$ into it and
# mind the inner derivative. Only the rows $u_o$ and $u_{w_k}$ of `grad_U` differ from zero. That is
# the saving.
#
# **The same word may be drawn twice.** Then its term stands in the sum twice, in the loss and in
# both gradients. (What does NumPy do with `a[[1, 1]] += 5`? Try it in a cell of your own.)
#
# **Write `negative_sampling_loss_and_gradients(v_c, o, U, negatives)`.** `negatives` is a list of
# the $K \ge 1$ indices of the words that were drawn for you; `o` is not among them. The rest is as
# in question 3: return the loss, `grad_v_c` $(d,)$ and `grad_U` $(\lvert V\rvert, d)$, and leave
# the arguments as they are.


# %% nbgrader={"grade": false, "grade_id": "negative_sampling", "locked": false, "schema_version": 3, "solution": true, "task": false}
def negative_sampling_loss_and_gradients(v_c, o, U, negatives):
    """Return loss, grad_v_c (d,) and grad_U (|V|, d) for one pair and a list of negatives."""
    ### BEGIN SOLUTION
    words = np.concatenate([[o], negatives])
    yes = np.arange(len(words)) == 0
    probability = library_sigmoid(U[words] @ v_c)
    loss = -np.sum(np.log(np.where(yes, probability, 1 - probability)))
    delta = probability - yes
    grad_U = np.zeros_like(U)
    # Unlike grad_U[words] += ..., this adds for every occurrence of a repeated word.
    np.add.at(grad_U, words, np.outer(delta, v_c))
    return loss, U[words].T @ delta, grad_U
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "negative_sampling_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# The score of word 0 is log 3, so its sigmoid is 0.75; those of words 1 and 2 are 0, sigmoid 0.5.
loss, grad_v_c, grad_U = negative_sampling_loss_and_gradients(
    np.array([1.0, 2.0]),
    0,
    np.array([[np.log(3.0), 0.0], [2.0, -1.0], [-2.0, 1.0], [5.0, 5.0]]),
    [1, 2, 1],
)
assert_close(
    loss,
    -np.log(0.75) - 3 * np.log(0.5),
    "loss",
    "Word 1 was drawn twice: four terms in all, each with a minus in front.",
)
assert_close(
    grad_v_c,
    [-0.25 * np.log(3.0) + 1.0, -0.5],
    "grad_v_c",
    "The true word pulls with sigmoid - 1, each negative pushes with its sigmoid.",
)
assert_close(
    grad_U,
    [[-0.25, -0.5], [1.0, 2.0], [0.5, 1.0], [0.0, 0.0]],
    "grad_U",
    "Word 1 was drawn twice, so its row gets two shares; word 3 takes no part.",
)

# %% nbgrader={"grade": true, "grade_id": "negative_sampling_loss_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden: the loss, for other sizes and numbers of negatives, repeated ones too.
### BEGIN HIDDEN TESTS
import math

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, d, K, dtype in [(9, 3, 4, "float64"), (3, 5, 12, "float64"), (6, 1, 1, "float32")]:
    v_c = rng.normal(size=d).astype(dtype)
    U = rng.normal(size=(size, d)).astype(dtype)
    o, *others = rng.permutation(size)
    negatives = rng.choice(others, size=K)
    scores = [math.fsum(row) for row in (U.astype(float) * v_c).tolist()]
    expected = math.log1p(math.exp(-scores[o]))
    expected += sum(math.log1p(math.exp(scores[w])) for w in negatives)
    result = list(
        negative_sampling_loss_and_gradients(v_c.copy(), int(o), U.copy(), negatives.tolist())
    )
    assert_close(result[0], expected, "loss")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "negative_sampling_grad_v_c_hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Hidden: the gradient with respect to v_c.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, d, K, dtype in [(9, 3, 4, "float64"), (3, 5, 12, "float64"), (6, 1, 1, "float32")]:
    v_c = rng.normal(size=d).astype(dtype)
    U = rng.normal(size=(size, d)).astype(dtype)
    o, *others = rng.permutation(size)
    negatives = rng.choice(others, size=K)
    v = torch.tensor(v_c, dtype=torch.float64, requires_grad=True)
    scores = torch.tensor(U, dtype=torch.float64) @ v
    (-scores[o].sigmoid().log() - (-scores[negatives]).sigmoid().log().sum()).backward()
    result = list(
        negative_sampling_loss_and_gradients(v_c.copy(), int(o), U.copy(), negatives.tolist())
    )
    assert_close(result[1], v.grad.numpy(), "grad_v_c")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "negative_sampling_grad_U_hidden", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# Hidden: the gradient with respect to U; repeated negatives too, and rows that take no part.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, d, K, repeats, dtype in [
    (9, 3, 4, False, "float64"),
    (9, 4, 3, True, "float64"),
    (3, 5, 12, True, "float64"),
    (6, 1, 1, False, "float32"),
]:
    v_c = rng.normal(size=d).astype(dtype)
    U = rng.normal(size=(size, d)).astype(dtype)
    o, *others = rng.permutation(size)
    negatives = rng.choice(others, size=K, replace=repeats)
    if repeats:
        negatives[-1] = negatives[0]
    u = torch.tensor(U, dtype=torch.float64, requires_grad=True)
    scores = u @ torch.tensor(v_c, dtype=torch.float64)
    (-scores[o].sigmoid().log() - (-scores[negatives]).sigmoid().log().sum()).backward()
    result = list(
        negative_sampling_loss_and_gradients(v_c.copy(), int(o), U.copy(), negatives.tolist())
    )
    assert_close(result[2], u.grad.numpy(), "grad_U")
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Windows over a text
#
# Where do the pairs come from? From a window that moves over the text, one center word at a time:
#
# ```text
# the   river   runs   past   the   old   mill
#         o      o      C      o     o            center "past", m = 2
#  C      o      o                                center "the", at the edge: fewer words
# ```
#
# At the edges of the text the window is cut: words that are not there are neither replaced nor
# invented.
#
# **Write `context_windows(tokens, m)`.** `tokens` is a list of words (strings or indices) and `m`
# at least 1. Return a list with one window `(center, outside)` per token, in the order of the text:
# `center` is the token, `outside` the list of the up to $2m$ tokens around it, also in the order of
# the text. The same word may stand in a window several times and is kept each time. In a text of
# one word `outside` is empty.


# %% nbgrader={"grade": false, "grade_id": "context_windows", "locked": false, "schema_version": 3, "solution": true, "task": false}
def context_windows(tokens, m):
    """Return one (center, outside) per token; `outside` lists up to m tokens from each side."""
    ### BEGIN SOLUTION
    return [
        (center, tokens[max(0, i - m) : i] + tokens[i + 1 : i + 1 + m])
        for i, center in enumerate(tokens)
    ]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "context_windows_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
windows = [(center, list(outside)) for center, outside in context_windows(["a", "b", "c", "d"], 2)]
assert len(windows) == 4, f"4 tokens have 4 windows, one each; there are {len(windows)}"
assert windows[2] == ("c", ["a", "b", "d"]), (
    f"around 'c' stand two words on the left, one on the right: a, b, d; not {windows[2]}"
)
assert windows[0] == ("a", ["b", "c"]), (
    f"the first word has no words on its left: its window is b, c; not {windows[0]}"
)
assert windows == [
    ("a", ["b", "c"]),
    ("b", ["a", "c", "d"]),
    ("c", ["a", "b", "d"]),
    ("d", ["b", "c"]),
], f"look at each window again: {windows}"

# %% nbgrader={"grade": true, "grade_id": "context_windows_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden: other texts and sizes; repeated words; windows larger than the text; a text of one word.
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(np.random.randint(2**31 - 1))
for length, m, letters in [
    (12, 2, "abcde"),
    (9, 3, "ab"),
    (8, 1, "abcd"),
    (5, 7, "abc"),
    (1, 2, "a"),
]:
    text = rng.choice(list(letters), size=length).tolist()
    for tokens in [text, [ord(letter) for letter in text]]:
        expected = []
        for i in range(length):
            near = [j for j in range(length) if j != i and abs(i - j) <= m]
            expected.append((tokens[i], [tokens[j] for j in near]))
        result = context_windows(list(tokens), m)
        assert [(center, list(outside)) for center, outside in result] == expected
### END HIDDEN TESTS

# %% [markdown]
# Skip-gram learns from pairs, one center word and one outside word each. A window with four outside
# words gives four pairs: one positive example per *pair*, not one per center word.
#
# **Write `skipgram_pairs(tokens, m)`.** Return a list of all pairs `(center, outside)` of the
# text's windows, in any order. A pair that occurs several times is listed as often.


# %% nbgrader={"grade": false, "grade_id": "skipgram_pairs", "locked": false, "schema_version": 3, "solution": true, "task": false}
def skipgram_pairs(tokens, m):
    """Return a list of (center, outside), one for each outside word of each window."""
    ### BEGIN SOLUTION
    pairs = []
    for i, center in enumerate(tokens):
        for j in range(max(0, i - m), min(len(tokens), i + m + 1)):
            if j != i:
                pairs.append((center, tokens[j]))
    return pairs
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "skipgram_pairs_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
pairs = [(center, outside) for center, outside in skipgram_pairs(["a", "b", "a", "c"], 1)]
assert len(pairs) == 6, (
    f"for m = 1 the windows of a b a c hold 1 + 2 + 2 + 1 = 6 outside words, not {len(pairs)}"
)
assert pairs.count(("a", "b")) == 2, "'b' stands beside 'a' twice: both pairs count"
assert sorted(pairs) == [("a", "b"), ("a", "b"), ("a", "c"), ("b", "a"), ("b", "a"), ("c", "a")], (
    f"look at each pair again: {pairs}"
)

# %% nbgrader={"grade": true, "grade_id": "skipgram_pairs_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden: other texts and sizes; repeated words; windows larger than the text; a text of one word.
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(np.random.randint(2**31 - 1))
for length, m, letters in [
    (12, 3, "abcde"),
    (9, 2, "ab"),
    (8, 1, "abcd"),
    (5, 7, "abc"),
    (1, 2, "a"),
]:
    text = rng.choice(list(letters), size=length).tolist()
    for tokens in [text, [ord(letter) for letter in text]]:
        places = np.arange(length)
        distance = np.abs(places[:, None] - places)
        near = np.argwhere((distance >= 1) & (distance <= m)).tolist()
        expected = sorted((tokens[i], tokens[j]) for i, j in near)
        result = skipgram_pairs(list(tokens), m)
        assert sorted((center, outside) for center, outside in result) == expected
### END HIDDEN TESTS

# %% [markdown]
# ## 6. Skip-gram and CBOW
#
# Both models take any loss for one prediction, yours from question 3 or 4, or another: it comes as
# the argument `loss_and_gradients`, a function with the parameters `v_c`, `o` and `U` that returns
# the loss, `grad_v_c` and `grad_U`. Call it, and nothing else, for the predictions.
#
# ```text
#   skip-gram: the center predicts           CBOW: the outside words, averaged,
#   each outside word                        predict the center
#
#              ┌──► u_o                        v_o ──┐
#      v_c  ───┼──► u_o                        v_o ──┼──► v_hat ──► u_c
#              └──► u_o                        v_o ──┘
# ```
#
# **Skip-gram.** The loss of a window is the sum over its outside words:
#
# $$J_{\mathrm{sg}}(c, \mathrm{outside}) = \sum_{o \in \mathrm{outside}} J(v_c, o, U)$$
#
# One input vector takes part, $v_c$, so one row of `grad_V` is not zero; all predictions add to it.
#
# **Write `skipgram_loss_and_gradients(center, outside, V, U, loss_and_gradients)`.** `center` is an
# index, `outside` a list of one or more indices, which may repeat. Return the loss, `grad_V` and
# `grad_U`, both $(\lvert V\rvert, d)$. Leave `V` and `U` as they are.


# %% nbgrader={"grade": false, "grade_id": "skipgram", "locked": false, "schema_version": 3, "solution": true, "task": false}
def skipgram_loss_and_gradients(center, outside, V, U, loss_and_gradients):
    """Return loss, grad_V (|V|, d) and grad_U (|V|, d) of one window, summed over `outside`."""
    ### BEGIN SOLUTION
    loss, grad_V, grad_U = 0.0, np.zeros_like(V), np.zeros_like(U)
    for o in outside:
        loss_o, grad_v_c, grad_U_o = loss_and_gradients(V[center], o, U)
        loss += loss_o
        grad_V[center] += grad_v_c
        grad_U += grad_U_o
    return loss, grad_V, grad_U
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "skipgram_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def squared_score(v_c, o, U):
    """Another loss: half the square of the score. Its gradients are easy to see."""
    v_c = np.ravel(v_c)
    score = U[o] @ v_c
    grad_U = np.zeros_like(U)
    grad_U[o] = score * v_c
    return 0.5 * score**2, score * U[o], grad_U


# The center is word 1. Its score is 2 with word 0 and 3 with word 2, which stands there twice.
loss, grad_V, grad_U = skipgram_loss_and_gradients(
    1,
    [0, 2, 2],
    np.array([[9.0, 9.0], [1.0, 0.0], [9.0, 9.0]]),
    np.array([[2.0, 1.0], [9.0, 9.0], [3.0, 0.0]]),
    squared_score,
)
assert_close(loss, 11.0, "loss", "2 + 4.5 + 4.5: every outside word adds its loss.")
assert_close(
    grad_V,
    [[0.0, 0.0], [22.0, 2.0], [0.0, 0.0]],
    "grad_V",
    "The one input vector that predicts is the center's; it gets 2 * u_0 + 3 * u_2 + 3 * u_2.",
)
assert_close(
    grad_U,
    [[2.0, 0.0], [0.0, 0.0], [6.0, 0.0]],
    "grad_U",
    "Word 2 is predicted twice, so its row gets 3 + 3 times v_c.",
)

# %% nbgrader={"grade": true, "grade_id": "skipgram_loss_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: the loss, with other windows and another loss function.
### BEGIN HIDDEN TESTS
import math


def handed_loss(v_c, o, U):
    """A loss like no other in the sheet: every score takes part, that of o most."""
    v_c, U = np.asarray(v_c, dtype=float).reshape(-1), np.asarray(U, dtype=float)
    scores = U @ v_c
    slope = 0.1 * scores
    slope[o] += scores[o] - 1
    return (scores[o] - 1) ** 2 / 2 + scores @ scores / 20, U.T @ slope, np.outer(slope, v_c)


rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, d, places, dtype in [
    (7, 3, [0, 1, 2, 3], "float64"),
    (5, 4, [0, 0, 0, 1, 2, 2], "float32"),
    (6, 2, [0], "float64"),
    (1, 2, [0, 0, 0], "float64"),
]:
    V, U = rng.normal(size=(2, size, d)).astype(dtype)
    center, n = int(rng.integers(size)), len(places)
    outside = rng.permutation(rng.permutation(size)[places]).tolist()
    scores = (U.astype(float) @ V[center].astype(float)).tolist()
    expected = sum((scores[o] - 1) ** 2 / 2 + sum(s * s for s in scores) / 20 for o in outside)
    result = list(skipgram_loss_and_gradients(center, outside[:], V.copy(), U.copy(), handed_loss))
    assert_close(result[0], expected, "loss")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "skipgram_grad_V_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden: the gradient with respect to V.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, d, places, dtype in [
    (7, 3, [0, 1, 2, 3], "float64"),
    (5, 4, [0, 0, 0, 1, 2, 2], "float32"),
    (6, 2, [0], "float64"),
    (1, 2, [0, 0, 0], "float64"),
]:
    V, U = rng.normal(size=(2, size, d)).astype(dtype)
    center, n = int(rng.integers(size)), len(places)
    outside = rng.permutation(rng.permutation(size)[places]).tolist()
    v = torch.tensor(V, dtype=torch.float64, requires_grad=True)
    scores = torch.tensor(U, dtype=torch.float64) @ v[center]
    (((scores[outside] - 1) ** 2).sum() / 2 + n * (scores**2).sum() / 20).backward()
    result = list(skipgram_loss_and_gradients(center, outside[:], V.copy(), U.copy(), handed_loss))
    assert_close(result[1], v.grad.numpy(), "grad_V")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "skipgram_grad_U_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden: the gradient with respect to U.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, d, places, dtype in [
    (7, 3, [0, 1, 2, 3], "float64"),
    (5, 4, [0, 0, 0, 1, 2, 2], "float32"),
    (6, 2, [0], "float64"),
    (1, 2, [0, 0, 0], "float64"),
]:
    V, U = rng.normal(size=(2, size, d)).astype(dtype)
    center, n = int(rng.integers(size)), len(places)
    outside = rng.permutation(rng.permutation(size)[places]).tolist()
    u = torch.tensor(U, dtype=torch.float64, requires_grad=True)
    scores = u @ torch.tensor(V[center], dtype=torch.float64)
    (((scores[outside] - 1) ** 2).sum() / 2 + n * (scores**2).sum() / 20).backward()
    result = list(skipgram_loss_and_gradients(center, outside[:], V.copy(), U.copy(), handed_loss))
    assert_close(result[2], u.grad.numpy(), "grad_U")
### END HIDDEN TESTS

# %% [markdown]
# **CBOW** (continuous bag of words) turns the window around: the words outside predict the one in
# the middle. Their input vectors are averaged and the mean takes the place of $v_c$:
#
# $$\hat v = \frac{1}{n}\sum_{w \in \mathrm{outside}} v_w, \qquad
#   J_{\mathrm{cbow}}(c, \mathrm{outside}) = J(\hat v, c, U)$$
#
# $n$ is the number of words that are in the window, $2m$ in the middle of a text and fewer at its
# edges. A word that stands there twice is averaged in twice. For the gradient, ask how much
# $\hat v$ moves when one $v_w$ moves by a little.
#
# **Write `cbow_loss_and_gradients(center, outside, V, U, loss_and_gradients)`**, with the arguments
# and the results of skip-gram. Here the first argument of `loss_and_gradients`, still named `v_c`,
# is $\hat v$, and its second, `o`, is the predicted word: the center.


# %% nbgrader={"grade": false, "grade_id": "cbow", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cbow_loss_and_gradients(center, outside, V, U, loss_and_gradients):
    """Return loss, grad_V (|V|, d) and grad_U (|V|, d) for predicting `center` from `outside`."""
    ### BEGIN SOLUTION
    v_hat = np.mean(V[outside], axis=0)
    loss, grad_v_hat, grad_U = loss_and_gradients(v_hat, center, U)
    grad_V = np.zeros_like(V)
    # Each occurrence of a word holds 1/n of the mean and gets 1/n of its gradient.
    for w in outside:
        grad_V[w] += grad_v_hat / len(outside)
    return loss, grad_V, grad_U
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "cbow_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# v_hat is ([4, 0] + [1, 3] + [1, 3]) / 3 = [2, 2]; its score with word 0 is 1 * 2 + 2 * 2 = 6.
loss, grad_V, grad_U = cbow_loss_and_gradients(
    0,
    [1, 2, 2],
    np.array([[9.0, 9.0], [4.0, 0.0], [1.0, 3.0]]),
    np.array([[1.0, 2.0], [9.0, 9.0], [9.0, 9.0]]),
    squared_score,
)
assert_close(loss, 18.0, "loss", "Predict the center from the mean of the three vectors: [2, 2].")
assert_close(
    grad_V,
    [[0.0, 0.0], [2.0, 4.0], [4.0, 8.0]],
    "grad_V",
    "The gradient at v_hat is [6, 12]; each of the three words holds a third of v_hat.",
)
assert_close(
    grad_U, [[12.0, 12.0], [0.0, 0.0], [0.0, 0.0]], "grad_U", "The predicted word is the center."
)

# %% nbgrader={"grade": true, "grade_id": "cbow_loss_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden: the loss, with other windows and another loss function.
### BEGIN HIDDEN TESTS
import math


def handed_loss(v_c, o, U):
    """A loss like no other in the sheet: every score takes part, that of o most."""
    v_c, U = np.asarray(v_c, dtype=float).reshape(-1), np.asarray(U, dtype=float)
    scores = U @ v_c
    slope = 0.1 * scores
    slope[o] += scores[o] - 1
    return (scores[o] - 1) ** 2 / 2 + scores @ scores / 20, U.T @ slope, np.outer(slope, v_c)


rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, d, places, dtype in [
    (7, 3, [0, 1, 2, 3], "float64"),
    (5, 4, [0, 0, 0, 1, 2, 2], "float32"),
    (6, 2, [0], "float64"),
    (1, 2, [0, 0, 0], "float64"),
]:
    V, U = rng.normal(size=(2, size, d)).astype(dtype)
    center, n = int(rng.integers(size)), len(places)
    outside = rng.permutation(rng.permutation(size)[places]).tolist()
    mean = [sum(float(V[w][i]) for w in outside) / n for i in range(d)]
    scores = [math.fsum(row) for row in (U.astype(float) * mean).tolist()]
    expected = (scores[center] - 1) ** 2 / 2 + sum(s * s for s in scores) / 20
    result = list(cbow_loss_and_gradients(center, outside[:], V.copy(), U.copy(), handed_loss))
    assert_close(result[0], expected, "loss")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "cbow_grad_V_hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Hidden: the gradient with respect to V; different words, repeated words, fewer and more words.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, d, places, dtype in [
    (7, 3, [0, 1, 2, 3], "float64"),
    (5, 4, [0, 0, 0, 1, 2, 2], "float32"),
    (6, 2, [0], "float64"),
    (1, 2, [0, 0, 0], "float64"),
]:
    V, U = rng.normal(size=(2, size, d)).astype(dtype)
    center, n = int(rng.integers(size)), len(places)
    outside = rng.permutation(rng.permutation(size)[places]).tolist()
    v = torch.tensor(V, dtype=torch.float64, requires_grad=True)
    scores = torch.tensor(U, dtype=torch.float64) @ (sum(v[w] for w in outside) / n)
    ((scores[center] - 1) ** 2 / 2 + (scores**2).sum() / 20).backward()
    result = list(cbow_loss_and_gradients(center, outside[:], V.copy(), U.copy(), handed_loss))
    assert_close(result[1], v.grad.numpy(), "grad_V")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "cbow_grad_U_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden: the gradient with respect to U.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, d, places, dtype in [
    (7, 3, [0, 1, 2, 3], "float64"),
    (5, 4, [0, 0, 0, 1, 2, 2], "float32"),
    (6, 2, [0], "float64"),
    (1, 2, [0, 0, 0], "float64"),
]:
    V, U = rng.normal(size=(2, size, d)).astype(dtype)
    center, n = int(rng.integers(size)), len(places)
    outside = rng.permutation(rng.permutation(size)[places]).tolist()
    u = torch.tensor(U, dtype=torch.float64, requires_grad=True)
    scores = u @ torch.tensor(V[outside].astype(float).mean(axis=0))
    ((scores[center] - 1) ** 2 / 2 + (scores**2).sum() / 20).backward()
    result = list(cbow_loss_and_gradients(center, outside[:], V.copy(), U.copy(), handed_loss))
    assert_close(result[2], u.grad.numpy(), "grad_U")
### END HIDDEN TESTS

# %% [markdown]
# ## 7. One step of gradient descent
#
# The gradient points uphill. A step of length $\alpha$ against it makes the loss smaller, if
# $\alpha$ is small enough:
#
# $$\theta^{\mathrm{new}} = \theta - \alpha\, \nabla_\theta J(\theta)$$
#
# Computed on one window at a time in place of the whole text, it is *stochastic* gradient descent:
# noisy steps, but $T$ of them for the price of one (lecture 02 measures that).
#
# **Write `sgd_step(loss_and_gradient, theta, alpha)`.** `loss_and_gradient(theta)` returns the loss
# and the gradient, which has the shape of `theta` (any shape). Return the new parameters. **`theta`
# itself must not change**: who calls you may want to compare the old with the new.


# %% nbgrader={"grade": false, "grade_id": "sgd_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def sgd_step(loss_and_gradient, theta, alpha):
    """Return `theta` after one step of gradient descent; the array `theta` keeps its values."""
    ### BEGIN SOLUTION
    _, gradient = loss_and_gradient(theta)
    return theta - alpha * gradient
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "sgd_step_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def bowl(theta):
    """J = theta_0**2 + 2 * theta_1**2."""
    return theta[0] ** 2 + 2 * theta[1] ** 2, np.array([2.0, 4.0]) * theta


# Calls sgd_step with copies of the arguments; gives its result, and the copies as it left them.
from autograder.testing import call_and_arguments

new, (_, old, _) = call_and_arguments(sgd_step, bowl, np.array([3.0, -1.0]), 0.1)
assert_close(
    new,
    [2.4, -0.6],
    "theta after one step",
    "The gradient there is [6, -4]; a tenth of it is taken away.",
)
assert_close(old, [3.0, -1.0], "the old theta", "It must keep its values: return a new array.")

# %% nbgrader={"grade": true, "grade_id": "sgd_step_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: other functions, shapes and step lengths.
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(np.random.randint(2**31 - 1))
for shape, dtype in [
    ((4,), "float64"),
    ((3, 2), "float64"),
    ((1,), "float32"),
    ((2, 3, 2), "float32"),
]:
    theta = rng.normal(size=shape).astype(dtype)
    target = rng.normal(size=shape)
    alpha = float(rng.uniform(0.05, 0.4))

    def distance(theta, target=target):
        """A quarter of the fourth power of the distance from `target`."""
        gap = np.asarray(theta, dtype=float) - target
        # In theta's own type: torch's optimizers take no gradient of another.
        return np.sum(gap**4) / 4, (gap**3).astype(np.asarray(theta).dtype)

    expected = theta.astype(float) - alpha * (theta.astype(float) - target) ** 3
    assert_close(sgd_step(distance, theta.copy(), alpha), expected, "theta")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "sgd_step_unchanged_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: the old parameters keep their values.
### BEGIN HIDDEN TESTS
from autograder.testing import call_and_arguments

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for shape in [(4,), (3, 2)]:
    theta = rng.normal(size=shape)
    slope = rng.normal(size=shape)
    alpha = float(rng.uniform(0.05, 0.4))

    def plane(theta, slope=slope):
        """The same gradient everywhere."""
        return float(np.sum(slope * np.asarray(theta))), slope.copy()

    after, arguments = call_and_arguments(sgd_step, plane, theta, alpha)
    assert_close(arguments[1], theta, "the old theta")
    # Its size and sign were judged above; here it must be a step at all, along the gradient.
    step = np.asarray(after.detach() if hasattr(after, "detach") else after, dtype=float) - theta
    assert np.abs(step).max() > 1e-3
    along = abs(np.sum(step * slope)) / np.sqrt(np.sum(step**2) * np.sum(slope**2))
    assert_close(along, 1.0, "direction")
### END HIDDEN TESTS

# %% [markdown]
# ### The ritual, on your code
#
# Now all pieces are there. If a line below fails, it tells you where to look, before a long
# training would fail in a less helpful way. These cells carry no points.

# %% nbgrader={"grade": false, "grade_id": "ritual_first_loss", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["skip-execution"]
rng = np.random.default_rng(0)
V, U = rng.normal(scale=0.01, size=(2, 1000, 20))
loss, _, _ = skipgram_loss_and_gradients(3, [1, 4, 1, 5], V, U, naive_softmax_loss_and_gradients)
per_word = np.sum(loss) / 4
print(f"first loss per outside word {per_word:.2f}, log |V| {np.log(1000):.2f}")
assert abs(per_word - np.log(1000)) < 0.05, (
    "a model that knows nothing should lose log |V| per word"
)


# %% nbgrader={"grade": false, "grade_id": "ritual_gradients", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["skip-execution"]
def with_negatives(v_c, o, U):
    """Negative sampling with a fixed draw, one word of it repeated."""
    return negative_sampling_loss_and_gradients(v_c, o, U, [0, 3, 0])


def check_gradients(model, outside, loss_and_gradients):
    """Compare both gradients of one window with central differences."""
    theta = np.random.default_rng(0).normal(size=(2, 5, 3))  # V and U in one array
    numerical = central_difference(
        lambda theta: model(2, outside, *theta, loss_and_gradients)[0], theta
    )
    _, grad_V, grad_U = model(2, outside, *theta, loss_and_gradients)
    name = f"{model.__name__} on {loss_and_gradients.__name__}"
    assert_close(grad_V, numerical[0], f"grad_V of {name}", "Compare it with central differences.")
    assert_close(grad_U, numerical[1], f"grad_U of {name}", "Compare it with central differences.")
    print(f"{name}: passes")


for loss_and_gradients in [naive_softmax_loss_and_gradients, with_negatives]:
    check_gradients(skipgram_loss_and_gradients, [1, 4, 1], loss_and_gradients)
    check_gradients(cbow_loss_and_gradients, [1, 3, 1], loss_and_gradients)

# %% nbgrader={"grade": false, "grade_id": "ritual_overfit", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["skip-execution"]
windows = context_windows([0, 1, 2, 3, 4, 5], 2)


def batch_loss_and_gradient(theta):
    """Mean CBOW loss of the six windows, and its gradient; theta holds V and U."""
    results = [
        cbow_loss_and_gradients(center, list(outside), *theta, naive_softmax_loss_and_gradients)
        for center, outside in windows
    ]
    gradient = np.mean([np.stack([grad_V, grad_U]) for _, grad_V, grad_U in results], axis=0)
    return np.mean([np.sum(loss) for loss, _, _ in results]), gradient


theta = np.random.default_rng(0).normal(scale=0.1, size=(2, 6, 8))
first, _ = batch_loss_and_gradient(theta)
for _ in range(400):
    theta = sgd_step(batch_loss_and_gradient, theta, 1.0)
last, _ = batch_loss_and_gradient(theta)
print(f"six windows: loss {first:.2f} before, {last:.2f} after 400 steps")
assert last < 0.1, "six windows with six different centers can be learned by heart"

# %% [markdown]
# ## 8. Nearest neighbors
#
# How near are two words? The scalar product is large if one of the vectors is long, and some are
# long for reasons that have little to do with meaning: the training below shows a word that would
# be "near" hundreds of others. The cosine looks at the direction alone:
#
# $$\cos(a, b) = \frac{a^\top b}{\lVert a\rVert\, \lVert b\rVert}$$
#
# **Write `nearest_neighbors(w, vectors, k)`.** `w` is the index of a word, `vectors` is
# $(\lvert V\rvert, d)$ with no zero row, and $1 \le k \le \lvert V\rvert - 1$. Return the indices
# of the `k` words whose vectors have the largest cosine with that of `w`, the most similar first.
# The word `w` itself is left out.


# %% nbgrader={"grade": false, "grade_id": "nearest_neighbors", "locked": false, "schema_version": 3, "solution": true, "task": false}
def nearest_neighbors(w, vectors, k):
    """Return the k indices nearest to word w by cosine, most similar first, without w."""
    ### BEGIN SOLUTION
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    order = np.argsort(-(unit @ unit[w]))
    return [int(i) for i in order if i != w][:k]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "nearest_neighbors_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
vectors = np.array([[1.0, 1.0], [-1.0, 0.0], [0.2, 0.1], [-1.0, 1.0], [5.0, -1.0]])
neighbors = [int(i) for i in nearest_neighbors(0, vectors, 3)]
assert len(neighbors) == 3, f"3 neighbors were asked for; there are {len(neighbors)}"
assert 0 not in neighbors, "word 0 is not its own neighbor"
assert neighbors[0] == 2, (
    f"word 2 is nearest: short, but in almost the same direction; you have {neighbors[0]}"
)
assert neighbors == [2, 4, 3], (
    f"the cosines with word 0 are 1, -0.71, 0.95, 0, 0.55; you have {neighbors}"
)

# %% nbgrader={"grade": true, "grade_id": "nearest_neighbors_hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Hidden: other vocabularies, vectors of very different lengths, all the words, float64 and float32.
### BEGIN HIDDEN TESTS
import math

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, d, k, dtype in [
    (20, 4, 12, "float64"),
    (9, 3, 8, "float64"),
    (15, 6, 4, "float32"),
    (2, 3, 1, "float64"),
]:
    vectors = rng.normal(size=(size, d)) * np.exp(rng.normal(scale=1.5, size=(size, 1)))
    vectors = vectors.astype(dtype)
    w = int(rng.integers(size))
    rows = vectors.astype(float)
    cosine = [float(row @ rows[w]) / math.hypot(*row) / math.hypot(*rows[w]) for row in rows]
    result = [int(i) for i in np.asarray(nearest_neighbors(w, vectors.copy(), k)).ravel()]
    assert len(result) == len(set(result)) == k
    assert w not in result
    # By similarity, not by index: two words may be equally near, up to rounding.
    best = sorted((cosine[i] for i in range(size) if i != w), reverse=True)[:k]
    assert_close([cosine[i] for i in result], best, "cosines")
### END HIDDEN TESTS

# %% [markdown]
# ### On real text
#
# Your pieces now meet 106 articles of Wikipedia: `skipgram_pairs` makes about two million pairs,
# `sigmoid` is the model, `nearest_neighbors` reads the result. What is given is speed. Instead of
# one pair after another, `train` takes 1024 pairs at once, each with 5 negatives drawn in
# proportion to $\mathrm{count}^{3/4}$. Its gradients are those of question 4; compare them line by
# line. (Very frequent words such as *the* are thinned out first, as in the paper.)


# %% nbgrader={"grade": false, "grade_id": "trainer", "locked": true, "schema_version": 3, "solution": false, "task": false}
def scatter_add(size, rows, updates):
    """Return an array (size, d) with updates[i] added to row rows[i]; repeated rows add up."""
    from scipy.sparse import csr_matrix

    ones = np.ones(len(rows), dtype=updates.dtype)
    return csr_matrix((ones, (rows, np.arange(len(rows)))), shape=(size, len(rows))) @ updates


def train(pairs, counts, d=50, K=5, alpha=0.1, epochs=4, batch=1024, seed=0):
    """Return V (|V|, d), trained by skip-gram with negative sampling.

    `pairs` is (N, 2), center and outside; `counts` (|V|,) says how often each word occurs.
    """
    rng = np.random.default_rng(seed)
    size = len(counts)
    V = rng.normal(scale=0.5 / np.sqrt(d), size=(size, d)).astype(np.float32)
    U = np.zeros((size, d), dtype=np.float32)
    noise = np.cumsum(counts**0.75 / np.sum(counts**0.75))
    steps = epochs * (len(pairs) // batch)
    for step in range(steps):
        center, o = pairs[rng.integers(len(pairs), size=batch)].T
        negatives = np.searchsorted(noise, rng.random((batch, K)))
        words = np.column_stack([o, np.minimum(negatives, size - 1)])  # (batch, 1 + K)
        scores = np.einsum("bd,bkd->bk", V[center], U[words])
        delta = np.asarray(sigmoid(scores), dtype=np.float32)  # your sigmoid
        delta[:, 0] -= 1
        grad_v = np.einsum("bk,bkd->bd", delta, U[words])
        grad_u = (delta[:, :, None] * V[center][:, None, :]).reshape(-1, d)
        rate = alpha * (1 - step / steps)
        V -= rate * scatter_add(size, center, grad_v)
        U -= rate * scatter_add(size, words.ravel(), grad_u)
    return V


# %% nbgrader={"grade": false, "grade_id": "train_on_wikipedia", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["skip-execution", "nbval-skip"]
from collections import Counter

from lectures import corpora

articles = corpora.wikipedia()
frequent = [(w, n) for w, n in Counter(w for a in articles for w in a).most_common() if n >= 20]
vocabulary = [word for word, _ in frequent]
counts = np.array([count for _, count in frequent], dtype=float)
index = {word: i for i, word in enumerate(vocabulary)}

rng = np.random.default_rng(0)
keep = np.minimum(1, np.sqrt(1e-3 / (counts / counts.sum())))  # thin out frequent words
pairs = []
for article in articles:
    tokens = [index[word] for word in article if word in index]
    tokens = [w for w, dice in zip(tokens, rng.random(len(tokens)), strict=True) if dice < keep[w]]
    pairs.append(np.array(list(skipgram_pairs(tokens, 4)), dtype=np.int32))  # your pairs
pairs = np.concatenate(pairs)
print(f"{len(vocabulary)} words, {len(pairs)} pairs")

vectors = train(pairs, counts)
for word in [
    "river",
    "music",
    "language",
    "science",
    "army",
    "france",
    "church",
    "food",
    "animals",
]:
    nearest = nearest_neighbors(index[word], vectors, 6)  # your neighbors
    print(f"{word:>10}: " + ", ".join(vocabulary[i] for i in nearest))

products = vectors @ vectors.T - 1e9 * np.eye(len(vectors), dtype=np.float32)
hits = np.bincount(np.argpartition(-products, 6, axis=1)[:, :6].ravel())
loudest = hits.argmax()
print(f"by scalar product, {vocabulary[loudest]!r} is a neighbor of {hits[loudest]} words")

# %% [markdown]
# Ten minutes of play: change the words in the last loop. Some neighbors surprise until you know the
# text. Near *animals* you may meet a name from George Orwell, since one of the 106 articles is
# about his *Animal Farm*. A word vector holds what was said about a word **in this text**, no more.
#
# The last line is why you compare directions. When we ran it, the loudest word was *cdp*, a
# "census-designated place": it stands in a single article, 55 times in a list of Alaska's towns, and
# its long vector would make it a neighbor of every fourth word.

# %% [markdown]
# ## 9. A written answer
#
# In the trainer above, `V` starts at random and `U` at zero. A classmate starts **both** at zero
# and reports that the loss of question 4, with $K = 5$ negatives, "stays at 4.16 for each pair,
# whatever the learning rate".

# %% [markdown] nbgrader={"grade": false, "grade_id": "written", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": true}
# **In three to six sentences**: (a) Where does 4.16 come from? (b) What are `grad_v_c` and `grad_U`
# there, and why does no learning rate help, on one pair or on the whole text? (c) With `V` at
# random and `U` at zero it does learn. Which of the two gradients is not zero at the first step
# then, and what gets the other one going?
#
# ### BEGIN MARK SCHEME
# Three points, one for each letter:
#
# - (a) All scores are 0 and every sigmoid is 1/2, so each of the six terms is log 2: 6 log 2 =
#   4.16. Half a point for "sigmoid(0) is 1/2" without the six terms.
# - (b) Both are zero, with the reason: grad_v_c is a combination of rows of U, each row of grad_U
#   is a multiple of v_c, and U and v_c are zero; so it is for every pair, and a step is zero times
#   the learning rate. "It is a saddle" or "a stationary point" without that reason: half.
# - (c) grad_U is not zero: its rows are (sigmoid - 1) v_c and sigmoid v_c, and v_c is not zero.
#   Once U has moved, grad_v_c, which is made of rows of U, is not zero either. Half for the first
#   sentence.
#
# Take nothing off for language, length or other symbols. An answer about the naive softmax, right
# in itself, gets the points of (b) and (c).
#
# A full answer: (a) $u^\top v_c = 0$ for all words, $\sigma(0) = 1/2$, and one positive and five
# negatives lose $\log 2$ each: $6 \log 2 = 4.16$. (b) $-u_o/2 + \sum_k u_{w_k}/2 = 0$ since $U$ is
# zero, and the rows $-v_c/2$, $v_c/2$ of `grad_U` are zero since $v_c$ is. No pair pulls anywhere,
# so their sum does not either. (c) Now the rows $\pm v_c/2$ are not zero and $U$ moves first; from
# the second step on $U$ is not zero, `grad_v_c` is not either, and $V$ moves too.
# ### END MARK SCHEME

# %% [markdown]
# *Write your answer here, in place of this line.*
