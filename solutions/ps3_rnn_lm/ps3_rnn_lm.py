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
# # Problem set 3: a recurrent language model
#
# A window of words forgets what lies outside it. In this sheet you build the model that does not
# have a window: a recurrent neural network (RNN) that reads a text character by character and keeps
# what it needs in a state (Elman 1990). You write each piece in NumPy, without autograd: forward
# and backward through time, clipping, Adam, sampling. At the end your pieces read psalms for some
# seconds and write verse of their own.
#
# **What you need.** Lectures 06 (`rnn_lm`) and 07 (`vanishing_gradients`): the sheet uses their
# symbols and leans on their derivations. Adam is in lecture 02; top-k and nucleus sampling are
# explained here.
# **Time.** About five hours. No function needs more than ten lines.
#
# | | question | points |
# |---|---|---|
# | 1 | one step of the cell | 4 |
# | 2 | forward over time | 5 |
# | 3 | the loss | 3 |
# | 4 | bits per character | 3 |
# | 5 | BPTT: from the loss to the scores | 3 |
# | 6 | BPTT: from step to step | 7 |
# | 7 | BPTT: the gradients of the weights | 9 |
# | 8 | the norm of a gradient by lag | 4 |
# | 9 | clipping by norm | 6 |
# | 10 | Adam: the two averages | 3 |
# | 11 | Adam: the step | 4 |
# | 12 | temperature | 3 |
# | 13 | top-k | 4 |
# | 14 | nucleus | 4 |
# | 15 | writing | 5 |
# | 16 | a written answer | 3 |
#
# **How it is graded.** Below each function stands a check that you can run and read. After you hand
# in, hidden tests call the same function with other sizes, seeds and edge cases, each part of a
# question on its own: a wrong gradient of $W_h$ does not cost you a right one of $U$. A mistake
# counts once: what a question needs from an earlier one it gets as an argument. Arrays are NumPy's,
# float64 or float32; several results come back as a tuple, in the order of the statement. Your
# functions may print, loop, and call helpers that you write in cells of your own, above the check
# that needs them; they must not read variables of the notebook that they are not given. Whether
# they change their arguments is up to you, except in question 9: the tests hand you copies. Keep
# the names of the parameters: other cells may call your functions by them.

# %% [markdown]
# ## Symbols
#
# | symbol | code | shape | meaning |
# |---|---|---|---|
# | $\lvert V\rvert$, $d$, $H$ | | | characters; length of an input vector; of the state. Each at least 1 |
# | $T$, $B$ | | | steps; texts read side by side. Each at least 1 |
# | $x_t$, $x$ | `x_t`, `x` | $(B,)$, $(T, B)$ | characters that are read; a character is an index |
# | $y$ | `y` | $(T, B)$ | characters to be predicted: row $t$ of `y` comes right after row $t$ of `x` |
# | $E$ | `theta["E"]` | $(\lvert V\rvert, d)$ | input vectors, one a row |
# | $W_e$, $W_h$ | `theta["W_e"]`, `theta["W_h"]` | $(H, d)$, $(H, H)$ | weights from input and from state |
# | $b_1$ | `theta["b_1"]` | $(H,)$ | their bias |
# | $U$, $b_2$ | `theta["U"]`, `theta["b_2"]` | $(\lvert V\rvert, H)$, $(\lvert V\rvert,)$ | output vectors, one a row; bias |
# | $\theta$ | `theta` | | a dictionary with the six arrays |
# | $h_t$ | `h` | $(T+1, B, H)$ | the states, $h_0$ first: `h[t]` was made from `x[t - 1]` |
# | $z_t$, $\hat y_t$ | `z`, `y_hat` | $(T, B, \lvert V\rvert)$ | scores and prediction: `z[t]` is made from `h[t + 1]` |
# | $J$ | | | loss: the mean over all $T \cdot B$ characters, in nats |
# | $\partial J/\partial z$ | `grad_z` | $(T, B, \lvert V\rvert)$ | gradient of the scores |
# | $\delta_t$ | `delta` | $(T, B, H)$ | $\partial J/\partial a_t$, with $h_t = \tanh(a_t)$: `delta[t]` belongs to `h[t + 1]` |
#
# Several texts are read side by side, one a row, as in section 6 of lecture 06: a state is a matrix
# $(B, H)$, and $W_h h$ becomes $h\,W_h^\top$. A gradient has the shape of what it is the gradient
# of.
#
# The next cell is given, like every cell that you cannot edit: `assert_close`, with which the
# checks compare, `random_theta`, which makes a small network, and `central_difference`.

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import copy

import numpy as np
from scipy.special import softmax as library_softmax


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


def random_theta(rng, size, d, H, dtype="float64"):
    """Return a random network with `size` characters."""
    shapes = {"E": (size, d), "W_e": (H, d), "W_h": (H, H), "b_1": H, "U": (size, H), "b_2": size}
    return {name: rng.normal(0, 0.7, shape).astype(dtype) for name, shape in shapes.items()}


def central_difference(f, part, step=1e-5):
    """Return the gradient of the number f(part), one entry at a time: slow, and hard to fool."""
    gradient = np.zeros_like(part)
    for i in np.ndindex(part.shape):
        shift = np.zeros_like(part)
        shift[i] = step
        gradient[i] = (np.sum(f(part + shift)) - np.sum(f(part - shift))) / (2 * step)
    return gradient


# %% [markdown]
# ## The ritual
#
# The three questions of every sheet, before any long training:
#
# 1. **Is the first loss near $\log\lvert V\rvert$?** A model that knows nothing gives every
#    character the probability $1/\lvert V\rvert$.
# 2. **Do the gradients pass central differences?** Every one of the six arrays. A gradient through
#    time that is cut or bent somewhere still points downhill; training works, a little, and nobody
#    gets an error.
# 3. **Can it learn one batch by heart?** Here this also asks whether the state is at work: from one
#    character alone the batch cannot be known by heart.
#
# They run on your own code after question 11.

# %% [markdown]
# ## 1. One step of the cell
#
# The state is updated at each step by the same rule, with the same weights:
#
# $$e_t = E^\top x_t, \qquad a_t = W_h h_{t-1} + W_e e_t + b_1, \qquad h_t = \tanh(a_t)$$
#
# With $x_t$ an index, $e_t$ is a row of $E$. With $B$ texts side by side the states are the rows of
# a matrix:
#
# $$a_t = h_{t-1}\,W_h^\top + e_t\,W_e^\top + b_1, \qquad
#   (B, H) = (B, H)(H, H) + (B, d)(d, H) + (H,)$$
#
# ```text
#   h_prev ──► W_h ──┐
#                    ├──(+)──► tanh ──► h_t
#   E[x_t] ──► W_e ──┤
#              b_1 ──┘
# ```
#
# **Write `cell_step(theta, x_t, h_prev)`.** `x_t` $(B,)$ holds indices, `h_prev` is $(B, H)$.
# Return $h_t$ $(B, H)$. Where $a_t$ is very large, such as $\pm 1000$, $h_t$ is $\pm 1$, not `nan`.


# %% nbgrader={"grade": false, "grade_id": "cell_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cell_step(theta, x_t, h_prev):
    """Return the states (B, H) after reading the characters x_t (B,) in the states h_prev."""
    ### BEGIN SOLUTION
    e_t = theta["E"][x_t]
    return np.tanh(h_prev @ theta["W_h"].T + e_t @ theta["W_e"].T + theta["b_1"])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "cell_step_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Two texts, two characters, d = 1, H = 2. The first text reads character 1, the second 0.
toy = {
    "E": np.array([[1.0], [2.0]]),
    "W_e": np.array([[0.5], [-0.5]]),
    "W_h": np.array([[0.0, 1.0], [0.5, 0.0]]),
    "b_1": np.array([0.1, 0.2]),
    "U": np.array([[1.0, 0.0], [0.0, 2.0]]),
    "b_2": np.array([0.0, -1.0]),
}
h_t = cell_step(copy.deepcopy(toy), np.array([1, 0]), np.array([[0.2, 0.4], [0.0, 0.0]]))
assert_close(
    np.asarray(h_t)[1],
    np.tanh([0.6, -0.3]),
    "the state of the second text",
    "It was 0, so W_h plays no part: a is 0.5 * 1 + 0.1 and -0.5 * 1 + 0.2.",
)
assert_close(
    h_t,
    np.tanh([[1.5, -0.7], [0.6, -0.3]]),
    "h_t",
    "In the first text the old state adds 0.4 (row 0 of W_h times h) and 0.1 (row 1) to a.",
)

# %% nbgrader={"grade": true, "grade_id": "cell_step_values_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden: other sizes; one text, one character, a state of one number; float64 and float32.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, d, H, B, dtype in [
    (6, 3, 4, 5, "float64"),
    (4, 4, 4, 4, "float32"),
    (5, 2, 3, 1, "float64"),
    (1, 2, 3, 2, "float64"),
    (3, 1, 1, 4, "float64"),
]:
    theta = random_theta(rng, size, d, H, dtype)
    x_t = rng.integers(size, size=B)
    h_prev = rng.uniform(-1, 1, size=(B, H)).astype(dtype)
    cell = torch.nn.RNNCell(d, H, dtype=torch.float64)
    with torch.no_grad():
        for name, part in [("weight_ih", "W_e"), ("weight_hh", "W_h"), ("bias_ih", "b_1")]:
            getattr(cell, name).copy_(torch.tensor(theta[part]))
        cell.bias_hh.zero_()
        e_t = torch.tensor(theta["E"].astype(float))[x_t]
        expected = cell(e_t, torch.tensor(h_prev.astype(float))).numpy()
    assert_close(cell_step(copy.deepcopy(theta), x_t.copy(), h_prev.copy()), expected, "h_t")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "cell_step_large_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: very large and very small a_t.
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, H, dtype in [(3, 4, "float64"), (2, 6, "float32")]:
    theta = random_theta(rng, size, 2, H, dtype)
    signs = rng.choice([-1, 1], size=H)
    signs[:2] = [1, -1]
    theta["b_1"] = (signs * rng.uniform(800, 3000, size=H)).astype(dtype)
    x_t, h_prev = rng.integers(size, size=3), rng.uniform(-1, 1, size=(3, H)).astype(dtype)
    h_t = cell_step(copy.deepcopy(theta), x_t, h_prev)
    assert_close(h_t, np.tile(signs, (3, 1)), "h_t")
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Forward over time
#
# The cell reads the text, and after each character the model says what may come next:
#
# $$h_t = \mathrm{step}(\theta, x_t, h_{t-1}), \qquad z_t = h_t\,U^\top + b_2, \qquad
#   \hat y_t = \mathrm{softmax}(z_t)$$
#
# ```text
#              z_1         z_2         z_3
#               ▲           ▲           ▲
#   h_0 ──► h_1 ──► h_2 ──► h_3        the same step, the same weights, each time
#               ▲           ▲           ▲
#              x_1         x_2         x_3
# ```
#
# The step comes as an argument: yours from question 1, or another one, a function with the
# parameters `theta`, `x_t` and `h_prev` that returns the next state. Call it for every character.
#
# **Write `forward(theta, x, h_0, step)`.** `x` is $(T, B)$, `h_0` is $(B, H)$. Return `h`
# $(T+1, B, H)$, whose first entry is $h_0$, and the scores `z` $(T, B, \lvert V\rvert)$. Entry $t$
# of `z` is made from the state **after** entry $t$ of `x` was read: `z[0]` from `h[1]`.


