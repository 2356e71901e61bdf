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
# # 06 Recurrent language models: one state instead of a window
#
# The n-gram models of lecture 05 look through a **fixed window**. To see one word or character
# further back they must store counts for all longer n-grams, most of which occur once. **Can a
# model of fixed size read a text of any length, remember what matters of it, and predict as well?**
#
# **After this lecture you can**
#
# - write a recurrent neural network (RNN) and its loss in NumPy, for σ and for tanh;
# - derive backpropagation through time (BPTT), and prove each use of a repeated weight;
# - truncate it, train with it on the King James Bible, and sample text at a temperature;
# - say what an RNN gains over n-grams and what it costs, in numbers;
# - compare language models by bits per character.
#
# **You need** lectures 02 (softmax gradient, central differences, Adam) and 05 (n-grams,
# perplexity). **Time**: 75 minutes to read; all cells together run in under a minute on one core.
#
# ## Symbols
#
# | symbol | shape | meaning |
# |---|---|---|
# | $\lvert V\rvert$, $d$, $H$ | numbers | characters; length of an input vector; of the state |
# | $T$, $B$, $\tau$ | numbers | steps; texts read side by side; steps between truncations |
# | $x_t$ | $\lvert V\rvert$ | character $t$: a one-hot vector; in code its number |
# | $E$, $e_t$ | $\lvert V\rvert\times d$, $d$ | input vectors, one a row; $e_t = E^\top x_t$ |
# | $W_e$, $W_h$, $b_1$ | $H\times d$, $H\times H$, $H$ | weights from input and from state; bias |
# | $a_t$, $h_t$ | $H$ | before and after $\varphi$: the hidden state; $h_0$ is where we begin |
# | $\varphi$ | function | $\sigma$ (the notes) or tanh (practice) |
# | $U$, $b_2$ | $\lvert V\rvert\times H$, $\lvert V\rvert$ | output vectors, one a row; bias |
# | $z_t$, $\hat y_t$, $y_t$ | $\lvert V\rvert$ | scores; prediction; $x_{t+1}$, one-hot |
# | $J_t$, $J$ | numbers | loss of step $t$, mean over $T$ steps, in nats |
# | $\delta_t$ | $H$ | $\partial J/\partial a_t$ |
# | $\theta$ | | all of $E, W_e, W_h, b_1, U, b_2$ |
# | $\mathcal T$, $k$ | numbers | temperature (section 12); characters back (section 11) |
#
# Section 10 has lecture 05's letters: an n-gram $cw$ is a context $c$ and a character $w$, $N$ is
# its count, $D$ a discount, and $\delta$ without an index is the number that add-δ adds.
#
# The notes write $h^{(t)}$ where we write $h_t$, and $E x$ with vectors as columns of $E$; ours are
# rows, as in lectures 01 and 02.

# %%
if __name__ != "__main__":
    raise ImportError("a lecture is run, not imported; its helpers are corpora and figures")

import json
from collections import Counter
from time import process_time
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import pyplot as plt
from safetensors.numpy import load_file
from scipy.stats import entropy

from lectures import corpora, figures, running_table
from lectures.gradient_check import central_difference
from lectures.intervals import bootstrap_interval

torch.set_num_threads(1)
blue, orange, green, red = (figures.palette[k] for k in ("blue", "orange", "green", "red"))

# %% [markdown]
# ## 1. A memory of one number
#
# Let the state be a single number, and each step halve it and add 1 if the character is *a*:
#
# $$h_t = \tfrac12 h_{t-1} + [x_t = \text{a}], \qquad h_0 = 0.$$
#
# **Predict before you run.** What is the state after *abb*? After *aba*? Can two different texts of
# ten letters, *a* or *b*, end in the same state?
#
# <details><summary>Answer</summary>
#
# $\frac14$ and $1\frac14$. No: written in binary, the state *is* the text, its last letter in front
# of the point. The rule has two numbers, however long the text is.
#
# </details>


# %%
def remember(text):
    h = 0.0
    for letter in text:
        h = h / 2 + (letter == "a")
    return h


print("abb:", remember("abb"), " aba:", remember("aba"))
texts = [f"{i:010b}".replace("0", "a").replace("1", "b") for i in range(2**10)]
assert (remember("abb"), remember("aba")) == (1 / 4, 1 + 1 / 4)
assert len({remember(text) for text in texts}) == 2**10

# %% [markdown]
# A 4-gram model cannot tell *abbb* from *bbbb* when it predicts what follows: its window holds
# *bbb* both times. The state still can. That is the whole idea: **replace the window by a state
# that is updated at each step by the same rule**. What to keep of the past shall not be ours to
# say, but learned. So the rule gets weights.
#
# ## 2. The equations
#
# $$e_t = E^\top x_t,\qquad a_t = W_h h_{t-1} + W_e e_t + b_1,\qquad h_t = \varphi(a_t),$$
# $$z_t = U h_t + b_2,\qquad \hat y_t = \mathrm{softmax}(z_t) = P(x_{t+1}\mid x_1,\dots,x_t).$$
#
# $E^\top x_t$ with a one-hot $x_t$ is a row of $E$, so the code looks it up. One thing is unlike
# every model so far: **the same $W_h$, $W_e$, $U$ at every step**.


# %%
class Theta(NamedTuple):
    E: np.ndarray  # (|V|, d)
    W_e: np.ndarray  # (H, d)
    W_h: np.ndarray  # (H, H)
    b_1: np.ndarray  # (H,)
    U: np.ndarray  # (|V|, H)
    b_2: np.ndarray  # (|V|,)


def forward(theta, x, h_0, phi):
    """States h, shape (T + 1, H), the first being h_0; scores z, shape (T, |V|)."""
    h, z = [h_0], []
    for x_t in x:
        a_t = theta.W_h @ h[-1] + theta.W_e @ theta.E[x_t] + theta.b_1
        h.append(phi(a_t))
        z.append(theta.U @ h[-1] + theta.b_2)
    return np.array(h), np.array(z)


# %% [markdown]
# The function $\varphi$ keeps the state bounded. The notes have $\sigma(a) = 1/(1+e^{-a})$, between
# 0 and 1; practice has tanh, between −1 and 1. For BPTT we shall need their slopes, which can be
# had from the *output*: $\sigma' = h(1-h)$ and $\tanh' = 1-h^2$.


# %%
def sigma(a):
    return 1 / (1 + np.exp(-a))


slope = {sigma: lambda h: h * (1 - h), np.tanh: lambda h: 1 - h**2}
a = np.linspace(-3, 3, 7)
for phi in slope:
    difference = (phi(a + 1e-5) - phi(a - 1e-5)) / 2e-5
    np.testing.assert_allclose(slope[phi](phi(a)), difference, rtol=1e-6)
print("steepest slopes, at 0: σ", slope[sigma](sigma(0.0)), " tanh", slope[np.tanh](0.0))

# %% [markdown]
# A small random network, and the judge: `torch.nn.RNN` with our weights copied in. Torch has two
# bias vectors where one is enough; they are added, so the second is set to 0.

# %%
random = np.random.default_rng(0)
n_chars, d, H, T = 5, 3, 4, 12
shapes = [(n_chars, d), (H, d), (H, H), (H,), (n_chars, H), (n_chars,)]
theta = Theta(*(random.normal(0, 0.7, shape) for shape in shapes))
text = np.array([0, 1, 2, 3, 4, 2, 2, 0, 1, 4, 3, 0, 2])  # T + 1 characters, each of the five
x, y = text[:-1], text[1:]  # y is x, one step ahead
h_0 = random.normal(size=H)


# %%
def torch_rnn(theta, x, h_0):
    """The states of nn.RNN (tanh) with our weights, shape (T, H)."""
    rnn = torch.nn.RNN(theta.E.shape[1], len(theta.W_h), dtype=torch.float64)
    with torch.no_grad():
        rnn.weight_ih_l0.copy_(torch.tensor(theta.W_e))
        rnn.weight_hh_l0.copy_(torch.tensor(theta.W_h))
        rnn.bias_ih_l0.copy_(torch.tensor(theta.b_1))
        rnn.bias_hh_l0.zero_()
        h, _ = rnn(torch.tensor(theta.E[x]), torch.tensor(h_0)[None])
    return h.numpy()