# %% nbgrader={"grade": false, "grade_id": "forward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def forward(theta, x, h_0, step):
    """Return all states (T + 1, B, H), h_0 first, and the scores (T, B, |V|)."""
    ### BEGIN SOLUTION
    h = [h_0]
    for x_t in x:
        h.append(step(theta, x_t, h[-1]))
    h = np.array(h)
    return h, h[1:] @ theta["U"].T + theta["b_2"]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "forward_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def toy_step(theta, x_t, h_prev):
    """Another cell, to be followed in the head: it halves the state and adds the character."""
    return np.asarray(h_prev) / 2 + np.asarray(x_t)[:, None]


# One text of three characters, 1, 0, 2; H = 2. U = [[1, 0], [0, 2]] and b_2 = [0, -1].
h, z = forward(copy.deepcopy(toy), np.array([[1], [0], [2]]), np.array([[4.0, 0.0]]), toy_step)
assert_close(
    np.asarray(h)[:2],
    [[[4.0, 0.0]], [[3.0, 1.0]]],
    "the first two states",
    "h_0 comes first; then half of it, with 1 added.",
)
assert_close(
    h,
    [[[4.0, 0.0]], [[3.0, 1.0]], [[1.5, 0.5]], [[2.75, 2.25]]],
    "h",
    "Each state is made from the one before it.",
)
assert_close(
    z,
    [[[3.0, 1.0]], [[1.5, 0.0]], [[2.75, 3.5]]],
    "z",
    "Row t is U times the state after character t, plus b_2: three rows for three characters.",
)

# %% nbgrader={"grade": true, "grade_id": "forward_h_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden: the states, with other sizes, texts and steps; a text of one character; one text.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, d, H, T, B, dtype in [
    (6, 3, 4, 7, 5, "float64"),
    (4, 4, 4, 4, 4, "float32"),
    (5, 2, 3, 1, 2, "float64"),
    (1, 2, 3, 5, 1, "float64"),
]:
    theta = random_theta(rng, size, d, H, dtype)
    x = rng.integers(size, size=(T, B))
    h_0 = rng.uniform(-1, 1, size=(B, H)).astype(dtype)

    def tanh_step(theta, x_t, h_prev):
        """The step of question 1."""
        e_t = theta["E"][np.asarray(x_t, dtype=int)]
        return np.tanh(np.asarray(h_prev) @ theta["W_h"].T + e_t @ theta["W_e"].T + theta["b_1"])

    rnn = torch.nn.RNN(d, H, dtype=torch.float64)
    with torch.no_grad():
        rnn.weight_ih_l0.copy_(torch.tensor(theta["W_e"]))
        rnn.weight_hh_l0.copy_(torch.tensor(theta["W_h"]))
        rnn.bias_ih_l0.copy_(torch.tensor(theta["b_1"]))
        rnn.bias_hh_l0.zero_()
        e = torch.tensor(theta["E"].astype(float))[x]
        after, _ = rnn(e, torch.tensor(h_0.astype(float))[None])
    expected = np.concatenate([h_0[None].astype(float), after.numpy()])
    result = list(forward(copy.deepcopy(theta), x.copy(), h_0.copy(), tanh_step))
    assert_close(result[0], expected, "h")

# A step that is no RNN's: h_t = a * h_prev + x_t, so h_t is a sum of powers.
a, theta = float(rng.uniform(0.3, 0.9)), random_theta(rng, 5, 1, 2)
x, h_0 = rng.integers(5, size=(6, 2)), rng.normal(size=(2, 2))


def linear_step(theta, x_t, h_prev):
    """Shrink the state and add the character."""
    return a * np.asarray(h_prev) + np.asarray(x_t)[:, None]


expected = [
    a**t * h_0 + sum(a ** (t - i) * x[i - 1][:, None] for i in range(1, t + 1)) for t in range(7)
]
result = list(forward(copy.deepcopy(theta), x.copy(), h_0.copy(), linear_step))
assert_close(result[0], expected, "h")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "forward_z_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden: the scores.
### BEGIN HIDDEN TESTS
import math

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, H, T, B, dtype in [
    (6, 4, 7, 5, "float64"),
    (4, 4, 4, 4, "float32"),
    (5, 3, 1, 2, "float64"),
    (1, 3, 5, 1, "float64"),
]:
    theta = random_theta(rng, size, 2, H, dtype)
    states = rng.uniform(-1, 1, size=(size, H)).astype(dtype)
    x = rng.integers(size, size=(T, B))
    h_0 = rng.uniform(-1, 1, size=(B, H)).astype(dtype)

    def forgetful_step(theta, x_t, h_prev, states=states):
        """A state for each character, whatever was before: what is carried was judged above."""
        return states[np.asarray(x_t, dtype=int)]

    # Exact sums, one number at a time.
    U, b_2 = theta["U"].astype(float), theta["b_2"].astype(float)
    table = [
        [math.fsum([*(u * state), b]) for u, b in zip(U, b_2, strict=True)]
        for state in states.astype(float)
    ]
    result = list(forward(copy.deepcopy(theta), x.copy(), h_0.copy(), forgetful_step))
    assert_close(result[1], [[table[i] for i in row] for row in x], "z")
### END HIDDEN TESTS

# %% [markdown]
# ## 3. The loss
#
# Each step is a classification: cross-entropy between the prediction and the character that came.
# The loss of a batch is the mean over all its characters, in nats:
#
# $$J = -\frac{1}{TB} \sum_{t=1}^{T} \sum_{b=1}^{B} \log \hat y_{t,b,y_{t,b}}, \qquad
#   \log \hat y_w = z_w - \log \sum_{w'} \exp(z_{w'})$$
#
# The second formula, with the largest score taken off first, stays finite where $\hat y_w$ itself
# is rounded to 0.
#
# **Write `mean_loss(z, y)`.** `z` $(T, B, \lvert V\rvert)$ are scores, `y` $(T, B)$ the characters
# that came. Return the number $J$. Scores of any size must work: if the character that came is
# 2000 below the best, its loss is 2000, not infinite.


# %% nbgrader={"grade": false, "grade_id": "mean_loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def mean_loss(z, y):
    """Return the mean cross-entropy, in nats, of the scores z (T, B, |V|) at the targets y."""
    ### BEGIN SOLUTION
    z = z - np.max(z, axis=-1, keepdims=True)
    log_y_hat = z - np.log(np.sum(np.exp(z), axis=-1, keepdims=True))
    return -np.mean(np.take_along_axis(log_y_hat, y[..., None], axis=-1))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "mean_loss_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Two steps, one text, three characters. exp(z) is [4, 2, 2], with sum 8, and [1, 1, 2], with sum 4.
z = np.log(np.array([[[4.0, 2.0, 2.0]], [[1.0, 1.0, 2.0]]]))
assert_close(
    mean_loss(z[:1].copy(), np.array([[0]])),
    np.log(2.0),
    "the loss of the first step",
    "Its y_hat is [1/2, 1/4, 1/4], and character 0 came.",
)
assert_close(
    mean_loss(z.copy(), np.array([[0], [1]])),
    (np.log(2.0) + np.log(4.0)) / 2,
    "the loss of both steps",
    "It is the mean over the characters, not their sum.",
)

# %% nbgrader={"grade": true, "grade_id": "mean_loss_values_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: other sizes; one text, one step, one character in the vocabulary; float64 and float32.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for T, B, size, dtype in [
    (7, 5, 6, "float64"),
    (4, 4, 4, "float32"),
    (1, 3, 5, "float64"),
    (6, 1, 3, "float64"),
    (3, 2, 1, "float64"),
]:
    z = rng.normal(scale=2, size=(T, B, size)).astype(dtype)
    y = rng.integers(size, size=(T, B))
    rows = torch.tensor(z, dtype=torch.float64).reshape(-1, size)
    expected = torch.nn.functional.cross_entropy(rows, torch.tensor(y).reshape(-1)).item()
    assert_close(mean_loss(z.copy(), y.copy()), expected, "the loss")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "mean_loss_large_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: very large and very small scores, steps far apart, a character that could hardly come.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for shifts, dtype in [
    ([1000, 1000, 1000], "float64"),
    ([-1000, -1000, -1000], "float64"),
    ([500, 500, 500], "float32"),
    ([900, 0, -900], "float64"),  # steps that lie far apart
]:
    z = rng.integers(-12, 13, size=(3, 2, 5)) / 4 + np.array(shifts)[:, None, None]
    z = z.astype(dtype)
    y = rng.integers(5, size=(3, 2))
    rows = torch.tensor(z, dtype=torch.float64).reshape(-1, 5)
    expected = torch.nn.functional.cross_entropy(rows, torch.tensor(y).reshape(-1)).item()
    assert_close(mean_loss(z.copy(), y.copy()), expected, "the loss")
gap = float(rng.integers(1500, 3000))
z = np.array([[[0.0, gap, 0.0]], [[0.0, gap, 0.0]]])
assert_close(mean_loss(z.copy(), np.array([[2], [1]])), gap / 2, "the loss")
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Bits per character
#
# Models are compared by **bits per character**: the length, per character, of the best code that
# believes the model. One nat is $1/\ln 2$ bits. Where there are several texts, as in the running
# table of lecture 06, all bits are divided by all characters, so that a character counts as much in
# a long text as in a short one:
#
# $$\text{bits per character} = \frac{\sum_{\text{texts}} \sum_t J_t / \ln 2}
#   {\sum_{\text{texts}} (\text{number of characters})}$$
#
# **Write `bits_per_character(losses)`.** `losses` is a list with one array per text, which holds
# the losses $J_t$ of its characters, in nats. Every text has at least one character. Return the
# number.


# %% nbgrader={"grade": false, "grade_id": "bits", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bits_per_character(losses):
    """Return all bits divided by all characters; losses[i] holds the nats of text i."""
    ### BEGIN SOLUTION
    return np.mean(np.concatenate(losses)) / np.log(2)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "bits_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
assert_close(
    bits_per_character([np.log([2.0, 4.0])]),
    1.5,
    "bits per character of one text",
    "Losses of log 2 and log 4 are 1 and 2 bits.",
)
assert_close(
    bits_per_character([np.log([2.0, 4.0]), np.log([16.0, 16.0, 16.0, 16.0])]),
    19 / 6,
    "bits per character of two texts",
    "There are 1 + 2 + 4 + 4 + 4 + 4 bits in all, for six characters.",
)

# %% nbgrader={"grade": true, "grade_id": "bits_text_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: one text, or several that are equally long.
### BEGIN HIDDEN TESTS
import math

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for texts, length, dtype in [(1, 9, "float64"), (1, 1, "float64"), (4, 5, "float32")]:
    losses = [rng.uniform(0.1, 4, size=length).astype(dtype) for _ in range(texts)]
    bits = sum(math.log2(math.exp(nats)) for text in losses for nats in text.tolist())
    result = bits_per_character([text.copy() for text in losses])
    assert_close(result, bits / (texts * length), "bits per character")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "bits_texts_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: texts of different lengths.
### BEGIN HIDDEN TESTS
import math

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for lengths in [(3, 11), (1, 8, 2), (5, 1, 7, 12)]:
    losses = [rng.uniform(0.1, 1, size=n) * rng.uniform(0.5, 4) + i for i, n in enumerate(lengths)]
    bits = sum(math.log2(math.exp(nats)) for text in losses for nats in text.tolist())
    result = bits_per_character([text.copy() for text in losses])
    assert_close(result, bits / sum(lengths), "bits per character")
### END HIDDEN TESTS

# %% [markdown]
# ## 5. BPTT: from the loss to the scores
#
# Now back. Backpropagation through time walks through the equations from the last to the first, in
# three parts, and you write one function for each. What an earlier part gives, the next one gets as
# an argument.
#
# ```text
#   J ──► grad_z ──► delta ──► gradients of E, W_e, W_h, b_1, U, b_2
#      5          6         7
# ```
#
# The first part is lecture 02's: predicted minus observed. With $y_{t,b}$ as a one-hot vector, and
# since $J$ is a **mean** over $T \cdot B$ characters,
#
# $$\frac{\partial J}{\partial z_{t,b}} = \frac{\hat y_{t,b} - y_{t,b}}{T B}, \qquad
#   \text{shape } (\lvert V\rvert,)$$
#
# **Write `score_gradient(y_hat, y)`.** `y_hat` $(T, B, \lvert V\rvert)$ are the predicted
# probabilities, `y` $(T, B)$ the characters that came. Return `grad_z` $(T, B, \lvert V\rvert)$.


# %% nbgrader={"grade": false, "grade_id": "score_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false}
def score_gradient(y_hat, y):
    """Return the gradient (T, B, |V|) of the mean loss with respect to the scores."""
    ### BEGIN SOLUTION
    one_hot = np.arange(y_hat.shape[-1]) == y[..., None]
    return (y_hat - one_hot) / y.size
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "score_gradient_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Two steps, three texts, two characters. At the first step 0, 1 and 1 came, then 1, 0 and 0.
grad_z = score_gradient(
    np.array([[[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]], [[0.4, 0.6], [0.3, 0.7], [0.8, 0.2]]]),
    np.array([[0, 1, 1], [1, 0, 0]]),
)
assert_close(
    np.asarray(grad_z)[0] * 6,
    [[-0.5, 0.5], [0.9, -0.9], [0.2, -0.2]],
    "six times grad_z of the first step",
    "The character that came goes down by 1; J is the mean of six losses, so each has a sixth of "
    "a say.",
)
assert_close(
    np.asarray(grad_z)[1] * 6,
    [[0.4, -0.4], [-0.7, 0.7], [-0.2, 0.2]],
    "six times grad_z of the second step",
    "Other characters came there.",
)

# %% nbgrader={"grade": true, "grade_id": "score_gradient_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden: other sizes; one text, one step, one character in the vocabulary; float64 and float32.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for T, B, size, dtype in [
    (7, 5, 6, "float64"),
    (4, 4, 4, "float32"),
    (1, 3, 5, "float64"),
    (6, 1, 3, "float64"),
    (3, 2, 1, "float64"),
]:
    z = torch.tensor(rng.normal(scale=2, size=(T, B, size)), requires_grad=True)
    y = rng.integers(size, size=(T, B))
    y_hat = torch.softmax(z.detach(), dim=-1).numpy().astype(dtype)
    torch.nn.functional.cross_entropy(z.reshape(-1, size), torch.tensor(y).reshape(-1)).backward()
    assert_close(score_gradient(y_hat.copy(), y.copy()), z.grad.numpy(), "grad_z")
### END HIDDEN TESTS

# %% [markdown]
# ## 6. BPTT: from step to step
#
# The heart of it. A state has **two readers**: the scores of its own step and the state of the next
# one. Both send something back:
#
# $$\frac{\partial J}{\partial h_t} = \frac{\partial J}{\partial z_t}\,U + \delta_{t+1} W_h,
#   \qquad \delta_{T+1} = 0,
#   \qquad (B, H) = (B, \lvert V\rvert)(\lvert V\rvert, H) + (B, H)(H, H)$$
#
# and through the tanh, whose slope can be had from its output, element by element:
#
# $$\delta_t = \frac{\partial J}{\partial a_t} = (1 - h_t^2) \odot \frac{\partial J}{\partial h_t}$$
#
# ```text
#          grad_z_1      grad_z_2      grad_z_3
#              │ U           │ U           │ U
#              ▼             ▼             ▼
#          delta_1 ◄──── delta_2 ◄──── delta_3 ◄── 0        each arrow to the left: W_h
# ```
#
# So begin at the end. (In formulas $t$ counts from 1; in code `grad_z[t]` and `delta[t]` belong to
# `h[t + 1]`.)
#
# **Write `state_gradients(theta, h, grad_z)`.** `h` $(T+1, B, H)$ are the states, $h_0$ first, and
# `grad_z` is $(T, B, \lvert V\rvert)$. Return `delta` $(T, B, H)$.


# %% nbgrader={"grade": false, "grade_id": "state_gradients", "locked": false, "schema_version": 3, "solution": true, "task": false}
def state_gradients(theta, h, grad_z):
    """Return delta (T, B, H), the gradient of J with respect to a_t for every step."""
    ### BEGIN SOLUTION
    delta, message = [], 0.0
    for grad_z_t, h_t in zip(grad_z[::-1], h[:0:-1], strict=True):
        delta.append((1 - h_t**2) * (grad_z_t @ theta["U"] + message))
        message = delta[-1] @ theta["W_h"]
    return np.array(delta[::-1])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "state_gradients_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Two steps, one text, H = 2, h_0 = 0. U = [[1, 0], [0, 2]], W_h = [[0, 1], [0.5, 0]].
delta = state_gradients(
    copy.deepcopy(toy),
    np.array([[[0.0, 0.0]], [[0.0, 0.5]], [[0.5, 0.0]]]),
    np.array([[[0.4, 0.2]], [[0.8, -0.1]]]),
)
assert_close(
    np.asarray(delta)[1],
    [[0.6, -0.2]],
    "delta of the last step",
    "grad_z U is [0.8, -0.2]; h is [0.5, 0], so the slopes are 0.75 and 1.",
)
assert_close(
    delta,
    [[[0.3, 0.75]], [[0.6, -0.2]]],
    "delta",
    "The step before gets [0.4, 0.4] from its own scores and [0.6, -0.2] W_h = [-0.1, 0.6] from "
    "the step after it.",
)

# %% nbgrader={"grade": true, "grade_id": "state_gradients_one_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden: texts of one character, where nothing comes back from a later step.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, H, B, dtype in [
    (6, 4, 5, "float64"),
    (4, 4, 4, "float32"),
    (5, 3, 1, "float64"),
    (1, 3, 2, "float64"),
    (3, 1, 2, "float64"),
]:
    theta = random_theta(rng, size, 2, H, dtype)
    a = torch.tensor(rng.normal(size=(1, B, H)), requires_grad=True)
    grad_z = rng.normal(size=(1, B, size)).astype(dtype)
    z = torch.tanh(a) @ torch.tensor(theta["U"].astype(float)).T
    z.backward(torch.tensor(grad_z.astype(float)))
    h = np.concatenate([rng.uniform(-1, 1, size=(1, B, H)), np.tanh(a.detach().numpy())])
    result = state_gradients(copy.deepcopy(theta), h.astype(dtype), grad_z.copy())
    assert_close(result, a.grad.numpy(), "delta")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "state_gradients_time_hidden", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# Hidden: longer texts; one text; one character in the vocabulary; float64 and float32.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, H, T, B, dtype in [
    (6, 4, 7, 5, "float64"),
    (4, 4, 4, 4, "float32"),
    (5, 3, 2, 1, "float64"),
    (1, 3, 5, 2, "float64"),
    (3, 1, 6, 2, "float64"),
]:
    theta = random_theta(rng, size, 2, H, dtype)
    W_h, U = (torch.tensor(theta[name].astype(float)) for name in ("W_h", "U"))
    # a_t = W_h h_{t-1} + what the input adds, a leaf of its own for each step: its gradient is
    # that of a_t.
    added = torch.tensor(rng.normal(size=(T, B, H)), requires_grad=True)
    states = [torch.tensor(rng.uniform(-1, 1, size=(B, H)))]
    for t in range(T):
        states.append(torch.tanh(states[-1] @ W_h.T + added[t]))
    grad_z = rng.normal(size=(T, B, size)).astype(dtype)
    (torch.stack(states[1:]) @ U.T).backward(torch.tensor(grad_z.astype(float)))
    h = torch.stack(states).detach().numpy().astype(dtype)
    result = state_gradients(copy.deepcopy(theta), h, grad_z.copy())
    assert_close(result, added.grad.numpy(), "delta")
### END HIDDEN TESTS

# %% [markdown]
# ## 7. BPTT: the gradients of the weights
#
# Every step uses the same weights, and the gradient of a repeated weight is the **sum over its
# uses**, each with its inputs held fixed (immediate derivatives, lecture 06, section 4). For one
# text:
#
# $$\frac{\partial J}{\partial W_h} = \sum_t \delta_t h_{t-1}^\top,\quad
#   \frac{\partial J}{\partial W_e} = \sum_t \delta_t e_t^\top,\quad
#   \frac{\partial J}{\partial b_1} = \sum_t \delta_t,\quad
#   \frac{\partial J}{\partial U} = \sum_t \frac{\partial J}{\partial z_t} h_t^\top,\quad
#   \frac{\partial J}{\partial b_2} = \sum_t \frac{\partial J}{\partial z_t},$$
#
# and row $x_t$ of $\partial J/\partial E$ receives $W_e^\top \delta_t$. With $B$ texts each sum
# runs over the texts as well. (It is a sum, not a mean: the mean of $J$ is already in `grad_z`.)
# **A character that is read several times adds to its row each time.** (What does NumPy do with
# `a[[1, 1]] += 5`?)
#
# **Write `weight_gradients(theta, x, h, grad_z, delta)`.** `x` is $(T, B)$, the others have the
# shapes of questions 5 and 6. Return a dictionary with the keys of `theta`, `"E"`, `"W_e"`,
# `"W_h"`, `"b_1"`, `"U"`, `"b_2"`, each gradient in the shape of its array.