h, z = forward(theta, x, h_0, np.tanh)
np.testing.assert_allclose(h[1:], torch_rnn(theta, x, h_0), rtol=1e-12)
np.testing.assert_allclose(z, h[1:] @ theta.U.T + theta.b_2, rtol=1e-12)
print("tanh: all", h[1:].size, "numbers of the states equal nn.RNN's")

# %% [markdown]
# `nn.RNN` has no σ. It needs none: $\sigma(a) = \frac12(1 + \tanh\frac a2)$. Put $h = \frac12(1 +
# h')$ into the equations, and a σ-network with state $h$ **is** a tanh-network with state $h'$ and
#
# $$W_h' = \tfrac14 W_h,\quad W_e' = \tfrac12 W_e,\quad
#   b_1' = \tfrac12 b_1 + \tfrac14 W_h\mathbf 1 .$$
#
# So the judge of tanh judges σ too. And the quarter is worth remembering: with equal weights, a
# σ-network passes on its past four times more weakly. Lecture 07 will ask what that does to
# learning.

# %%
h_sigma, _ = forward(theta, x, h_0, sigma)
same = theta._replace(
    W_h=theta.W_h / 4, W_e=theta.W_e / 2, b_1=theta.b_1 / 2 + theta.W_h.sum(axis=1) / 4
)
np.testing.assert_allclose(h_sigma[1:], (1 + torch_rnn(same, x, 2 * h_0 - 1)) / 2, rtol=1e-12)
assert not np.allclose(h_sigma, h)
print("σ: equal to nn.RNN with a quarter of W_h")

# %% [markdown]
# ## 3. The loss, and teacher forcing
#
# Each step is a classification of lecture 02: cross-entropy between the observed next character
# and the prediction. The loss of the text is the mean over its steps.
#
# $$J_t = -\sum_{w} y_{t,w}\log\hat y_{t,w} = -\log \hat y_{t,x_{t+1}},\qquad
#   J = \frac1T\sum_{t=1}^T J_t .$$


# %%
def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def loss(theta, x, y, h_0, phi):
    _, z = forward(theta, x, h_0, phi)
    J_t = -np.log(softmax(z)[np.arange(len(y)), y])
    return J_t.mean()


for phi in slope:
    _, z = forward(theta, x, h_0, phi)
    oracle = F.cross_entropy(torch.tensor(z), torch.tensor(y))
    assert np.isclose(loss(theta, x, y, h_0, phi), oracle.item())

# %% [markdown]
# **Teacher forcing**: the input of step $t+1$ is the character that really came, not the one that
# the model would have guessed. So every step is asked about the true text, whatever the model said
# before, and all targets are known in advance: $y$ is $x$ moved by one. Moved the wrong way, or not
# at all, the model would be shown what it has to predict. The test of behavior: **change one
# character, and no earlier prediction may move**; later ones do.

# %%
changed = x.copy()
changed[6] = 1  # was 2
_, z_before = forward(theta, x, h_0, np.tanh)
_, z_after = forward(theta, changed, h_0, np.tanh)
moved = np.abs(z_after - z_before).max(axis=1) > 0
print("steps whose prediction moves:", np.flatnonzero(moved))
assert moved.tolist() == [False] * 6 + [True] * 6
assert (y[:-1] == x[1:]).all()

# %% [markdown]
# ## 4. A repeated weight, by hand
#
# How does $J$ change with a weight that is used at every step? First without a network: two steps
# $h_1 = w h_0$, $h_2 = w h_1$, and $J = h_2 = w^2 h_0$. Calculus says $dJ/dw = 2 w h_0$. Now
# pretend that the two uses are two weights, $J = w_{(2)} w_{(1)} h_0$:
#
# $$\frac{\partial J}{\partial w_{(1)}} = w_{(2)} h_0,\qquad
#   \frac{\partial J}{\partial w_{(2)}} = w_{(1)} h_0 = h_1,\qquad
#   \text{and with both equal to } w:\ w h_0 + w h_0 = 2wh_0 .$$
#
# **The gradient of a repeated weight is the sum of its gradients, use by use.** It is the chain
# rule for $w \mapsto (w, w)$. The derivative of one step with its inputs held fixed, such as
# $\partial h_2/\partial w_{(2)} = h_1$, is called **immediate**, written $\partial^+h_2/\partial
# w$.

# %%
w, start = 3.0, 5.0
uses = [w * start, w * start]
total = ((w + 1e-6) ** 2 - (w - 1e-6) ** 2) * start / 2e-6
print("by use:", uses, " total:", round(total, 4))
assert np.isclose(sum(uses), total)

# %% [markdown]
# ## 5. Backpropagation through time
#
# Walk back through the equations, from the last step to the first.
#
# **The scores.** Lecture 02's error, divided by $T$ for the mean:
# $\ \partial J/\partial z_t = (\hat y_t - y_t)/T$.
#
# **The state.** $h_t$ has two readers: the output of step $t$ and the state of step $t+1$. Both
# send something back:
#
# $$\frac{\partial J}{\partial h_t} = U^\top\frac{\partial J}{\partial z_t}
#   + W_h^\top\delta_{t+1},\qquad \delta_{T+1} = 0 .$$
#
# **Through $\varphi$**, element by element:
# $\ \delta_t = \partial J/\partial a_t = \varphi'(a_t)\odot\partial J/\partial h_t$.
#
# **The weights**, summed over their uses, each with its immediate derivative:
#
# $$\frac{\partial J}{\partial W_h} = \sum_t \delta_t h_{t-1}^\top,\quad
#   \frac{\partial J}{\partial W_e} = \sum_t \delta_t e_t^\top,\quad
#   \frac{\partial J}{\partial b_1} = \sum_t \delta_t,\quad
#   \frac{\partial J}{\partial U} = \sum_t \frac{\partial J}{\partial z_t} h_t^\top,\quad
#   \frac{\partial J}{\partial b_2} = \sum_t \frac{\partial J}{\partial z_t},$$
#
# and row $x_t$ of $\partial J/\partial E$ receives $W_e^\top\delta_t$.


# %%
def bptt(theta, x, y, h_0, phi):
    """The gradient of `loss`, a Theta; and δ, shape (T + 2, H), its first and last rows 0."""
    T = len(x)
    h, z = forward(theta, x, h_0, phi)
    grad = Theta(*(np.zeros_like(part) for part in theta))
    delta = np.zeros((T + 2, len(h_0)))
    for t in range(T, 0, -1):  # h[t] was made from x[t - 1], as the text counts from 1
        grad_z = softmax(z[t - 1])
        grad_z[y[t - 1]] -= 1
        grad_z /= T
        grad_h = theta.U.T @ grad_z + theta.W_h.T @ delta[t + 1]
        delta[t] = slope[phi](h[t]) * grad_h
        grad.U[:] += np.outer(grad_z, h[t])
        grad.b_2[:] += grad_z
        grad.W_h[:] += np.outer(delta[t], h[t - 1])
        grad.W_e[:] += np.outer(delta[t], theta.E[x[t - 1]])
        grad.b_1[:] += delta[t]
        grad.E[x[t - 1]] += theta.W_e.T @ delta[t]
    return grad, delta


# %% [markdown]
# The two judges of lecture 02: central differences, and autograd over the equations written in
# torch. For every parameter, for σ and for tanh.


# %%
def torch_loss(theta, x, y, h_0, phi, W_h=None):
    """J by torch. `W_h` may hold a weight of its own for each step, shape (T, H, H)."""
    W_h = theta.W_h.expand(len(x), -1, -1) if W_h is None else W_h
    h, z = torch.tensor(h_0), []
    for t, x_t in enumerate(x):
        h = phi(W_h[t] @ h + theta.W_e @ theta.E[x_t] + theta.b_1)
        z.append(theta.U @ h + theta.b_2)
    return F.cross_entropy(torch.stack(z), torch.tensor(y), reduction="none")