# %% nbgrader={"grade": false, "grade_id": "weight_gradients", "locked": false, "schema_version": 3, "solution": true, "task": false}
def weight_gradients(theta, x, h, grad_z, delta):
    """Return a dictionary with the gradients of E, W_e, W_h, b_1, U and b_2."""
    ### BEGIN SOLUTION
    grad_E = np.zeros_like(theta["E"])
    # Unlike grad_E[x] += ..., this adds for every occurrence of a repeated character.
    np.add.at(grad_E, x, delta @ theta["W_e"])
    return {
        "E": grad_E,
        "W_e": np.einsum("tbi,tbj->ij", delta, theta["E"][x]),
        "W_h": np.einsum("tbi,tbj->ij", delta, h[:-1]),
        "b_1": delta.sum(axis=(0, 1)),
        "U": np.einsum("tbi,tbj->ij", grad_z, h[1:]),
        "b_2": grad_z.sum(axis=(0, 1)),
    }
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "weight_gradients_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# One text reads 1, 0, 1. E = [[1], [2]], W_e = [[0.5], [-0.5]], H = 2.
gradients = weight_gradients(
    copy.deepcopy(toy),
    np.array([[1], [0], [1]]),
    np.array([[[0.0, 0.2]], [[0.5, 0.0]], [[0.1, 0.0]], [[0.0, 0.4]]]),
    np.array([[[1.0, 0.0]], [[0.0, -1.0]], [[2.0, 0.0]]]),
    np.array([[[2.0, 0.0]], [[0.0, 1.0]], [[3.0, 2.0]]]),
)
assert_close(gradients["b_2"], [3, -1], "the gradient of b_2", "Add grad_z over the steps.")
assert_close(
    gradients["U"],
    [[0.5, 0.8], [-0.1, 0.0]],
    "the gradient of U",
    "The scores of a step are made from the state after it: h[1], h[2], h[3].",
)
assert_close(gradients["b_1"], [5, 3], "the gradient of b_1", "Add delta over the steps.")
assert_close(
    gradients["W_h"],
    [[0.3, 0.4], [0.7, 0.0]],
    "the gradient of W_h",
    "What W_h multiplies is the state before the step: h[0], h[1], h[2].",
)
assert_close(
    gradients["W_e"],
    [[10.0], [5.0]],
    "the gradient of W_e",
    "Each delta times the input vector of the character that was read: 2, 1, 2.",
)
assert_close(
    gradients["E"],
    [[-0.5], [1.5]],
    "the gradient of E",
    "Character 1 was read twice: its row gets 1.0 from the first step and 0.5 from the third.",
)

# %% nbgrader={"grade": true, "grade_id": "weight_gradients_E_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: the gradient of E where no character is read twice.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, d, H, T, B, dtype in [
    (17, 3, 4, 3, 5, "float64"),
    (6, 4, 4, 4, 1, "float32"),
    (2, 1, 3, 1, 2, "float64"),
    (1, 2, 1, 1, 1, "float64"),
]:
    theta = random_theta(rng, size, d, H, dtype)
    x = rng.permutation(size)[: T * B].reshape(T, B)
    h = rng.uniform(-1, 1, size=(T + 1, B, H)).astype(dtype)
    grad_z = rng.normal(size=(T, B, size)).astype(dtype)
    delta = rng.normal(size=(T, B, H)).astype(dtype)
    E = torch.tensor(theta["E"].astype(float), requires_grad=True)
    a = E[x] @ torch.tensor(theta["W_e"].astype(float)).T
    a.backward(torch.tensor(delta.astype(float)))
    result = weight_gradients(copy.deepcopy(theta), x.copy(), h, grad_z, delta.copy())
    assert_close(result["E"], E.grad.numpy(), "the gradient of E")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "weight_gradients_E_repeats_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: the gradient of E where characters are read again and again, in a text and side by side.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, d, H, T, B in [(4, 3, 5, 6, 3), (9, 2, 3, 5, 1), (9, 2, 3, 1, 4), (1, 3, 2, 3, 2)]:
    theta = random_theta(rng, size, d, H)
    x = rng.integers(size, size=(T, B))
    x[-1, -1] = x[0, 0]
    h, grad_z = rng.uniform(-1, 1, size=(T + 1, B, H)), rng.normal(size=(T, B, size))
    delta = rng.normal(size=(T, B, H))
    E = torch.tensor(theta["E"], requires_grad=True)
    (E[x] @ torch.tensor(theta["W_e"]).T).backward(torch.tensor(delta))
    result = weight_gradients(copy.deepcopy(theta), x.copy(), h, grad_z, delta.copy())
    assert_close(result["E"], E.grad.numpy(), "the gradient of E")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "weight_gradients_W_e_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: the gradient of W_e, with other sizes; one text; one step; repeated characters.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, d, H, T, B, dtype in [
    (6, 3, 4, 7, 5, "float64"),
    (4, 4, 4, 4, 4, "float32"),
    (5, 2, 3, 1, 2, "float64"),
    (1, 2, 3, 5, 1, "float64"),
]:
    theta = random_theta(rng, size, d, H, dtype)
    x = rng.integers(size, size=(T, B))
    h = rng.uniform(-1, 1, size=(T + 1, B, H)).astype(dtype)
    grad_z = rng.normal(size=(T, B, size)).astype(dtype)
    delta = rng.normal(size=(T, B, H)).astype(dtype)
    W_e = torch.tensor(theta["W_e"].astype(float), requires_grad=True)
    a = torch.tensor(theta["E"].astype(float))[x] @ W_e.T
    a.backward(torch.tensor(delta.astype(float)))
    result = weight_gradients(copy.deepcopy(theta), x.copy(), h.copy(), grad_z.copy(), delta.copy())
    assert_close(result["W_e"], W_e.grad.numpy(), "the gradient of W_e")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "weight_gradients_W_h_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden: the gradient of W_h, with other sizes; one text; one step; repeated characters.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, d, H, T, B, dtype in [
    (6, 3, 4, 7, 5, "float64"),
    (4, 4, 4, 4, 4, "float32"),
    (5, 2, 3, 1, 2, "float64"),
    (1, 2, 3, 5, 1, "float64"),
]:
    theta = random_theta(rng, size, d, H, dtype)
    x = rng.integers(size, size=(T, B))
    h = rng.uniform(-1, 1, size=(T + 1, B, H)).astype(dtype)
    grad_z = rng.normal(size=(T, B, size)).astype(dtype)
    delta = rng.normal(size=(T, B, H)).astype(dtype)
    W_h = torch.tensor(theta["W_h"].astype(float), requires_grad=True)
    a = torch.tensor(h[:-1].astype(float)) @ W_h.T
    a.backward(torch.tensor(delta.astype(float)))
    result = weight_gradients(copy.deepcopy(theta), x.copy(), h.copy(), grad_z.copy(), delta.copy())
    assert_close(result["W_h"], W_h.grad.numpy(), "the gradient of W_h")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "weight_gradients_b_1_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: the gradient of b_1, with other sizes; one text; one step; repeated characters.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, d, H, T, B, dtype in [
    (6, 3, 4, 7, 5, "float64"),
    (4, 4, 4, 4, 4, "float32"),
    (5, 2, 3, 1, 2, "float64"),
    (1, 2, 3, 5, 1, "float64"),
]:
    theta = random_theta(rng, size, d, H, dtype)
    x = rng.integers(size, size=(T, B))
    h = rng.uniform(-1, 1, size=(T + 1, B, H)).astype(dtype)
    grad_z = rng.normal(size=(T, B, size)).astype(dtype)
    delta = rng.normal(size=(T, B, H)).astype(dtype)
    b_1 = torch.tensor(theta["b_1"].astype(float), requires_grad=True)
    a = torch.zeros((T, B, H), dtype=torch.float64) + b_1
    a.backward(torch.tensor(delta.astype(float)))
    result = weight_gradients(copy.deepcopy(theta), x.copy(), h.copy(), grad_z.copy(), delta.copy())
    assert_close(result["b_1"], b_1.grad.numpy(), "the gradient of b_1")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "weight_gradients_U_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: the gradient of U, with other sizes; one text; one step; repeated characters.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, d, H, T, B, dtype in [
    (6, 3, 4, 7, 5, "float64"),
    (4, 4, 4, 4, 4, "float32"),
    (5, 2, 3, 1, 2, "float64"),
    (1, 2, 3, 5, 1, "float64"),
]:
    theta = random_theta(rng, size, d, H, dtype)
    x = rng.integers(size, size=(T, B))
    h = rng.uniform(-1, 1, size=(T + 1, B, H)).astype(dtype)
    grad_z = rng.normal(size=(T, B, size)).astype(dtype)
    delta = rng.normal(size=(T, B, H)).astype(dtype)
    U = torch.tensor(theta["U"].astype(float), requires_grad=True)
    z = torch.tensor(h[1:].astype(float)) @ U.T
    z.backward(torch.tensor(grad_z.astype(float)))
    result = weight_gradients(copy.deepcopy(theta), x.copy(), h.copy(), grad_z.copy(), delta.copy())
    assert_close(result["U"], U.grad.numpy(), "the gradient of U")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "weight_gradients_b_2_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: the gradient of b_2, with other sizes; one text; one step; repeated characters.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, d, H, T, B, dtype in [
    (6, 3, 4, 7, 5, "float64"),
    (4, 4, 4, 4, 4, "float32"),
    (5, 2, 3, 1, 2, "float64"),
    (1, 2, 3, 5, 1, "float64"),
]:
    theta = random_theta(rng, size, d, H, dtype)
    x = rng.integers(size, size=(T, B))
    h = rng.uniform(-1, 1, size=(T + 1, B, H)).astype(dtype)
    grad_z = rng.normal(size=(T, B, size)).astype(dtype)
    delta = rng.normal(size=(T, B, H)).astype(dtype)
    b_2 = torch.tensor(theta["b_2"].astype(float), requires_grad=True)
    z = torch.zeros((T, B, size), dtype=torch.float64) + b_2
    z.backward(torch.tensor(grad_z.astype(float)))
    result = weight_gradients(copy.deepcopy(theta), x.copy(), h.copy(), grad_z.copy(), delta.copy())
    assert_close(result["b_2"], b_2.grad.numpy(), "the gradient of b_2")
### END HIDDEN TESTS

# %% [markdown]
# ## 8. The norm of a gradient by lag
#
# How much does the loss of the last step feel of the state $k$ steps before? Lecture 07 sends the
# gradient back one step after the other. As rows, for one text:
#
# $$r_0 = \frac{\partial J_T}{\partial h_T}, \qquad
#   r_{k+1} = \frac{\partial J_T}{\partial h_{T-k-1}}
#   = \big(r_k \odot (1 - h_{T-k}^2)\big)\, W_h$$
#
# Each step back multiplies by a slope that is at most 1, and by $W_h$ once more. Their product may
# vanish or explode; `norm_by_lag` shows which.
#
# **Write `norm_by_lag(W_h, h, r_0)`.** `h` $(T+1, H)$ are the states of **one** text, $h_0$ first,
# and `r_0` is $(H,)$. Return the Euclidean norms of $r_0, r_1, \dots, r_T$, which are $T+1$ numbers,
# in this order: lag 0 first. The last one belongs to $h_0$.


# %% nbgrader={"grade": false, "grade_id": "norm_by_lag", "locked": false, "schema_version": 3, "solution": true, "task": false}
def norm_by_lag(W_h, h, r_0):
    """Return the norms (T + 1,) of the gradient at lags 0 to T, the last with respect to h_0."""
    ### BEGIN SOLUTION
    r, norms = r_0, [np.linalg.norm(r_0)]
    for h_t in h[:0:-1]:
        r = (r * (1 - h_t**2)) @ W_h
        norms.append(np.linalg.norm(r))
    return np.array(norms)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "norm_by_lag_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Two steps. W_h doubles the first number and puts it in the second place: [r1, r2] W_h = [0, 2 r1].
norms = norm_by_lag(
    np.array([[0.0, 2.0], [0.0, 0.5]]),
    np.array([[0.9, 0.9], [0.0, 0.6], [0.5, 0.0]]),
    np.array([4.0, 3.0]),
)
norms = list(norms)
assert len(norms) == 3, f"two steps have the lags 0, 1 and 2; you return {len(norms)} numbers"
assert_close(norms[0], 5.0, "the norm at lag 0", "Nothing has happened to [4, 3] yet.")
assert_close(
    norms,
    [5.0, 7.5, 2.4],
    "the norms",
    "The slopes at h_2 = [0.5, 0] are [0.75, 1], so [4, 3] becomes [3, 3], and W_h makes it "
    "[0, 2 * 3 + 0.5 * 3] = [0, 7.5].",
)

# %% nbgrader={"grade": true, "grade_id": "norm_by_lag_hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Hidden: other networks and lengths, one step, a state of one number; float64 and float32.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for H, T, dtype in [(5, 8, "float64"), (4, 4, "float32"), (3, 1, "float64"), (1, 3, "float64")]:
    W_h = rng.normal(0, 1.2 / np.sqrt(H), size=(H, H)).astype(dtype)
    states = [torch.tensor(rng.uniform(-1, 1, size=H), requires_grad=True)]
    for _ in range(T):
        added = torch.tensor(rng.normal(scale=0.5, size=H))
        states.append(torch.tanh(torch.tensor(W_h.astype(float)) @ states[-1] + added))
    r_0 = rng.normal(size=H).astype(dtype)
    gradients = torch.autograd.grad(states[-1], states, torch.tensor(r_0.astype(float)))
    expected = [float(gradient.norm()) for gradient in gradients[::-1]]
    h = torch.stack(states).detach().numpy().astype(dtype)
    assert_close(list(norm_by_lag(W_h.copy(), h, r_0.copy())), expected, "the norms")
### END HIDDEN TESTS

# %% [markdown]
# ## 9. Clipping by norm
#
# Where the product explodes, one step of training throws the weights out of the picture. Algorithm
# 1 of Pascanu, Mikolov and Bengio (2013) keeps the gradient's direction and limits its length:
#
# $$\text{if } \lVert g\rVert \ge c: \quad g \leftarrow \frac{c}{\lVert g\rVert}\, g, \qquad
#   \lVert g\rVert = \sqrt{\textstyle\sum_{i} g_i^2}$$
#
# The norm is that of **all parameters together**, one long vector: clipped one by one, the arrays
# would no longer point where the gradient does. A gradient shorter than $c$ stays as it is. There
# is no $\varepsilon$ in this formula; `torch.nn.utils.clip_grad_norm_` adds $10^{-6}$ to the norm,
# and the tests are coarse enough to take both.
#
# **Write `clip_by_norm(gradients, c)`.** `gradients` is a dictionary of one or more arrays of any
# shapes and `c` a positive number. Return a dictionary with the same keys and shapes. Here what you
# are given must keep its values: **return a new dictionary with new arrays**, and change neither
# the old dictionary nor the arrays in it. (Where nothing is to be clipped you may return the old
# one.) A gradient that is all zeros gives zeros.


# %% nbgrader={"grade": false, "grade_id": "clip", "locked": false, "schema_version": 3, "solution": true, "task": false}
def clip_by_norm(gradients, c):
    """Return the gradients, scaled down together to norm c if their common norm is above it."""
    ### BEGIN SOLUTION
    norm = np.sqrt(sum(np.sum(g**2) for g in gradients.values()))
    factor = c / norm if norm > c else 1.0
    return {name: factor * g for name, g in gradients.items()}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "clip_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
clipped = clip_by_norm({"W": np.array([[3.0, 4.0]]), "b": np.array([-12.0])}, 20.0)
assert_close(clipped["W"], [[3, 4]], "W of a short gradient", "Norm 13 is below 20: no change.")
clipped = clip_by_norm({"W": np.array([[3.0, 4.0]]), "b": np.array([-12.0])}, 1.3)
assert sorted(clipped) == ["W", "b"], f"the keys were W and b; you return {sorted(clipped)}"
assert_close(
    clipped["W"],
    [[0.3, 0.4]],
    "W of a long gradient",
    "The norm of 3, 4 and -12 together is 13, so all are divided by 10.",
)
assert_close(clipped["b"], [-1.2], "b of a long gradient", "It is divided by the same 10.")

# %% nbgrader={"grade": true, "grade_id": "clip_long_hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Hidden: gradients longer than c, of other names, shapes and numbers of arrays.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for shapes, c, scale, dtype in [
    ({"E": (5, 2), "W_h": (3, 3), "b_1": (3,)}, 1.0, 3.0, "float64"),
    ({"W": (4, 4)}, 5.0, 100.0, "float32"),
    ({"a": (1,), "b": (2, 1, 3), "c": (7,), "d": (2, 2)}, 0.25, 1.0, "float64"),
    ({"a": (3,), "b": (3,)}, 2.0, 20.0, "float64"),
]:
    gradients = {k: rng.normal(0, scale, shape).astype(dtype) for k, shape in shapes.items()}
    gradients[min(gradients)].flat[0] = 2 * c  # longer than c, whatever was drawn
    leaves = {name: torch.zeros(g.shape, dtype=torch.float64) for name, g in gradients.items()}
    for name, leaf in leaves.items():
        leaf.grad = torch.tensor(gradients[name].astype(float))
    torch.nn.utils.clip_grad_norm_(leaves.values(), c)
    clipped = clip_by_norm(copy.deepcopy(gradients), c)
    assert sorted(clipped) == sorted(gradients)
    for name, leaf in leaves.items():
        assert_close(clipped[name], leaf.grad.numpy(), "the clipped gradient")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "clip_short_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: gradients shorter than c, and one that is zero.
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(np.random.randint(2**31 - 1))
for shapes, c, scale in [
    ({"E": (5, 2), "W_h": (3, 3)}, 100.0, 1.0),
    ({"W": (4,)}, 3.0, 0.3),
    ({"a": (2,), "b": (1, 2)}, 1.5, 0.0),
]:
    gradients = {k: rng.normal(0, 1, shape) * scale for k, shape in shapes.items()}
    clipped = clip_by_norm(copy.deepcopy(gradients), c)
    for name, g in gradients.items():
        assert_close(clipped[name], g, "a gradient that is short enough")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "clip_unchanged_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: the old gradients keep their values.
### BEGIN HIDDEN TESTS
from autograder.testing import call_and_arguments

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for scale in (0.01, 50.0):
    gradients = {"W": rng.normal(0, scale, (3, 2)), "b": rng.normal(0, scale, 4)}
    clipped, arguments = call_and_arguments(clip_by_norm, gradients, 1.0)
    assert sorted(clipped) == ["W", "b"]
    assert sorted(arguments[0]) == ["W", "b"]
    for name, g in gradients.items():
        assert np.shape(clipped[name]) == g.shape
        assert_close(arguments[0][name], g, "the old gradient")
### END HIDDEN TESTS

# %% [markdown]
# ## 10. Adam: the two averages
#
# Adam (Kingma and Ba 2015) keeps, for each number of an array, a running mean of its gradient and
# one of its square:
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1)\, g, \qquad v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2$$
#
# All operations are element by element. (Here $v$ is not a word vector.)
#
# **Write `adam_averages(m, v, g, beta_1, beta_2)`.** `m`, `v` and the gradient `g` are arrays of
# the same shape, any shape. Return the new `m` and the new `v`.


# %% nbgrader={"grade": false, "grade_id": "averages", "locked": false, "schema_version": 3, "solution": true, "task": false}
def adam_averages(m, v, g, beta_1, beta_2):
    """Return the running means of the gradient and of its square after the gradient g."""
    ### BEGIN SOLUTION
    return beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g**2
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "averages_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
m, v = adam_averages(np.array([1.0, 0.0]), np.array([2.0, 0.0]), np.array([3.0, -1.0]), 0.5, 0.75)
assert_close(m, [2.0, -0.5], "m", "Half of the old 1 and half of the new 3 are 2.")
assert_close(v, [3.75, 0.25], "v", "Three quarters of the old 2 and a quarter of 3 squared.")

# %% nbgrader={"grade": true, "grade_id": "averages_m_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: m, for other shapes and betas.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for shape, dtype in [
    ((4, 3), "float64"),
    ((5,), "float32"),
    ((1,), "float64"),
    ((2, 1, 3), "float64"),
]:
    m, g = rng.normal(size=(2, *shape)).astype(dtype)
    v = rng.uniform(0.1, 2, size=shape).astype(dtype)
    beta_1, beta_2 = rng.uniform(0.6, 0.95, size=2).tolist()
    expected = torch.lerp(*(torch.tensor(part.astype(float)) for part in (m, g)), 1 - beta_1)
    result = list(adam_averages(m.copy(), v.copy(), g.copy(), beta_1, beta_2))
    assert_close(result[0], expected.numpy(), "m")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "averages_v_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: v, for other shapes and betas.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for shape, dtype in [
    ((4, 3), "float64"),
    ((5,), "float32"),
    ((1,), "float64"),
    ((2, 1, 3), "float64"),
]:
    m, g = rng.normal(size=(2, *shape)).astype(dtype)
    v = rng.uniform(0.1, 2, size=shape).astype(dtype)
    beta_1, beta_2 = rng.uniform(0.6, 0.95, size=2).tolist()
    squares = torch.tensor(g.astype(float)).square()
    expected = torch.lerp(torch.tensor(v.astype(float)), squares, 1 - beta_2)
    result = list(adam_averages(m.copy(), v.copy(), g.copy(), beta_1, beta_2))
    assert_close(result[1], expected.numpy(), "v")