# %%
torch_phi = {sigma: torch.sigmoid, np.tanh: torch.tanh}
for phi in slope:
    grad, _ = bptt(theta, x, y, h_0, phi)
    leaves = Theta(*(torch.tensor(part, requires_grad=True) for part in theta))
    torch_loss(leaves, x, y, h_0, torch_phi[phi]).mean().backward()
    for name, ours, leaf in zip(Theta._fields, grad, leaves, strict=True):

        def moved_loss(part, name=name, phi=phi):
            return loss(theta._replace(**{name: part}), x, y, h_0, phi)

        assert np.abs(ours).min() > 1e-6, "too near zero to judge"
        np.testing.assert_allclose(ours, leaf.grad.numpy(), rtol=1e-9)
        differences = central_difference(moved_loss, getattr(theta, name))
        np.testing.assert_allclose(ours, differences, rtol=1e-4, atol=1e-9)
    print(f"{phi.__name__}: {sum(g.size for g in grad)} numbers, both judges agree")

# %% [markdown]
# The sum agrees. Do its terms? Give torch **twelve matrices**, one for each use of $W_h$, all
# equal, and ask for twelve gradients. Each must be our $\delta_t h_{t-1}^\top$.

# %%
grad, delta = bptt(theta, x, y, h_0, np.tanh)
h, _ = forward(theta, x, h_0, np.tanh)
fixed = Theta(*map(torch.tensor, theta))
copies = torch.tensor(np.repeat(theta.W_h[None], T, axis=0), requires_grad=True)
torch_loss(fixed, x, y, h_0, torch.tanh, copies).mean().backward()
for t in range(1, T + 1):
    np.testing.assert_allclose(np.outer(delta[t], h[t - 1]), copies.grad[t - 1], rtol=1e-9)
np.testing.assert_allclose(copies.grad.sum(dim=0), grad.W_h, rtol=1e-9)
print("twelve uses, twelve gradients, and their sum is ∂J/∂W_h")

# %% [markdown]
# **The notes' form** is for one step's loss: $\partial J_t/\partial W_h = \sum_{i=1}^{t} \partial
# J_t/\partial W_h|_{(i)}$. Why only up to $t$? What is used later cannot have mattered. For $t=8$:
#
# **Predict before you run.** Which uses of $W_h$ matter most for the loss of step 8?
#
# <details><summary>Answer</summary>
#
# Mostly the recent ones: on the way to an earlier use, the signal passes through one more
# $\varphi'$ and one more $W_h^\top$ a step. The norms need not fall at every single step.
#
# </details>

# %%
copies.grad = None
torch_loss(fixed, x, y, h_0, torch.tanh, copies)[8 - 1].backward()
norms = copies.grad.flatten(1).norm(dim=1).numpy()
print("‖∂J₈/∂W_h|(i)‖, i = 1 … 12:", norms.round(3))
assert (norms[8:] == 0).all()
assert (norms[:8] > 0).all()
assert norms[6:8].min() > norms[:4].max()

# %% [markdown]
# What breaks: leave out $W_h^\top\delta_{t+1}$, the message from the future, and the gradient is
# plausible and wrong. Then each step learns as if its state had no later reader. It still points
# downhill, so training works, a little, and nobody gets an error. Only a gradient check tells.


# %%
def cosine(a, b):
    a, b = (np.concatenate([part.ravel() for part in theta]) for theta in (a, b))
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def cut_at_every_step(theta, x, y, h_0, phi):
    """What BPTT gives if no message comes back from the next step."""
    h, _ = forward(theta, x, h_0, phi)
    steps = [bptt(theta, x[[t]], y[[t]], h[t], phi)[0] for t in range(len(x))]
    return Theta(*(sum(parts) / len(x) for parts in zip(*steps, strict=True)))


wrong = cut_at_every_step(theta, x, y, h_0, np.tanh)
error = np.abs(wrong.W_h - grad.W_h).max() / np.abs(grad.W_h).max()
print(f"largest error in ∂J/∂W_h: {error:.0%}; cosine with the gradient: {cosine(wrong, grad):.2f}")
np.testing.assert_allclose(wrong.U, grad.U, rtol=1e-9)  # U and b₂ need no message
assert error > 0.1
assert 0 < cosine(wrong, grad) < 0.999

# %% [markdown]
# ## 6. Many texts at once
#
# For speed, $B$ texts are read side by side, as rows: $h_t$ becomes a $B\times H$ matrix, and $W_h
# h$ becomes $h W_h^\top$. Look at what stays inside the loop over $t$: one product and one
# $\varphi$. All inputs, scores and weight gradients are computed for all steps at once; only the
# chain of states has to wait for itself.


# %%
def forward_batch(theta, x, h_0, phi=np.tanh):
    """x (T, B), h_0 (B, H): states h (T + 1, B, H) and scores z (T, B, |V|)."""
    from_input = (theta.E @ theta.W_e.T + theta.b_1)[x]  # (T, B, H), a table for |V| inputs
    h = np.empty((len(x) + 1, *h_0.shape), dtype=h_0.dtype)
    h[0] = h_0
    for t in range(len(x)):
        h[t + 1] = phi(h[t] @ theta.W_h.T + from_input[t])
    return h, h[1:] @ theta.U.T + theta.b_2


# %%
def bptt_batch(theta, x, y, h_0, phi=np.tanh):
    """Mean loss over T steps and B texts, its gradient, and the last state (B, H)."""
    h, z = forward_batch(theta, x, h_0, phi)
    grad_z = softmax(z)
    t, b = np.indices(x.shape)
    J = -np.log(grad_z[t, b, y]).mean()
    grad_z[t, b, y] -= 1
    grad_z /= x.size
    delta, message = grad_z @ theta.U, 0  # δ begins as what the outputs send back
    for t in range(len(x) - 1, -1, -1):
        delta[t] = slope[phi](h[t + 1]) * (delta[t] + message)
        message = delta[t] @ theta.W_h
    return J, weight_gradients(theta, x, h, grad_z, delta), h[-1]


# %%
def weight_gradients(theta, x, h, grad_z, delta):
    """The sums over all steps and texts, each as one product of matrices."""
    rows, before, after = (part.reshape(-1, part.shape[-1]) for part in (delta, h[:-1], h[1:]))
    z_rows, e = grad_z.reshape(-1, grad_z.shape[-1]), theta.E[x.ravel()]
    grad_E = np.zeros_like(theta.E)
    np.add.at(grad_E, x.ravel(), rows @ theta.W_e)  # a character that repeats is added each time
    return Theta(
        E=grad_E,
        W_e=rows.T @ e,
        W_h=rows.T @ before,
        b_1=rows.sum(axis=0),
        U=z_rows.T @ after,
        b_2=z_rows.sum(axis=0),
    )


# %% [markdown]
# The fast version must be the mean of the slow one over the texts.

# %%
x_batch, y_batch = random.integers(n_chars, size=(2, T, 6))
h_batch = random.normal(size=(6, H))
for phi in slope:
    J, fast, last = bptt_batch(theta, x_batch, y_batch, h_batch, phi)
    singles = [(x_batch[:, b], y_batch[:, b], h_batch[b], phi) for b in range(6)]
    assert np.isclose(J, np.mean([loss(theta, *one) for one in singles]))
    slow = [bptt(theta, *one)[0] for one in singles]
    for name, ours, *parts in zip(Theta._fields, fast, *slow, strict=True):
        np.testing.assert_allclose(ours, np.mean(parts, axis=0), rtol=1e-9, err_msg=name)
    np.testing.assert_allclose(last[0], forward(theta, *singles[0][::2], phi)[0][-1])
print("six texts side by side: loss, gradients and last states equal")

# %% [markdown]
# ## 7. The text
#
# The King James Bible, character by character, as at the end of lecture 05: one chapter is a string
# in which each verse ends in a newline. With 66 characters nothing is ever out of vocabulary, so
# every model must give *every* text a probability, and all are comparable.

# %%
chapters = {side: corpora.king_james_chapters(side) for side in ("train", "valid", "test")}
chars = sorted(set("".join(chapters["train"])))
index = {char: i for i, char in enumerate(chars)}
for side, texts in chapters.items():
    print(f"{side:5} {len(texts):5,} chapters {sum(map(len, texts)):9,} characters")
    assert set("".join(texts)) <= set(chars)