### END HIDDEN TESTS

# %% [markdown]
# ## 11. Adam: the step
#
# Both averages begin at 0 and are therefore too small at first: after $t$ gradients their weights
# sum to $1 - \beta^t$ and not to 1. Dividing by that sum repairs it, and the step goes along the
# mean gradient, measured in units of its usual size:
#
# $$\hat m = \frac{m}{1 - \beta_1^t}, \qquad \hat v = \frac{v}{1 - \beta_2^t}, \qquad
#   \theta \leftarrow \theta - \alpha\, \frac{\hat m}{\sqrt{\hat v} + \varepsilon}$$
#
# $t$ counts the gradients that are in the averages: **the first step has $t = 1$**. The
# $\varepsilon$ stands outside the root, as in torch.
#
# **Write `adam_step(part, m, v, t, alpha, beta_1, beta_2, eps)`.** `part` is one array of $\theta$;
# `m` and `v` are its averages, which already hold the $t$-th gradient. Return the new array.


# %% nbgrader={"grade": false, "grade_id": "adam", "locked": false, "schema_version": 3, "solution": true, "task": false}
def adam_step(part, m, v, t, alpha, beta_1, beta_2, eps):
    """Return the array `part` after Adam's t-th step, t = 1, 2, ..."""
    ### BEGIN SOLUTION
    m_hat = m / (1 - beta_1**t)
    v_hat = v / (1 - beta_2**t)
    return part - alpha * m_hat / (np.sqrt(v_hat) + eps)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "adam_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
part = adam_step(
    np.array([1.0, 1.0]), np.array([0.2, -0.3]), np.array([0.04, 0.09]), 1, 0.1, 0.9, 0.99, 0.0
)
assert_close(
    part,
    [0.9, 1.1],
    "the array after the first step",
    "m / 0.1 is [2, -3] and v / 0.01 is [4, 9]: the first step is alpha long, whatever the gradient.",
)
part = adam_step(np.array([1.0]), np.array([0.75]), np.array([0.75]), 2, 0.3, 0.5, 0.5, 0.5)
assert_close(
    part,
    [0.8],
    "the array after the second step",
    "Now 1 - 0.5 ** 2 = 0.75 divides both averages; eps = 0.5 is added after the root.",
)

# %% nbgrader={"grade": true, "grade_id": "adam_first_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: the first step, t = 1.
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(np.random.randint(2**31 - 1))
for shape, dtype in [((4, 3), "float64"), ((5,), "float32"), ((1,), "float64")]:
    part, g = rng.normal(size=(2, *shape)).astype(dtype)
    alpha, beta_1, beta_2, eps = rng.uniform([0.1, 0.5, 0.6, 0.05], [0.5, 0.9, 0.95, 0.2]).tolist()
    # One gradient is its own mean, and the root of its square its size.
    expected = part.astype(float) - alpha * g / (np.abs(g.astype(float)) + eps)
    m, v = (1 - beta_1) * g, (1 - beta_2) * g**2
    result = adam_step(part.copy(), m, v, 1, alpha, beta_1, beta_2, eps)
    assert_close(result, expected, "the array")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "adam_later_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden: later steps, with averages of many gradients.
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(np.random.randint(2**31 - 1))
for shape, t in [((5,), 6), ((4, 3), 2), ((2, 1, 2), 11)]:
    alpha, beta_1, beta_2, eps = rng.uniform([0.1, 0.5, 0.6, 0.05], [0.5, 0.9, 0.95, 0.2]).tolist()
    part, gradients = rng.normal(size=shape), rng.normal(size=(t, *shape))
    # The averages with every gradient's weight written out: the newest has 1 - beta.
    weights_1, weights_2 = (beta ** np.arange(t)[::-1] for beta in (beta_1, beta_2))
    mean = np.average(gradients, axis=0, weights=weights_1)
    size = np.sqrt(np.average(gradients**2, axis=0, weights=weights_2))
    m = (1 - beta_1) * np.tensordot(weights_1, gradients, axes=1)
    v = (1 - beta_2) * np.tensordot(weights_2, gradients**2, axes=1)
    result = adam_step(part.copy(), m, v, t, alpha, beta_1, beta_2, eps)
    assert_close(result, part - alpha * mean / (size + eps), "the array")
### END HIDDEN TESTS

# %% [markdown]
# ### The ritual, on your code
#
# All pieces of training are there. If a line below fails, it tells you where to look, before a
# training would fail in a less helpful way. These cells carry no points.


# %% nbgrader={"grade": false, "grade_id": "ritual_trainer", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["skip-execution"]
def loss_and_gradients(theta, x, y, h_0):
    """Return J, the dictionary of gradients and the last state: your questions 1 to 7, in a row."""
    h, z = (np.asarray(part) for part in forward(theta, x, h_0, cell_step))
    grad_z = np.asarray(score_gradient(library_softmax(z, axis=-1), y))
    delta = np.asarray(state_gradients(theta, h, grad_z))
    gradients = weight_gradients(theta, x, h, grad_z, delta)
    # A bias as a column, or a tensor, is as good as an array: here it must be one.
    gradients = {k: np.reshape(np.asarray(gradients[k]), part.shape) for k, part in theta.items()}
    return mean_loss(z, y), gradients, h[-1]


def new_theta(rng, size, d, H):
    """Return a network to be trained; its small U makes all scores nearly 0 at first."""
    shapes = {"E": (size, d), "W_e": (H, d), "W_h": (H, H), "b_1": H, "U": (size, H), "b_2": size}
    scales = {"E": 1, "W_e": d**-0.5, "W_h": H**-0.5, "b_1": 0, "U": 0.01, "b_2": 0}
    draws = {name: rng.normal(0, 1, shape) * scales[name] for name, shape in shapes.items()}
    return {name: part.astype(np.float32) for name, part in draws.items()}


def train(theta, batches, alpha, c=1.0):
    """Take one step for each batch (x, y), your questions 9 to 11; return theta and the losses."""
    averages = {name: (np.zeros_like(part), np.zeros_like(part)) for name, part in theta.items()}
    losses, h = [], None
    for t, (x, y) in enumerate(batches, start=1):
        if h is None:
            h = np.zeros((x.shape[1], len(theta["W_h"])), dtype=np.float32)
        loss, gradients, h = loss_and_gradients(theta, x, y, h)
        gradients = clip_by_norm(gradients, c)
        for name, part in theta.items():
            averages[name] = m, v = adam_averages(*averages[name], gradients[name], 0.9, 0.999)
            theta[name] = adam_step(part, m, v, t, alpha, 0.9, 0.999, 1e-8)
        losses.append(float(np.sum(loss)))
    return theta, losses


# %% nbgrader={"grade": false, "grade_id": "ritual_first_loss", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["skip-execution"]
rng = np.random.default_rng(0)
x, y = rng.integers(60, size=(2, 20, 4))
h, z = forward(new_theta(rng, 60, 16, 32), x, np.zeros((4, 32)), cell_step)
first = np.sum(mean_loss(np.asarray(z), y))
print(f"first loss {first:.2f}, log |V| {np.log(60):.2f}")
assert abs(first - np.log(60)) < 0.05, "a model that knows nothing should lose log |V| a character"

# %% nbgrader={"grade": false, "grade_id": "ritual_gradients", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["skip-execution"]
rng = np.random.default_rng(0)
theta, (x, y), h_0 = (
    random_theta(rng, 4, 2, 3),
    rng.integers(4, size=(2, 5, 2)),
    rng.normal(size=(2, 3)),
)
_, gradients, _ = loss_and_gradients(theta, x, y, h_0)
for name in theta:

    def moved_loss(part, name=name):
        """The loss with another array in the place of `name`."""
        return mean_loss(np.asarray(forward({**theta, name: part}, x, h_0, cell_step)[1]), y)

    numerical = central_difference(moved_loss, theta[name])
    assert_close(
        gradients[name], numerical, f"the gradient of {name}", "Central differences say otherwise."
    )
    print(f"{name}: passes")

# %% nbgrader={"grade": false, "grade_id": "ritual_overfit", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["skip-execution"]
verse = "in the beginning god created the heaven and the earth"
letters = sorted(set(verse))
ids = np.array([[letters.index(letter)] for letter in verse])  # (53, 1): one text
theta = new_theta(np.random.default_rng(0), len(letters), 8, 32)
theta, losses = train(theta, [(ids[:-1], ids[1:])] * 200, alpha=0.02)
print(f"one verse: loss {losses[0]:.2f} before, {losses[-1]:.2f} after 200 steps")
assert losses[-1] < 0.1, "53 characters can be learned by heart"

# %% [markdown]
# ## 12. Temperature
#
# A language model writes if it is fed its own output. Which character to take from $\hat y$? One
# way is to draw it, and a **temperature** $\mathcal T$ says how boldly:
#
# $$\hat y = \mathrm{softmax}(z / \mathcal T)$$
#
# At $\mathcal T = 1$ the model speaks for itself; towards 0 only the best score survives; towards
# infinity all characters become equal.
#
# **Write `softmax_at(z, temperature)`.** `z` $(B, \lvert V\rvert)$ holds the scores of a text in
# each row, `temperature` is a positive number. Return $\hat y$ $(B, \lvert V\rvert)$; each row sums
# to 1. Scores of any size must work, and temperatures such as 0.001.


# %% nbgrader={"grade": false, "grade_id": "temperature", "locked": false, "schema_version": 3, "solution": true, "task": false}
def softmax_at(z, temperature):
    """Return the softmax of each row of z (B, |V|), at a temperature."""
    ### BEGIN SOLUTION
    z = (z - np.max(z, axis=-1, keepdims=True)) / temperature
    return np.exp(z) / np.sum(np.exp(z), axis=-1, keepdims=True)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "temperature_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
z = np.log(np.array([[3.0, 1.0], [1.0, 1.0], [1.0, 2.0]]))
assert_close(
    softmax_at(z.copy(), 1.0),
    [[0.75, 0.25], [0.5, 0.5], [1 / 3, 2 / 3]],
    "y_hat at temperature 1",
    "That is the softmax of each row.",
)
assert_close(
    softmax_at(z.copy(), 0.5),
    [[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]],
    "y_hat at temperature 0.5",
    "The scores are doubled, so 3 : 1 becomes 9 : 1.",
)