print(f"|V| = {len(chars)}; a test chapter begins {chapters['test'][0][:49]!r}")


def encode(text):
    return np.array([index[char] for char in text])


# %% [markdown]
# **The unit.** $J$ in nats divided by $\ln 2$ is **bits per character**: the length, per character,
# of the best code that believes the model. Lecture 05's perplexity is $e^J = 2^{\text{bits}}$. A
# uniform guess costs $\log_2 66 = 6.04$ bits.
#
# Training reads $B = 64$ places of the text at once: the training text is cut into 64 equal
# stretches, which are the columns of one array.

# %%
B, tau = 64, 64
stream = encode("".join(chapters["train"]))
steps = (len(stream) - 1) // B // tau
columns = stream[: B * steps * tau].reshape(B, -1).T  # (steps · τ, B)
targets = stream[1 : B * steps * tau + 1].reshape(B, -1).T
assert (targets[:-1] == columns[1:]).all()
print(f"{steps} steps of {tau} characters in {B} columns")

# %% [markdown]
# ## 8. Truncated BPTT
#
# BPTT over a whole column would keep 59,000 states for each of 64 texts and take one step for its
# pains. **Truncated BPTT** cuts the column into pieces of $\tau$ characters. The *state* goes on
# from piece to piece: the forward pass is exact. The *gradient* does not: the state that a piece
# begins with counts as a constant.
#
# So a weight's use is credited only with losses of its own piece. How much is lost? It depends on
# the model; here it is asked of a trained one, which section 9 tells about. Judge: torch, with
# `detach` between the pieces.


# %%
def truncated(theta, x, y, h, tau):
    """Mean of the pieces' gradients; the state is carried on."""
    grads = []
    for k in range(0, len(x), tau):
        _, grad, h = bptt_batch(theta, x[k : k + tau], y[k : k + tau], h)
        grads.append(grad)
    return Theta(*(np.mean(parts, axis=0) for parts in zip(*grads, strict=True))), h


# %%
leaves = Theta(*(torch.tensor(part, requires_grad=True) for part in theta))
h_torch, total = torch.tensor(h_batch), 0.0
for t in range(T):
    if t % 4 == 0:
        h_torch = h_torch.detach()  # cut here
    h_torch = torch.tanh(h_torch @ leaves.W_h.T + leaves.E[x_batch[t]] @ leaves.W_e.T + leaves.b_1)
    z_torch = h_torch @ leaves.U.T + leaves.b_2
    total = total + F.cross_entropy(z_torch, torch.tensor(y_batch[t])) / T
total.backward()

# %%
cut, last_cut = truncated(theta, x_batch, y_batch, h_batch, tau=4)
_, full, last_full = bptt_batch(theta, x_batch, y_batch, h_batch)
for ours, leaf in zip(cut, leaves, strict=True):
    np.testing.assert_allclose(ours, leaf.grad.numpy(), rtol=1e-9)
np.testing.assert_allclose(last_cut, last_full)  # the forward pass is exact
np.testing.assert_allclose(cut.U, full.U)  # so U's gradient is, too
assert not np.allclose(cut.W_h, full.W_h, rtol=0.05)
for ours, whole in zip(truncated(theta, x_batch, y_batch, h_batch, tau=T)[0], full, strict=True):
    np.testing.assert_allclose(ours, whole)  # τ = T cuts nothing

# %% [markdown]
# Now on real text, with the trained RNN: 512 characters in 8 columns. For each $\tau$, the cosine
# between the truncated gradient and the full one, over all of $\theta$ but $U$ and $b_2$.

# %%
shipped = corpora.DATA / "rnn_lm.safetensors"
weights = load_file(shipped)
manifest = json.loads(shipped.with_suffix(".json").read_text())
trained = Theta(*(weights[name].astype(np.float64) for name in Theta._fields))
assert manifest["characters"] == "".join(chars)
hidden = len(trained.W_h)
print(f"H = {hidden}, {sum(part.size for part in trained):,} numbers, {manifest['epochs']} epochs")

# %%
h = np.zeros((8, hidden))
x_long, y_long = columns[:512, :8], targets[:512, :8]
no_U = {"U": np.zeros(1), "b_2": np.zeros(1)}
_, full, _ = bptt_batch(trained, x_long, y_long, h)
agreement = {
    k: cosine(truncated(trained, x_long, y_long, h, k)[0]._replace(**no_U), full._replace(**no_U))
    for k in (1, 2, 4, 8, 16, 32, 64, 128)
}
for k, value in agreement.items():
    print(f"τ = {k:3}: cosine {value:.2f}, states in memory {k / 512:.1%}")
assert (np.diff(list(agreement.values())) > 0).all()
assert 0.5 < agreement[1] < 0.7
assert agreement[64] > 0.98

# %% [markdown]
# The truncated gradient leans the right way even at $\tau=1$, and by $\tau=64$ little is missing,
# at an eighth of the memory. That is why $\tau = 64$ is enough to train with. It also is a warning:
# if the full gradient holds so little that is older than 64 characters, then the model will hardly
# learn to use anything older. Lecture 07 asks why.
#
# ## 9. Training
#
# First the ritual of lecture 02 for one's own code. *Do the gradients pass both judges?* Sections 5
# and 6. *Is the first loss near $\log|V|$?* Small output weights make all scores nearly 0. *Can it
# learn one batch by heart?* Four pieces of 32 characters, again and again. The gradient is ours,
# the optimizer is torch's Adam, which lecture 02 proved equal to its own: torch tensors here share
# their memory with our arrays.
#
# **Predict before you run.** Learning one batch by heart says nothing about new text. What does it
# test?
#
# <details><summary>Answer</summary>
#
# That the machine works: the gradient's sign, the step, a state that reaches the output. A model
# that cannot learn 128 characters by heart has a bug, or too few numbers. And here it tests the
# state itself: from one predecessor alone the four pieces cannot be known by heart, since the same
# character is followed by different ones. The last line below says what that would leave.
#
# </details>


# %%
def new_theta(H, d=32, seed=0):
    random = np.random.default_rng(seed)
    n = len(chars)
    shapes = [(n, d), (H, d), (H, H), (H,), (n, H), (n,)]
    scales = [1, d**-0.5, H**-0.5, 0, 0.01, 0]
    draws = (random.normal(0, 1, shape) * s for shape, s in zip(shapes, scales, strict=True))
    return Theta(*(draw.astype(np.float32) for draw in draws))


class Learner:
    """Takes Adam's steps on the arrays of `theta`, in place, with the gradient of `bptt_batch`."""

    def __init__(self, theta, rate):
        self.theta = theta
        self.shared = [torch.from_numpy(part) for part in theta]
        self.adam = torch.optim.Adam(self.shared, lr=rate)

    def step(self, x, y, h_0):
        J, grad, h = bptt_batch(self.theta, x, y, h_0)
        for part, g in zip(self.shared, grad, strict=True):
            part.grad = torch.from_numpy(g)
        self.adam.step()
        return J, h


# %%
learner = Learner(new_theta(H=64), rate=0.01)
h_0 = np.zeros((4, 64), dtype=np.float32)
losses = [learner.step(columns[:32, :4], targets[:32, :4], h_0)[0] for _ in range(300)]
print(f"first loss {losses[0]:.2f}, log |V| {np.log(len(chars)):.2f}, after 300 steps: under 0.05")
assert abs(losses[0] - np.log(len(chars))) < 0.05
assert losses[-1] < 0.05
learned = Theta(*(part.astype(float) for part in learner.theta))
assert loss(learned, columns[:32, 0], targets[:32, 0], np.zeros(64), np.tanh) < 0.05  # section 3's

read, asked = columns[:32, :4].ravel(), targets[:32, :4].ravel()
before, both = Counter(read), Counter(zip(read, asked, strict=True))
floor = -sum(n * np.log(n / before[a]) for (a, _), n in both.items()) / len(read)
print(f"from one predecessor alone, no model could get below {floor:.2f}")
assert losses[-1] < floor / 10

# %% [markdown]
# Now the real thing: $H = 128$, one pass over two thirds of the training text, our BPTT, the state
# carried from piece to piece. After every 100 steps we look at the first 500 characters of each
# validation chapter.


# %%
def chapter_bits(theta, texts, piece=256):
    """-log2 P of each text, begun from h = 0 and a newline; the state goes on between pieces."""
    longest, dtype = max(map(len, texts)), theta.E.dtype
    ids = np.zeros((longest + 1, len(texts)), dtype=int)
    ids[0] = index["\n"]
    for b, text in enumerate(texts):
        ids[1 : len(text) + 1, b] = encode(text)
    lengths, bits = np.array([*map(len, texts)]), np.zeros(len(texts))
    state = np.zeros((len(texts), len(theta.W_h)), dtype)
    for k in range(0, longest, piece):
        on = np.flatnonzero(lengths > k)  # texts that are not yet at their end
        h, z = forward_batch(theta, ids[:-1][k : k + piece, on], state[on])
        t, b = np.indices(z.shape[:2])
        log_p = np.log2(softmax(z)[t, b, ids[1:][k : k + piece, on]])
        bits[on] -= np.where(k + t < lengths[on], log_p, 0).sum(axis=0)
        state[on] = h[-1]
    return bits


# %% [markdown]
# Padding, pieces and dropped texts are three chances for an error. Judge: `loss` of section 3, one
# text at a time, without any of the three.

# %%
some = [chapters["valid"][0][:70], chapters["valid"][1][:9], chapters["valid"][2][:41]]
small = Theta(*(part.astype(np.float64) for part in new_theta(H=16)))._replace(
    U=random.normal(size=(len(chars), 16))
)
for text, bits in zip(some, chapter_bits(small, some, piece=8), strict=True):
    ids = encode("\n" + text)
    J = loss(small, ids[:-1], ids[1:], np.zeros(16), np.tanh)
    assert np.isclose(bits, J * len(text) / np.log(2))

# %%
H, n_steps = 128, 600
learner = Learner(new_theta(H), rate=0.004)
h = np.zeros((B, H), dtype=np.float32)
openings = [text[:500] for text in chapters["valid"]]
curve = []
for step in range(n_steps):
    piece = slice(step * tau, (step + 1) * tau)
    for group in learner.adam.param_groups:
        group["lr"] = 0.004 * (1 - step / n_steps)
    J, h = learner.step(columns[piece], targets[piece], h)
    if step == 0 or (step + 1) % 100 == 0:
        valid = chapter_bits(learner.theta, openings).sum() / sum(map(len, openings))
        curve.append((step + 1, J / np.log(2), valid))
print(f"bits per character: first {curve[0][1]:.1f}, at the end under 2.4")
assert abs(curve[0][1] - np.log2(len(chars))) < 0.1
assert curve[-1][2] < 2.4

# %% [markdown]
# To read a curve one needs to know what is easy. Two marks: the entropy of the characters'
# frequencies, and what the best predictor of a character from **one** predecessor would get. Below
# the second, the model must be using its memory.

# %%
pairs = np.zeros((len(chars), len(chars)))
np.add.at(pairs, (stream[:-1], stream[1:]), 1)
singles, given = pairs.sum(axis=0) / pairs.sum(), pairs / pairs.sum(axis=1, keepdims=True)
entropy_1 = -(singles * np.log2(singles, where=singles > 0, out=np.zeros_like(singles))).sum()
log_given = np.log2(given, where=given > 0, out=np.zeros_like(given))
entropy_2 = -(pairs / pairs.sum() * log_given).sum()
print(f"frequencies alone {entropy_1:.2f}; one predecessor {entropy_2:.2f} bits per character")
# Judge: the chain rule. A pair's entropy is that of its first character + that of the second.
both, first = (entropy(counts, base=2) for counts in (pairs.ravel(), pairs.sum(axis=1)))
assert np.isclose(both - first, entropy_2)
assert np.isclose(entropy(singles, base=2), entropy_1)
assert curve[-1][2] < entropy_2 < entropy_1

# %%
fig, ax = plt.subplots()
at, _, valid = zip(*curve, strict=True)
ax.plot(np.array(at) * B * tau / 1e6, valid, "o-", color=blue)
marks = {"uniform": np.log2(len(chars)), "frequencies": entropy_1, "one predecessor": entropy_2}
for label, height in marks.items():
    ax.axhline(height, color="gray", linewidth=1)
    ax.annotate(f"{label}: {height:.2f}", (n_steps * B * tau / 1e6, height + 0.06), ha="right")
ax.set(xlabel="characters read (million)", ylabel="bits per character, unseen", ylim=(1.8, 6.5))
ax.set_title("After half a million characters, memory is at work")
figures.show(
    fig,
    f"""Bits per character on unseen chapters against characters read. From {valid[0]:.1f}, near
    the 6.04 of a uniform guess, below {entropy_2:.1f}, the best from one predecessor, within the
    first half million characters, and below 2.4 after 2.5 million.""",
)
assert valid[1] < entropy_2  # after 0.41 million

# %% [markdown]
# The curve is still falling. A longer run with more units takes minutes, so it was done once, by
# `make checkpoints`: the same model with $H=512$, twelve passes, weights kept in 16-bit floats. It
# is the trained model of section 8; from here on it is ours. Is the shipped file what its manifest
# says, and as good?

# %%
trained_32 = Theta(*(part.astype(np.float32) for part in trained))
bits_rnn = chapter_bits(trained_32, chapters["test"])
n_characters = sum(map(len, chapters["test"]))
print(f"shipped RNN on the test chapters: {bits_rnn.sum() / n_characters:.2f} bits per character")
assert abs(bits_rnn.sum() / n_characters - manifest["test"]) < 0.003
assert manifest["text"] == corpora.SOURCES["king_james"].sha256

# %% [markdown]
# ## 10. The running table opens
#
# Is that good? Compare, on one split, by one rule: **for each test chapter, begun afresh after a
# newline, the sum of $-\log_2 P$ over its characters.** All bits divided by all characters is the
# score. Choices such as $n$ are made on the validation chapters.
#
# The rivals are lecture 05's. **Modified Kneser–Ney** takes a discount off each count, and gives
# what that frees to the next shorter context:
#
# $$P_n(w\mid c) = \frac{N(cw) - D_{N(cw)} + P_{n-1}(w\mid c')\sum_{w'} D_{N(cw')}}{N(c)},$$
#
# where $c'$ is $c$ without its first character, and below the longest $n$ the "count" $N(cw)$ is
# how many different characters stood before $cw$. There are three discounts an order, for counts of
# 1, 2, and 3 or more; single characters have none. With $n_k$ for how many n-grams have count $k$,
# Chen and Goodman take $D_k = k - (k+1)\,Y\,n_{k+1}/n_k$, where $Y = n_1/(n_1+2n_2)$. Lecture 05
# wrote the model with dictionaries. Here it stands in sorted arrays, an n-gram as one integer: its
# characters are digits to the base 66.


# %%
def n_grams(ids, n):
    """The numbers of all n-grams, along the last axis."""
    windows = np.lib.stride_tricks.sliding_window_view(ids, n, axis=-1)
    return windows @ len(chars) ** np.arange(n)[::-1]


def grams_of(texts, n):
    return [n_grams(encode("\n" * (n - 1) + text), n) for text in texts]


def discounts(N):
    n = np.bincount(N, minlength=5)
    Y = n[1] / (n[1] + 2 * n[2])
    return np.array([0, *(k - (k + 1) * Y * n[k + 1] / n[k] for k in (1, 2, 3))])


# In the head: of 8 counts 4 are 1, 2 are 2, one is 3, one is 4. So Y = 4 / (4 + 2 · 2) = 1/2.
assert discounts(np.array([1, 1, 1, 1, 2, 2, 3, 4])).tolist() == [0, 0.5, 1.25, 1]