# %% nbgrader={"grade": true, "grade_id": "temperature_values_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: other sizes and temperatures; one row, one character; float64 and float32.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for B, size, dtype in [(5, 7, "float64"), (4, 4, "float32"), (1, 6, "float64"), (3, 1, "float64")]:
    z = rng.normal(size=(B, size)).astype(dtype)
    temperature = float(rng.choice([rng.uniform(0.4, 0.8), rng.uniform(1.3, 3)]))
    scores = torch.tensor(z, dtype=torch.float64) / temperature
    expected = torch.stack([torch.softmax(row, dim=0) for row in scores]).numpy()
    assert_close(softmax_at(z.copy(), temperature), expected, "y_hat")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "temperature_large_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: very large and very small scores, in rows that lie far apart, and a very low temperature.
### BEGIN HIDDEN TESTS
import torch

rng = np.random.default_rng(np.random.randint(2**31 - 1))
for shift in (1000.0, -1000.0):
    z = rng.integers(-12, 13, size=(3, 6)) / 4 + np.array([[shift], [0.0], [-shift]])
    expected = torch.stack([torch.softmax(row, dim=0) for row in torch.tensor(z)]).numpy()
    assert_close(softmax_at(z.copy(), 1.0), expected, "y_hat")
best = rng.permutation(6)[:3]
z = rng.uniform(-3, 1, size=(3, 6))
z[np.arange(3), best] = 3.0
assert_close(softmax_at(z.copy(), 0.001), np.eye(6)[best], "y_hat")
### END HIDDEN TESTS

# %% [markdown]
# ## 13. Top-k
#
# A hundred characters that have half a percent each are drawn every other time. Two ways cut off
# this tail, and give what is left its sum of 1 back. The first keeps a number of characters
# (Fan, Lewis and Dauphin 2018).
#
# **Write `top_k(y_hat, k)`.** Each row of `y_hat` $(B, \lvert V\rvert)$ is a distribution,
# $1 \le k \le \lvert V\rvert$. In each row keep the `k` largest probabilities, set the others to 0,
# and divide the row by its sum. **Exactly `k` are kept**: where several equal ones compete for the
# last places, any of them may have it. Return the new rows $(B, \lvert V\rvert)$, each probability
# at its old place.


# %% nbgrader={"grade": false, "grade_id": "top_k", "locked": false, "schema_version": 3, "solution": true, "task": false}
def top_k(y_hat, k):
    """Return each row of y_hat (B, |V|) with its k largest entries alone, summing to 1 again."""
    ### BEGIN SOLUTION
    kept = np.argsort(-y_hat, axis=-1)[:, :k]
    result = np.zeros_like(y_hat)
    np.put_along_axis(result, kept, np.take_along_axis(y_hat, kept, axis=-1), axis=-1)
    return result / np.sum(result, axis=-1, keepdims=True)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "top_k_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
kept = top_k(np.array([[0.2, 0.5, 0.05, 0.25], [0.6, 0.1, 0.2, 0.1]]), 2)
assert_close(
    np.asarray(kept)[0],
    [0.0, 2 / 3, 0.0, 1 / 3],
    "the first row",
    "0.5 and 0.25 stay, at their places, and are divided by 0.75.",
)
assert_close(
    kept, [[0.0, 2 / 3, 0.0, 1 / 3], [0.75, 0.0, 0.25, 0.0]], "both rows", "Each has its own two."
)
kept = np.asarray(top_k(np.array([[0.2, 0.4, 0.4]]), 1))
assert np.count_nonzero(kept) == 1, "k = 1 keeps one of the two equal ones, not both"

# %% nbgrader={"grade": true, "grade_id": "top_k_values_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden: other distributions, all characters, one character; float64 and float32.
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(np.random.randint(2**31 - 1))
for B, size, k, dtype in [
    (5, 9, 3, "float64"),
    (4, 4, 2, "float32"),
    (3, 6, 6, "float64"),
    (1, 7, 1, "float64"),
    (2, 1, 1, "float64"),
]:
    y_hat = rng.dirichlet(np.ones(size), size=B).astype(dtype)
    expected = []
    for row in y_hat.astype(float).tolist():
        border = sorted(row, reverse=True)[k - 1]
        mass = sum(p for p in row if p >= border)
        expected.append([p / mass if p >= border else 0.0 for p in row])
    assert_close(top_k(y_hat.copy(), k), expected, "the distribution")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "top_k_ties_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: equal probabilities at the border, of which any may stay.
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(np.random.randint(2**31 - 1))
for counts, k in [([8, 4, 4, 4, 1], 2), ([5, 5, 5, 5], 3), ([9, 9, 3, 3, 3, 2], 4), ([2, 2], 1)]:
    row = rng.permutation(np.array(counts) / sum(counts))
    (result,) = np.asarray(top_k(row[None].copy(), k), dtype=float).reshape(1, -1)
    assert len(result) == len(row)
    # Judged by what stays, not by which of the equal ones it is.
    largest = np.sort(row)[::-1][:k]
    assert np.count_nonzero(result) == k
    assert_close(np.sort(result)[::-1][:k], largest / largest.sum(), "what stays")
    assert_close(result[result > 0], row[result > 0] / largest.sum(), "what stays, at its place")
### END HIDDEN TESTS

# %% [markdown]
# ## 14. Nucleus
#
# After *the LOR* one character is nearly certain, after *the* many are possible: no `k` is right
# for both. The **nucleus** (Holtzman et al. 2020) keeps a mass and not a number: go through the
# characters from the most to the least probable and stop **as soon as the sum is at least** $p$.
# The character that reaches it is kept, so at least one always is.
#
# ```text
#   y_hat, sorted    0.5   0.25   0.15   0.1
#   sum so far       0.5   0.75   0.9    1.0
#   p = 0.8          keep  keep   keep   -          three, and divide by 0.9
# ```
#
# **Write `nucleus(y_hat, p)`.** Each row of `y_hat` $(B, \lvert V\rvert)$ is a distribution,
# $0 < p \le 1$; the result is as in question 13. With $p = 1$ every character stays that has a
# probability above 0, even if rounding makes the sum of a row a little less than 1. In the tests no
# sum comes so near to $p < 1$ that rounding would decide, and no two probabilities are equal.


# %% nbgrader={"grade": false, "grade_id": "nucleus", "locked": false, "schema_version": 3, "solution": true, "task": false}
def nucleus(y_hat, p):
    """Return each row with its most probable entries alone, as few as reach the mass p."""
    ### BEGIN SOLUTION
    order = np.argsort(-y_hat, axis=-1)
    ordered = np.take_along_axis(y_hat, order, axis=-1)
    before = np.cumsum(ordered, axis=-1) - ordered  # the mass of all that are more probable
    result = np.zeros_like(y_hat)
    np.put_along_axis(result, order, np.where(before < p, ordered, 0), axis=-1)
    return result / np.sum(result, axis=-1, keepdims=True)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "nucleus_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
rows = np.array([[0.15, 0.5, 0.1, 0.25], [0.9, 0.05, 0.03, 0.02]])
assert_close(
    np.asarray(nucleus(rows.copy(), 0.88))[0],
    [0.15 / 0.9, 0.5 / 0.9, 0.0, 0.25 / 0.9],
    "the first row, p = 0.88",
    "0.5 + 0.25 are not yet 0.88; the 0.15 that reaches it stays as well.",
)
assert_close(
    np.asarray(nucleus(rows.copy(), 0.88))[1],
    [1, 0, 0, 0],
    "the second row, p = 0.88",
    "0.9 alone is enough.",
)
assert_close(
    nucleus(rows.copy(), 0.4),
    [[0, 1, 0, 0], [1, 0, 0, 0]],
    "both rows, p = 0.4",
    "The most probable character is always kept.",
)

# %% nbgrader={"grade": true, "grade_id": "nucleus_mass_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden: other distributions and masses; one row; float64 and float32.
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(np.random.randint(2**31 - 1))
for B, size, dtype in [(5, 9, "float64"), (4, 4, "float32"), (1, 7, "float64"), (6, 5, "float64")]:
    close = True
    while close:  # until no sum is near p and no two probabilities are alike
        y_hat, p = rng.dirichlet(np.ones(size), size=B).astype(dtype), float(rng.uniform(0.2, 0.95))
        if B > 1:  # a row in which one character is enough
            y_hat[0] = y_hat[0] / 25 + 0.96 * np.eye(size)[0]
        rows = np.sort(y_hat.astype(float), axis=-1)[:, ::-1]
        gaps = np.abs(np.cumsum(rows, axis=-1) - p).min(), np.abs(np.diff(rows, axis=-1)).min()
        close = min(gaps) < 1e-4
    expected = []
    for row in y_hat.astype(float).tolist():
        kept, mass = [], 0.0
        for i in sorted(range(size), key=lambda i, row=row: -row[i]):
            if mass < p:
                kept.append(i)
                mass += row[i]
        expected.append([row[i] / mass if i in kept else 0.0 for i in range(size)])
    assert_close(nucleus(y_hat.copy(), p), expected, "the distribution")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "nucleus_edges_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: p = 1, p near 0, one character in the vocabulary, characters with probability 0.
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, zeros, dtype in [
    (1, 0, "float64"),
    (6, 0, "float64"),
    (30, 0, "float32"),
    (5, 2, "float64"),
]:
    y_hat = rng.dirichlet(np.full(size, 5.0), size=3).astype(dtype)
    y_hat[:, :zeros] = 0
    y_hat /= y_hat.sum(axis=-1, keepdims=True)
    assert_close(nucleus(y_hat.copy(), 1.0), y_hat, "the distribution at p = 1")
    best = np.eye(size)[y_hat.argmax(axis=-1)]
    assert_close(nucleus(y_hat.copy(), 1e-6), best, "the distribution at p near 0")
### END HIDDEN TESTS

# %% [markdown]
# ## 15. Writing
#
# Now the loop: read a character, choose the next from the scores, read that one, and so on. How to
# choose is again an argument.
#
# ```text
#          choose     choose     choose
#           z ─► y     z ─► y     z ─► y          the text: y, y, y
#           ▲    │     ▲    │     ▲
#   h_0 ──► h    │ ──► h    │ ──► h
#           ▲    └───► ▲    └───► ▲
#          x_0
# ```
#
# **Write `write(theta, x_0, h_0, n, step, choose)`.** `x_0` $(B,)$ are the characters to begin
# with, `h_0` is $(B, H)$, `n` at least 1. `step(theta, x_t, h_prev)` gives the next state, as in
# question 2; `choose(z_t)` gets the scores $z_t = h_t U^\top + b_2$, $(B, \lvert V\rvert)$, and
# returns the characters $(B,)$ that come next. Call each of them once for every character written.
# Return the text, $(n, B)$: the `n` characters that were chosen, without `x_0`.