# %%
def kneser_ney(texts, n):
    """For orders 1 to n: n-grams, N(cw), N(cw) − D; contexts, N(c), what their discounts freed."""
    tables = []
    grams, N = np.unique(np.concatenate(grams_of(texts, n)), return_counts=True)
    for k in range(n, 0, -1):
        taken = (discounts(N) if k > 1 else np.zeros(4))[np.minimum(N, 3)]
        contexts, first = np.unique(grams // len(chars), return_index=True)
        totals, freed = np.add.reduceat(N, first), np.add.reduceat(taken, first)
        tables.insert(0, (grams, N, N - taken, contexts, totals, freed))
        grams, N = np.unique(grams % len(chars) ** (k - 1), return_counts=True)  # kinds before
    return tables


# %%
def look_up(keys, values, wanted):
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)


def P_kneser_ney(tables, wanted):
    """P of the last character given those before it, for n-grams of the highest order."""
    P = np.zeros(len(wanted))
    for k, (grams, _, kept, contexts, totals, freed) in enumerate(tables, start=1):
        cw = wanted % len(chars) ** k
        c = cw // len(chars)
        N_c = look_up(contexts, totals, c)
        top = look_up(grams, kept, cw) + look_up(contexts, freed, c) * P
        P = np.where(N_c > 0, top / np.maximum(N_c, 1), P)  # an unseen context: go shorter
    return P


# %% [markdown]
# Two checks. The formula again, with strings and dictionaries and one n-gram at a time, on two
# chapters; and the sum over all 66 next characters, in contexts seen and unseen.


# %%
def by_formula(gram, counts):
    N = counts[len(gram)]
    same = [other for other in N if other[:-1] == gram[:-1]]
    shorter = by_formula(gram[1:], counts) if len(gram) > 1 else 0
    if not same:
        return shorter
    D = discounts(np.array([*N.values()])) if len(gram) > 1 else np.zeros(4)
    freed = sum(D[min(N[other], 3)] for other in same)
    return (N[gram] - D[min(N[gram], 3)] + freed * shorter) / sum(N[other] for other in same)


two = chapters["train"][:2]
counts = {3: Counter(("\n\n" + t)[i : i + 3] for t in two for i in range(len(t)))}
for k in (2, 1):
    counts[k] = Counter(gram[1:] for gram in counts[k + 1])
for gram in ("the", "God", "zqe", "\n\nI", "e, ", "xth"):
    fast = P_kneser_ney(kneser_ney(two, 3), n_grams(encode(gram), 3))[0]
    assert np.isclose(fast, by_formula(gram, counts)), gram

# %%
orders = range(1, 11)
models = {n: kneser_ney(chapters["train"], n) for n in orders}
context = encode("the LORD zqxjk! And he")
for n in (2, 6, 10):
    for end in (9, 14, 22):
        base = n_grams(np.append(context[end - n + 1 : end], 0), n)[0]
        assert np.isclose(P_kneser_ney(models[n], base + np.arange(len(chars))).sum(), 1)
print("equal to the formula; sums to 1 for n = 2, 6, 10, in contexts seen and unseen")


# %%
def n_gram_bits(n, side, P=P_kneser_ney):
    return np.array([-np.log2(P(models[n], grams)).sum() for grams in grams_of(chapters[side], n)])


n_valid = sum(map(len, chapters["valid"]))
on_valid = {n: n_gram_bits(n, "valid").sum() / n_valid for n in orders}
stored = {n: sum(len(grams) for grams, *_ in models[n]) for n in orders}
for n in orders:
    print(f"n = {n:2}: {on_valid[n]:.2f} bits per character on valid, {stored[n]:9,} n-grams")
best_n = min(on_valid, key=on_valid.get)
assert abs(on_valid[1] - entropy_1) < 0.05  # section 9's marks, by another way
assert abs(on_valid[2] - entropy_2) < 0.05

# %% [markdown]
# One more rival, without backoff: **add-δ**, the first cure of lecture 05. With both $n$ and
# $\delta$ chosen on valid.


# %%
def P_add(delta):
    def P(tables, wanted):
        grams, N, _, contexts, totals, _ = tables[-1]  # raw counts: the highest order only
        total = look_up(contexts, totals, wanted // len(chars))
        return (look_up(grams, N, wanted) + delta) / (total + delta * len(chars))

    return P


grid = {(n, x): n_gram_bits(n, "valid", P_add(x)).sum() for n in (4, 5, 6) for x in (0.01, 0.1, 1)}
add_n, add_delta = min(grid, key=grid.get)
base = n_grams(np.append(context[9 : 8 + add_n], 0), add_n)
assert np.isclose(P_add(add_delta)(models[add_n], base + np.arange(len(chars))).sum(), 1)
print(f"best add-δ on valid: n = {add_n}, δ = {add_delta}")

# %% [markdown]
# **How the table is kept.** `lectures/data/bits_per_character.csv` has one line per model: its
# name, the lecture, how many numbers it stores, and its bits for each of the 47 test chapters, so
# that any two models can be compared chapter by chapter. No line is taken on trust: a lecture
# computes the bits of its models and calls `running_table.check`, which fails if the file says
# otherwise. Lectures 08 and 14 will add theirs, and read ours.

# %%
uniform = np.array([len(text) for text in chapters["test"]]) * np.log2(len(chars))
n_parameters = sum(part.size for part in trained)
table = {
    "uniform": (0, uniform),
    "frequencies": (stored[1], n_gram_bits(1, "test")),
    f"add-δ n={add_n}": (len(models[add_n][-1][0]), n_gram_bits(add_n, "test", P_add(add_delta))),
    "Kneser-Ney n=4": (stored[4], n_gram_bits(4, "test")),
    "Kneser-Ney n=6": (stored[6], n_gram_bits(6, "test")),
    f"Kneser-Ney n={best_n}": (stored[best_n], n_gram_bits(best_n, "test")),
    f"RNN H={hidden}": (n_parameters, bits_rnn),
}
for model, (numbers, bits) in table.items():
    row = running_table.check(model, "06", numbers, bits)
    print(f"{model:16} {row.per_character:.2f} bits per character, {row.stored:9,} numbers")

# %% [markdown]
# Who beats whom? Draw chapters with replacement, the same for both, and look at the difference
# (lecture 02's paired bootstrap; here an item is a chapter).


# %%
def difference(bits_a, bits_b, characters):
    return (bits_a.sum() - bits_b.sum()) / characters.sum()


rows = running_table.rows()
rnn = rows[f"RNN H={hidden}"]
compared = {}
for model, row in rows.items():
    if row.lecture == "06" and row is not rnn:
        pair = (rnn.bits, row.bits, row.characters)
        compared[model] = difference(*pair), *bootstrap_interval(difference, *pair)
        print("RNN − {:16} {:+.2f} [{:+.2f}, {:+.2f}]".format(model, *compared[model]))

# %%
fig, ax = plt.subplots()
on_test = {n: n_gram_bits(n, "test").sum() / n_characters for n in orders}
ax.semilogx([stored[n] for n in orders], list(on_test.values()), "s--", color=red)
for n in (1, 2, 3, 4, 6, best_n):
    ax.annotate(f"n = {n}", (stored[n], on_test[n]), (6, 4), textcoords="offset points", color=red)
ax.plot(rnn.stored, rnn.per_character, "o", color=blue, markersize=9)
ax.annotate(f"RNN, H = {hidden}", (4e3, rnn.per_character - 0.03), color=blue)
ax.annotate("Kneser–Ney", (stored[3], 3.3), color=red)
ax.set(xlabel="numbers stored (n-gram counts, or weights)", ylabel="bits per character on test")
ax.set(xlim=(30, 3e7))
ax.set_title("The n-grams buy each bit with more storage")
figures.show(
    fig,
    f"""Bits per character on the test chapters against numbers stored, log scale. Kneser–Ney falls
    from {on_test[1]:.2f} bits (n=1, 66 numbers) to {on_test[best_n]:.2f} (n={best_n},
    {stored[best_n] / 1e6:.1f} million). The RNN has {rnn.per_character:.2f} bits with
    {rnn.stored / 1e6:.1f} million numbers.""",
)

# %%
equal_n = min(n for n in orders if on_test[n] <= rnn.per_character)
for n in (equal_n, best_n):
    print(f"n = {n}: {on_test[n]:.2f} bits, {stored[n] / rnn.stored:.0f} times the RNN's numbers")
assert all(
    high < 0 for model, (_, _, high) in compared.items() if model != f"Kneser-Ney n={best_n}"
)
assert compared[f"Kneser-Ney n={best_n}"][1] > 0
assert rnn.stored < stored[6]

# %% [markdown]
# **What the table says.** The RNN beats Kneser–Ney with $n=6$ while it stores fewer numbers; no
# interval of the lines above it contains 0. Kneser–Ney with $n=10$ beats *it*, by a twentieth of a
# bit, and stores thirteen times as much (each count needs its n-gram beside it, too, which we do
# not charge). So the answer to this lecture's question is: a model of fixed size predicts as well
# as counts of a few times that size; "neural networks beat n-grams" is not in these numbers. They
# are those of one network, one seed, twelve passes.
#
# ## 11. What it gains and what it costs
#
# The notes list four advantages and two costs. Each is a statement that can be measured.
#
# **1. It can process any length.** Section 9 read the longest test chapter and the shortest with
# the same $\theta$; their lengths are printed below. **2. The model does not grow with the
# context**: the figure above has one blue point, not a curve. An n-gram model that sees one
# character more stores a table more, and never meets most of what it could be asked:

# %%
asked = {n: np.concatenate(grams_of(chapters["test"], n)) for n in orders}
seen = {n: np.isin(asked[n], models[n][-1][0]).mean() for n in orders}
for n in (2, 4, 6, 8, 10):
    print(f"n = {n:2}: {stored[n]:9,} counts; {1 - seen[n]:5.1%} of the test n-grams never counted")
lengths = [len(text) for text in chapters["test"]]
print(f"test chapters have {min(lengths):,} to {max(lengths):,} characters")
assert max(lengths) > 10 * min(lengths)
assert 1 - seen[10] > 0.2 > 1 - seen[4]

# %% [markdown]
# **3. The same weights at every step: inputs are treated alike wherever they stand.** Formally:
# whoever has the state $h_s$ needs nothing else of the past, not even how long it was. Read a text
# in one go, or stop anywhere and go on from the state: the same numbers, to the last bit.

# %%
reading = encode("\nIn the beginning God created the heaven and the earth.")[:, None]
whole, _ = forward_batch(trained, reading, np.zeros((1, hidden)))
for s in (1, 10, 40):
    rest, _ = forward_batch(trained, reading[s:], whole[s])
    np.testing.assert_array_equal(rest, whole[s:])
print("reading on from h₁, h₁₀ or h₄₀ gives the same states")

# %% [markdown]
# **4. A step can use information from many steps back (in theory).** Change one character, $k$
# places back, and see how far the prediction moves: by total variation, half the sum of
# $|\Delta\hat y|$ over the 66 characters (0: unmoved, 1: all mass moved). For an n-gram model it is
# exactly 0 for $k\ge n$. Here it is asked at 60 places of the test chapters.
#
# **Predict before you run.** Is it 0 for $k = 128$?
#
# <details><summary>Answer</summary>
#
# No: nothing in the equations forgets completely. But it is small, and cost 2 below asks what it is
# worth.
#
# </details>

# %%
lags = [1, 2, 4, 8, 16, 32, 64, 128]
ends = [(text, end) for text in chapters["test"] for end in (600, 900) if len(text) > end][:60]
windows = np.array([encode(text[end - 128 : end]) for text, end in ends]).T  # (128, places)
h = np.zeros((windows.shape[1], hidden))


def predict(x):
    return softmax(forward_batch(trained, x, h)[1][-1])


base, influence = predict(windows), {}
for k in lags:
    other = windows.copy()
    other[-k] = (other[-k] + random.integers(1, len(chars), other.shape[1])) % len(chars)
    influence[k] = np.abs(predict(other) - base).sum(axis=1).mean() / 2
print("moved by the character k back:", {k: float(f"{v:.1g}") for k, v in influence.items()})
assert all(value > 0 for value in influence.values())
assert influence[1] > 10 * influence[64]

# %% [markdown]
# **Cost 1: recurrent computation is slow.** Not because there is much to compute: because $h_t$
# must wait for $h_{t-1}$. One text of 1,024 characters and 1,024 texts of one character need the
# same multiplications; the second can do them together. We assert a factor of 3 for $H = 64$; the
# processor here showed more. With $H = 512$ each single product keeps one core busy, and here the
# factor shrinks. (A graphics processor computes thousands of products at once: lecture 12.)


# %%
def seconds(theta, x):
    h, best = np.zeros((x.shape[1], len(theta.W_h)), dtype=np.float32), np.inf
    for _ in range(5):
        began = process_time()
        forward_batch(theta, x, h)
        best = min(best, process_time() - began)
    return best


# %% tags=["nbval-ignore-output"]
row = columns[:1024, :1]
in_a_row, side_by_side = seconds(new_theta(H=64), row), seconds(new_theta(H=64), row.T)
print(f"H = 64: in a row {in_a_row * 1e3:.1f} ms, side by side {side_by_side * 1e3:.1f} ms")
large = seconds(new_theta(H=512), row), seconds(new_theta(H=512), row.T)
print(f"the first takes {in_a_row / side_by_side:.0f} times as long; at H = 512, "
      f"{large[0] / large[1]:.1f} times")  # fmt: skip
assert in_a_row > 3 * side_by_side
assert large[0] > large[1]

# %% [markdown]
# **Cost 2: in practice it is difficult to use information from many steps back.** Wipe the memory:
# let the RNN begin at $h=0$ only $k$ characters before the one to be predicted, and measure the
# bits at 3,000 places. Beside it, at the same places, Kneser–Ney with $n = k+1$, which sees as
# much.

# %%
spans = [1, 2, 3, 4, 6, 8, 9, 16, 32, 64]
texts = [encode(text) for text in chapters["test"]]
places = [(i, j) for i, text in enumerate(texts) for j in range(64, len(text))]
chosen = [places[i] for i in np.random.default_rng(0).choice(len(places), 3_000, replace=False)]
window = np.array([texts[i][j - 64 : j + 1] for i, j in chosen]).T  # (65, 3,000)
rnn_bits, kn_bits = {}, {}
for k in spans:
    _, z = forward_batch(trained_32, window[-k - 1 : -1], np.zeros((3_000, hidden), np.float32))
    p = softmax(z[-1])[np.arange(3_000), window[-1]]
    rnn_bits[k] = -np.log2(p)
    if k < max(orders):
        kn_bits[k] = -np.log2(P_kneser_ney(models[k + 1], n_grams(window[-k - 1 :].T, k + 1)[:, 0]))

# %%
for k in spans:
    line = f"{k:2} characters: RNN {rnn_bits[k].mean():.2f}"
    print(line + (f", Kneser–Ney {kn_bits[k].mean():.2f}" if k in kn_bits else ""))
low, high = bootstrap_interval(np.mean, rnn_bits[16] - rnn_bits[64])
print("from 16 to 64 characters the RNN gains less than 0.02 bits")
assert -0.02 < low < high < 0.02
assert rnn_bits[8].mean() - rnn_bits[16].mean() > 0.1
assert kn_bits[9].mean() < rnn_bits[64].mean()

# %%
fig, ax = plt.subplots()
ax.semilogx(spans, [rnn_bits[k].mean() for k in spans], "o-", color=blue, base=2)
ax.semilogx(list(kn_bits), [b.mean() for b in kn_bits.values()], "s--", color=red, base=2)
ax.annotate("RNN, begun k characters ago", (8, rnn_bits[8].mean()), (10, 12),
            textcoords="offset points", color=blue)  # fmt: skip
ax.annotate("Kneser–Ney, n = k + 1", (1, 1.4), color=red)
ax.set_xticks(spans, [str(k) for k in spans])
ax.set(xlabel="characters of context k", ylabel="bits per character, 3,000 test places")
ax.set_title("After sixteen characters the RNN gains nothing more")
figures.show(
    fig,
    f"""Bits per character against context length. RNN: {rnn_bits[1].mean():.1f} with 1 character,
    {rnn_bits[8].mean():.1f} with 8, {rnn_bits[16].mean():.1f} with 16, {rnn_bits[64].mean():.1f}
    with 64. Kneser–Ney: {kn_bits[1].mean():.1f} with 1, {kn_bits[8].mean():.1f} with 8.""",
)

# %% [markdown]
# The RNN starts behind: a few characters are spent on getting from $h=0$, which training hardly
# ever showed it, to a state that it knows. By sixteen it has all that it will ever have. What is
# older still moves the prediction (advantage 4), by too little to help. The state *could* carry
# more: section 1 carried ten letters in one number, and here there are 512. Kneser–Ney, with nine
# characters and no state, is ahead.
#
# ## 12. Sampling text
#
# A language model writes if it is fed its own output: draw $x_{t+1}$ from $\hat y_t$, make it the
# next input, repeat. A **temperature** $\mathcal T$ divides the scores first: $\hat y =
# \mathrm{softmax}(z/\mathcal T)$. At $\mathcal T=1$ the model speaks for itself; as $\mathcal T\to
# 0$ only the best score survives (argmax); as $\mathcal T\to\infty$ all characters become equal.

# %%
z = np.log([4, 2, 1, 1])
for temperature in (0.5, 1, 2):
    print(f"temperature {temperature}: {softmax(z / temperature).round(3)}")
assert np.allclose(softmax(z / 0.5) * 22, [16, 4, 1, 1])  # squares of 4, 2, 1, 1
assert np.allclose(softmax(z / 1e-3), [1, 0, 0, 0])
assert np.allclose(softmax(z / 1e3), 0.25, atol=1e-3)


# %%
def sample(theta, steps, temperature, n, seed=0):
    """`n` texts of `steps` characters, each begun from h = 0 and a newline."""
    random = np.random.default_rng(seed)
    h, x = np.zeros((n, len(theta.W_h))), np.full(n, index["\n"])
    written = []
    for _ in range(steps):
        (_, h), z = forward_batch(theta, x[None], h)
        y_hat = softmax(z[0] / temperature)
        x = (y_hat.cumsum(axis=1) < random.random((n, 1))).sum(axis=1)  # inverse of the c.d.f.
        written.append(x)
    return ["".join(chars[i] for i in text) for text in np.array(written).T]


# %% [markdown]
# Does it draw with the right probabilities? A model without memory, whose scores are always those
# of the cell above, must give the shares $\frac12,\frac14,\frac18,\frac18$: within four standard
# errors over 40,000 draws.

# %%
fixed_scores = np.full(len(chars), -1e9)
fixed_scores[:4] = z
flat = small._replace(U=np.zeros_like(small.U), b_2=fixed_scores)
drawn = "".join(sample(flat, steps=100, temperature=1.0, n=400))
shares = np.array([drawn.count(char) for char in chars[:4]]) / len(drawn)
expected = softmax(z)
assert (np.abs(shares - expected) < 4 * np.sqrt(expected * (1 - expected) / len(drawn))).all()

# %% [markdown]
# And does each character depend on all that was written before? Near $\mathcal T=0$ the sample is
# greedy. Read it again, as a text, with `forward` of section 2: each of its characters must be the
# one with the best score, given all before it.

# %%
greedy = encode("\n" + sample(small, steps=40, temperature=1e-6, n=1)[0])
_, scores = forward(small, greedy[:-1], np.zeros(16), np.tanh)
assert (scores.argmax(axis=1) == greedy[1:]).all()

# %%
for temperature in (0.2, 0.6, 1.0, 1.5):
    print(f"— temperature {temperature} —")
    print(sample(trained, steps=240, temperature=temperature, n=1, seed=3)[0] + "\n")

# %% [markdown]
# Cold, it keeps to known words and repeats itself; at 1 it makes up names and now and then a word;
# hot, it falls apart. In numbers: which share of its words occurs in the training text?

# %%
known = set("".join(chapters["train"]).split())
quality = {}
for temperature in (0.2, 0.6, 1.0, 1.5):
    texts = sample(trained, steps=300, temperature=temperature, n=16)
    words = [word for text in texts for word in text.split()[:-1]]  # the last may be cut off
    quality[temperature] = np.mean([w in known for w in words]), len(set(words)) / len(words)
    share, kinds = quality[temperature]
    print(f"temperature {temperature}: {share:.0%} of the words known, {kinds:.0%} different ones")
real = [word for text in chapters["test"] for word in text.split()]
print(f"the test chapters: {np.mean([w in known for w in real]):.0%} known")
assert quality[0.2][0] > quality[1.0][0] > quality[1.5][0]
assert quality[0.2][1] < quality[1.0][1] < quality[1.5][1]

# %% [markdown]
# In training it read the true text at each step; here it reads its own. An odd character leads to a
# state that training never showed it, from where it goes on. Lecture 09 comes back to this gap
# between teacher forcing and free running.

# %% [markdown]
# ## 13. What we showed
#
# | claim | its check |
# |---|---|
# | A state of one number can hold a whole text | section 1, 1,024 texts of ten letters |
# | Our tanh RNN is `nn.RNN`; σ is tanh with $\frac14W_h$ | section 2, every state |
# | $J$ is torch's cross-entropy, per step and mean | section 3, σ and tanh |
# | A prediction never sees what it predicts | section 3, one character changed |
# | A repeated weight's gradient is the sum over its uses | section 4; section 5, twelve copies |
# | BPTT is right for every parameter, σ and tanh | section 5, both judges |
# | $\partial J_t/\partial W_h\rvert_{(i)}$ is 0 for $i>t$ | section 5, autograd |
# | Without the message from the next step it is plausible and wrong | section 5, cosine |
# | Side by side is the mean over texts | section 6, six texts |
# | Truncation leaves the forward pass and $\partial J/\partial U$ exact | section 8, `detach` |
# | With $\tau=64$ little of the gradient is missing | section 8, cosine by $\tau$ |
# | First loss $\log\lvert V\rvert$; one batch is learned by heart | section 9 |
# | Trained by our gradients, it predicts better than from one predecessor | section 9 |
# | Our Kneser–Ney is the formula, and sums to 1 | section 10, by hand; seen and unseen contexts |
# | The table's scores | section 10, computed again; paired intervals by chapter |
# | Reading on from $h_s$ is reading on from the text | section 11, to the last bit |
# | In theory every step counts; in practice few do | section 11, influence by lag; memory wiped |
# | A chain of steps is slow | section 11, timed against the same work side by side |
# | Temperature sharpens or flattens; sampling keeps the shares and the state | section 12 |
#
# Not shown: that the RNN *could not* learn to remember longer; only that this one did not. Lecture
# 07 follows the gradient back in time and sees where it goes; lecture 08 builds a state that keeps.
#
# ## Exercises
#
# In assignment **ps3_rnn_lm**: the cell step (section 2), forward over time (2), the loss (3), BPTT
# (5), sampling with temperature (12; top-k and nucleus in lecture 10), the Adam step (lecture 02).
# Gradient norm by lag and norm clipping belong to lecture 07.
#
# ## Sources
#
# - J. Elman, *Finding Structure in Time*, Cognitive Science 14 (1990): the recurrent state.
# - P. Werbos, *Backpropagation Through Time: What It Does and How to Do It* (1990).
# - R. Williams, J. Peng, *An Efficient Gradient-Based Algorithm for On-Line Training of Recurrent
#   Network Trajectories*, Neural Computation 2 (1990): truncated BPTT.
# - R. Williams, D. Zipser, *A Learning Algorithm for Continually Running Fully Recurrent Neural
#   Networks*, Neural Computation 1 (1989): teacher forcing.
# - T. Mikolov et al., *Recurrent neural network based language model*, Interspeech (2010).
# - I. Sutskever, J. Martens, G. Hinton, *Generating Text with Recurrent Neural Networks*, ICML
#   (2011): characters, bits per character, samples.
# - S. Chen, J. Goodman, *An Empirical Study of Smoothing Techniques for Language Modeling* (1998),
#   section 3: interpolated Kneser–Ney.
# - C. Manning et al., Stanford CS224N, *Lecture 5: Recurrent Neural Networks* (2024): σ, notation.