# %% nbgrader={"grade": false, "grade_id": "write", "locked": false, "schema_version": 3, "solution": true, "task": false}
def write(theta, x_0, h_0, n, step, choose):
    """Return n chosen characters for each text, (n, B); each is the input of the next step."""
    ### BEGIN SOLUTION
    x_t, h, text = x_0, h_0, []
    for _ in range(n):
        h = step(theta, x_t, h)
        x_t = choose(h @ theta["U"].T + theta["b_2"])
        text.append(x_t)
    return np.array(text)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "write_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def toy_choice(z_t):
    """The sum of a text's scores, rounded to a whole number."""
    return np.rint(np.sum(z_t, axis=-1)).astype(int)


# toy_step halves the state and adds the character; the scores are [h1, 2 h2 - 1], summed by choose.
text = write(copy.deepcopy(toy), np.array([1]), np.array([[2.0, 0.0]]), 3, toy_step, toy_choice)
text = np.asarray(list(text))
assert text.shape == (3, 1), f"3 characters of 1 text have the shape (3, 1), not {text.shape}"
assert text[0, 0] == 3, f"1 is read, the state is [2, 1], the scores [2, 1]: 3, not {text[0, 0]}"
assert text[1, 0] == 10, (
    f"now 3 is read, the state is [4, 3.5], the scores [4, 6]: 10, not {text[1, 0]}"
)
assert text[2, 0] == 34, (
    f"10 is read, the state is [12, 11.75], the scores [12, 22.5]: 34, not {text[2, 0]}"
)

# %% nbgrader={"grade": true, "grade_id": "write_first_hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# Hidden: one character.
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, H, B, dtype in [(6, 4, 5, "float64"), (4, 4, 4, "float32"), (1, 2, 1, "float64")]:
    margin = 0.0
    while margin < 1e-3:  # until rounding cannot decide
        theta = random_theta(rng, size, 2, H, dtype)
        x_0 = rng.integers(size, size=B)
        h_0 = rng.uniform(-1, 1, size=(B, H)).astype(dtype)
        pairs = zip(x_0, h_0, strict=True)
        h = np.tanh([theta["W_h"] @ h + theta["W_e"] @ theta["E"][i] for i, h in pairs])
        far = np.abs(np.array([theta["U"] @ row + theta["b_2"] for row in h]) + 0.5)
        margin = np.diff(np.sort(far, axis=-1)[:, :2], axis=-1).min(initial=1.0)

    def tanh_step(theta, x_t, h_prev):
        """An RNN without a bias."""
        e_t = theta["E"][np.asarray(x_t, dtype=int)]
        return np.tanh(np.asarray(h_prev) @ theta["W_h"].T + e_t @ theta["W_e"].T)

    def near_minus_half(z_t):
        """The character whose score is nearest to -1/2: neither the best nor the worst."""
        return np.abs(np.asarray(z_t) + 0.5).argmin(axis=-1)

    text = write(copy.deepcopy(theta), x_0, h_0, 1, tanh_step, near_minus_half)
    text = np.asarray(list(text))
    assert text.shape == (1, B)
    assert (text[0] == far.argmin(axis=-1)).all()
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "write_text_hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# Hidden: longer texts, one and several side by side, other steps and choices.
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(np.random.randint(2**31 - 1))
for size, H, B, n, sign in [(9, 4, 5, 6, 1), (7, 7, 7, 7, -1), (12, 3, 1, 12, 1)]:
    margin = 0.0
    while margin < 1e-3:  # until rounding cannot decide
        theta = random_theta(rng, size, 2, H)
        first, h_0 = rng.integers(size, size=B), rng.uniform(-1, 1, size=(B, H))
        expected, margin = np.zeros((n, B), dtype=int), 1.0
        for b in range(B):  # one text after the other
            h, i = h_0[b], first[b]
            for t in range(n):
                h = np.tanh(theta["W_h"] @ h + 2 * theta["W_e"] @ theta["E"][i])
                scores = sign * (theta["U"] @ h + theta["b_2"])
                i = expected[t, b] = scores.argmax()
                margin = min(margin, float(np.diff(np.sort(scores)[-2:])[0]))

    def doubled_step(theta, x_t, h_prev):
        """An RNN whose input counts twice."""
        e_t = theta["E"][np.asarray(x_t, dtype=int)]
        return np.tanh(np.asarray(h_prev) @ theta["W_h"].T + 2 * e_t @ theta["W_e"].T)

    def extreme(z_t, sign=sign):
        """The best character, or the worst."""
        return (sign * np.asarray(z_t)).argmax(axis=-1)

    text = np.asarray(list(write(copy.deepcopy(theta), first, h_0, n, doubled_step, extreme)))
    assert text.shape == (n, B)
    assert (text == expected).all()
### END HIDDEN TESTS

# %% [markdown]
# ### On real text
#
# Your pieces read the Psalms of the King James Bible, some hundred thousand characters of them,
# cut into columns that are read side by side; the state is carried from piece to piece, and the
# gradient is cut there (truncated BPTT, lecture 06, section 8). What is given is the loop. Whoever
# wrote loops over texts instead of products of matrices will wait a while here; that costs nothing.


# %% nbgrader={"grade": false, "grade_id": "draw", "locked": true, "schema_version": 3, "solution": false, "task": false}
def draw(y_hat, rng):
    """Return a character for each row (B, |V|), drawn with the row's probabilities."""
    mass = np.cumsum(np.asarray(y_hat, dtype=float), axis=-1)
    dice = rng.random((len(mass), 1)) * mass[:, -1:]
    return (mass <= dice).sum(axis=-1)


# %% nbgrader={"grade": false, "grade_id": "train_on_psalms", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["skip-execution", "nbval-skip"]
from lectures import corpora

psalms = "".join(
    verse.text + "\n"
    for verse in corpora.king_james()
    if verse.book == "Psalms" and corpora.split(verse.book, verse.chapter) == "train"
)
characters = sorted(set(psalms))
stream = np.array([characters.index(character) for character in psalms])
B, tau, H, epochs = 32, 32, 128, 4
pieces = (len(stream) - 1) // (B * tau)
x = stream[: B * tau * pieces].reshape(B, -1).T  # (steps, B): B places of the text, side by side
y = stream[1 : B * tau * pieces + 1].reshape(B, -1).T
batches = [(x[k : k + tau], y[k : k + tau]) for k in range(0, len(x), tau)] * epochs
print(f"{len(psalms)} characters, {len(characters)} different ones, {len(batches)} steps")

theta, losses = train(new_theta(np.random.default_rng(0), len(characters), 32, H), batches, 0.005)
print(f"first loss {losses[0]:.2f}, log |V| {np.log(len(characters)):.2f}")
print(f"last {pieces} batches: {bits_per_character([np.array(losses[-pieces:])]):.2f} bits")

# %% nbgrader={"grade": false, "grade_id": "verse", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["skip-execution", "nbval-skip"]
ways = {
    "temperature 1": lambda z: softmax_at(z, 1.0),
    "temperature 0.5": lambda z: softmax_at(z, 0.5),
    "top 5": lambda z: top_k(softmax_at(z, 1.0), 5),
    "nucleus 0.8": lambda z: nucleus(softmax_at(z, 1.0), 0.8),
}
rng = np.random.default_rng(1)
newline, start = np.array([characters.index("\n")]), np.zeros((1, H), dtype=np.float32)
for name, way in ways.items():

    def choose(z_t, way=way):
        """Draw from the distribution that this way makes of the scores."""
        return draw(way(z_t), rng)

    text = write(theta, newline, start, 250, cell_step, choose)
    print(f"--- {name}\n" + "".join(characters[i] for i in np.asarray(list(text))[:, 0]) + "\n")

# %% [markdown]
# Play: other temperatures, other masses, more epochs, another book of the Bible. Which cut keeps the
# most of the language and the least of the nonsense?
#
# And what does this network's gradient feel of the past? Your question 8, on one stretch of text:

# %% nbgrader={"grade": false, "grade_id": "memory", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["skip-execution", "nbval-skip"]
h, z = (np.asarray(part) for part in forward(theta, x[:200, :1], start, cell_step))
r_0 = score_gradient(library_softmax(z[-1:], axis=-1), y[199:200, :1]) @ theta["U"]
norms = list(norm_by_lag(theta["W_h"], h[:, 0], np.asarray(r_0)[0, 0]))
for lag in (0, 5, 10, 20, 40, 80):
    print(f"lag {lag:2}: {norms[lag] / norms[0]:.1e} of the gradient at lag 0")

# %% [markdown]
# ## 16. A written answer
#
# A classmate trains another RNN with your functions and looks at `norm_by_lag`: 0.4 at lag 0,
# 0.0004 at lag 10, 0.0000004 at lag 20. "The gradient vanishes", they say, "so I shall raise the
# clipping threshold $c$ until it doesn't."

# %% [markdown] nbgrader={"grade": false, "grade_id": "written", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": true}
# **In three to six sentences**: (a) By which factor do these norms fall at each step back, and what
# in the formula of question 8 makes it one factor after the other? (b) Why will no threshold $c$
# help? What is clipping good for? (c) The norm of $\partial J/\partial W_h$ is not small at all.
# How does that go together with the norms above, and what will this network not learn?
#
# ### BEGIN MARK SCHEME
# Three points, one for each letter:
#
# - (a) A thousandth in ten steps is a factor of about 1/2 a step (0.001 ** (1 / 10) = 0.50), since
#   each step back multiplies once more by the slopes 1 - h^2 (at most 1) and by W_h. Half a point
#   for the number without the reason, or the reason without the number.
# - (b) Clipping only shortens: a gradient below c stays as it is, whatever c. (And it scales all
#   lags alike.) It is good against exploding gradients, single steps that would throw the weights
#   far away. Half for each of the two sentences.
# - (c) The gradient of W_h is a sum over all uses, and its recent terms are not small; the sum hides
#   that the old terms are missing. The network will not learn to use what is more than some ten or
#   twenty characters back. Half for each of the two sentences.
#
# Take nothing off for language, length or other symbols. "The state has forgotten the text" is not
# the same as (c): the state may still hold it, but training does not feel it. Half for that.
#
# A full answer: (a) From 0.4 to 0.0004 in ten steps is $10^{-3}$, a half at each step; every step
# back multiplies $r$ by the slopes $1-h^2\le 1$ and by $W_h$, so the factors multiply. (b) Clipping
# multiplies by $c/\lVert g\rVert$ only where $\lVert g\rVert\ge c$: it never makes anything longer.
# It guards against explosion. (c) $\partial J/\partial W_h=\sum_t\delta_t h_{t-1}^\top$ contains
# the contributions of small lags, which are large; those of large lags add nearly nothing, so
# dependencies over twenty characters are not learned.
# ### END MARK SCHEME

# %% [markdown]
# *Write your answer here, in place of this line.*
