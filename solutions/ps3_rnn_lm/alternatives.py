"""Right answers to ps3_rnn_lm in other styles; all of them score full marks. Never released."""

import math
import warnings
from itertools import accumulate

import numpy as np
import torch

from autograder.variants import variant

# Question 1


@variant("cell_step")
def cell_in_loops(theta, characters, states):
    """Loops over texts and units, math.tanh; renamed parameters; a list of lists."""
    result = []
    for i, h in zip(characters, states, strict=True):
        row = []
        for j in range(len(h)):
            a = float(theta["b_1"][j])
            a += sum(float(w) * float(x) for w, x in zip(theta["W_h"][j], h, strict=True))
            a += sum(
                float(w) * float(e) for w, e in zip(theta["W_e"][j], theta["E"][i], strict=True)
            )
            row.append(math.tanh(a))
        result.append(row)
    return result


@variant("cell_step")
def cell_by_one_hot(theta, x_t, h_prev):
    """One-hot vectors, and one product with the weights side by side, as columns."""
    x = np.eye(len(theta["E"]))[x_t]
    both = np.concatenate([h_prev, x @ theta["E"]], axis=1)
    weights = np.hstack([theta["W_h"], theta["W_e"]])
    return np.tanh(weights @ both.T + theta["b_1"][:, None]).T


@variant("cell_step")
def cell_by_sigmoid(theta, x_t, h_prev):
    """tanh(a) = 2 sigmoid(2a) - 1; an overflow warning on the way to a right result."""
    a = np.einsum("ij,bj->bi", theta["W_h"], h_prev)
    a += np.einsum("ij,bj->bi", theta["W_e"], theta["E"][x_t]) + theta["b_1"]
    return 2 / (1 + np.exp(-2 * a)) - 1


@variant("cell_step")
def cell_in_float32(theta, x_t, h_prev):
    """A table of what each character adds, and everything in float32; a warning and a print."""
    warnings.warn("float32", stacklevel=2)
    print("shape", h_prev.shape)
    table = theta["E"] @ theta["W_e"].T + theta["b_1"]
    return np.tanh((h_prev @ theta["W_h"].T + table[x_t]).astype(np.float32))


# Question 2


@variant("forward")
def forward_in_a_given_array(theta, x, h_0, step):
    """An array of zeros to be filled; the step called by keywords; scores in the loop."""
    h = np.zeros((len(x) + 1, *h_0.shape))
    z = np.zeros((*x.shape, len(theta["U"])))
    h[0] = h_0
    for t in range(x.shape[0]):
        h[t + 1] = step(x_t=x[t], h_prev=h[t], theta=theta)
        z[t] = np.dot(h[t + 1], theta["U"].T) + theta["b_2"]
    return [h, z]


@variant("forward")
def forward_by_accumulate(theta, x, h_0, step):
    """itertools.accumulate; the scores by einsum."""
    h = np.stack(list(accumulate(x, lambda h, x_t: step(theta, x_t, h), initial=h_0)))
    return h, np.einsum("tbj,wj->tbw", h[1:], theta["U"]) + theta["b_2"]


@variant("forward")
def forward_recursive(theta, x, h_0, step):
    """Recursion over the text; two lists."""
    if len(x) == 0:
        return [h_0], []
    h_1 = step(theta, x[0], h_0)
    h, z = forward_recursive(theta, x[1:], h_1, step)
    return [h_0, *h], [(theta["U"] @ np.asarray(h_1).T).T + theta["b_2"], *z]


# Question 3


@variant("mean_loss")
def loss_by_torch(z, y):
    """torch's cross-entropy; a tensor without shape."""
    z, y = torch.as_tensor(z), torch.as_tensor(y)
    return torch.nn.functional.cross_entropy(z.reshape(-1, z.shape[-1]), y.reshape(-1))


@variant("mean_loss")
def loss_in_loops(z, y):
    """A running sum over steps and texts; a list of one number."""
    total, count = 0.0, 0
    for z_t, y_t in zip(z, y, strict=True):
        for scores, i in zip(z_t.tolist(), y_t.tolist(), strict=True):
            top = max(scores)
            total += top + math.log(sum(math.exp(s - top) for s in scores)) - scores[i]
            count += 1
    return [total / count]


@variant("mean_loss")
def loss_by_one_hot(z, y):
    """logaddexp over the scores, one-hot targets; in place on its argument; shape (1, 1)."""
    z -= np.logaddexp.reduce(z, axis=-1, keepdims=True)
    return (-np.sum(np.eye(z.shape[-1])[y] * z) / y.size).reshape(1, 1)


# Question 4


@variant("bits_per_character")
def bits_in_loops(losses):
    """Two sums."""
    bits = characters = 0
    for text in losses:
        for nats in text:
            bits += float(nats) / math.log(2)
            characters += 1
    return bits / characters


@variant("bits_per_character")
def bits_weighted_by_length(losses):
    """The texts' means, weighted by their lengths; log2(e)."""
    means, lengths = zip(*[(np.mean(text), len(text)) for text in losses], strict=True)
    return np.average(means, weights=lengths) * np.log2(np.e)


# Question 5


@variant("score_gradient")
def error_in_place(y_hat, y):
    """Subtracts 1 in its argument, by index arrays for every axis."""
    t, b = np.indices(y.shape)
    y_hat[t, b, y] -= 1
    y_hat /= y.shape[0] * y.shape[1]
    return y_hat


@variant("score_gradient")
def error_in_loops(y_hat, y):
    """Nested lists."""
    T, B = y.shape
    return [
        [
            [(p - (w == y[t][b])) / (T * B) for w, p in enumerate(y_hat[t][b].tolist())]
            for b in range(B)
        ]
        for t in range(T)
    ]


@variant("score_gradient")
def error_by_torch(y_hat, y):
    """A tensor, with one_hot."""
    y_hat, y = torch.as_tensor(y_hat), torch.as_tensor(y)
    return (y_hat - torch.nn.functional.one_hot(y, y_hat.shape[-1])) / y.numel()


# Question 6


@variant("state_gradients")
def state_with_a_list(theta, h, grad_z):
    """A list that grows and is turned around; the message set to 0, a number."""
    deltas, message = [], 0
    for grad_z_t, h_t in zip(grad_z[::-1], h[:0:-1], strict=True):
        grad_h = np.dot(grad_z_t, theta["U"]) + message
        deltas.append(grad_h - grad_h * np.square(h_t))
        message = np.dot(deltas[-1], theta["W_h"])
    return deltas[::-1]


@variant("state_gradients")
def state_by_padding(theta, h, grad_z):
    """An array with a last row of zeros, as in the formula; columns; a view is returned."""
    T, B, H = h.shape
    delta = np.zeros((T, B, H))
    from_scores = np.einsum("tbw,wj->tbj", grad_z, theta["U"])
    for t in reversed(range(T - 1)):
        for b in range(B):
            back = from_scores[t, b] + theta["W_h"].T @ delta[t + 1, b]
            delta[t, b] = (1 + h[t + 1, b]) * (1 - h[t + 1, b]) * back
    return delta[:-1]


@variant("state_gradients")
def state_recursive(theta, h, grad_z):
    """Recursion from the first step to the last; float32."""

    def delta_from(t):
        later = delta_from(t + 1) if t + 1 < len(grad_z) else []
        grad_h = grad_z[t] @ theta["U"]
        if later:
            grad_h = grad_h + later[0] @ theta["W_h"]
        return [(1 - h[t + 1] ** 2) * grad_h, *later]

    return np.array(delta_from(0), dtype=np.float32)


@variant("state_gradients")
def state_by_autograd(theta, h, grad_z):
    """Differentiates the equations with torch, from the arguments of the tanh."""
    W_h, U = torch.tensor(theta["W_h"]), torch.tensor(theta["U"])
    added, state = [], torch.tensor(h[0])
    total = 0
    for t in range(len(grad_z)):
        # What the inputs must have added, so that the state is h[t + 1].
        a = torch.atanh(torch.tensor(h[t + 1]).clamp(-1 + 1e-7, 1 - 1e-7))
        a = a - torch.tensor(h[t]) @ W_h.T
        added.append(a.clone().requires_grad_())
        state = torch.tanh(state @ W_h.T + added[-1])
        total = total + ((state @ U.T) * torch.tensor(grad_z[t])).sum()
    return torch.stack(torch.autograd.grad(total, added))


# Question 7


@variant("weight_gradients")
def weights_in_loops(theta, x, h, grad_z, delta):
    """One outer product for each step and text."""
    grad = {name: np.zeros_like(part) for name, part in theta.items()}
    T, B = x.shape
    for t in range(T):
        for b in range(B):
            grad["E"][x[t, b]] += theta["W_e"].T @ delta[t, b]
            grad["W_e"] += np.outer(delta[t, b], theta["E"][x[t, b]])
            grad["W_h"] += np.outer(delta[t, b], h[t, b])
            grad["b_1"] += delta[t, b]
            grad["U"] += np.outer(grad_z[t, b], h[t + 1, b])
            grad["b_2"] += grad_z[t, b]
    return grad


@variant("weight_gradients")
def weights_by_rows(theta, x, h, grad_z, delta):
    """All steps and texts as the rows of one matrix; one-hot vectors for E; float32."""
    rows, before, after = (part.reshape(-1, part.shape[-1]) for part in (delta, h[:-1], h[1:]))
    z_rows = grad_z.reshape(-1, grad_z.shape[-1])
    one_hot = np.eye(len(theta["E"]))[x.ravel()]
    gradients = {
        "b_2": z_rows.sum(axis=0),
        "U": z_rows.T @ after,
        "b_1": rows.sum(axis=0),
        "W_h": rows.T @ before,
        "W_e": rows.T @ (one_hot @ theta["E"]),
        "E": one_hot.T @ (rows @ theta["W_e"]),
    }
    return {name: g.astype(np.float32) for name, g in gradients.items()}


@variant("weight_gradients")
def weights_by_tensordot(theta, x, h, grad_z, delta):
    """tensordot and matmul of each step; biases as columns; tensors for U."""
    every = ([0, 1], [0, 1])
    sent = delta @ theta["W_e"]
    return {
        "E": np.stack([sent[x == w].sum(axis=0) for w in range(len(theta["E"]))]),
        "W_e": np.tensordot(delta, theta["E"][x], axes=every),
        "W_h": sum(delta[t].T @ h[t] for t in range(len(x))),
        "b_1": delta.sum(axis=0).sum(axis=0)[:, None],
        "U": torch.as_tensor(np.tensordot(grad_z, h[1:], axes=every)),
        "b_2": grad_z.reshape(-1, grad_z.shape[-1]).T.sum(axis=1, keepdims=True),
    }


# Question 8


@variant("norm_by_lag")
def lag_by_jacobians(W_h, h, r_0):
    """The Jacobian of each step as a matrix; a product that grows; a list."""
    product, norms = np.eye(len(r_0)), [float(np.sqrt(r_0 @ r_0))]
    for t in range(len(h) - 1, 0, -1):
        product = product @ (np.diag(1 - h[t] ** 2) @ W_h)
        norms.append(float(np.sqrt(np.sum((r_0 @ product) ** 2))))
    return norms


@variant("norm_by_lag")
def lag_by_generator(W_h, h, r_0):
    """A generator of column vectors; math.hypot; shape (T + 1, 1)."""

    def gradients():
        r = np.reshape(r_0, (-1, 1))
        yield r
        for h_t in reversed(h[1:]):
            r = W_h.T @ (r - r * np.reshape(h_t, (-1, 1)) ** 2)
            yield r

    return np.array([[math.hypot(*r.ravel())] for r in gradients()])


# Question 9


@variant("clip_by_norm")
def clip_with_torchs_epsilon(gradients, c):
    """torch's rule, with 1e-6 added to the norm, on one long vector."""
    norm = np.linalg.norm(np.concatenate([g.ravel() for g in gradients.values()]))
    return {name: g * min(1.0, c / (norm + 1e-6)) for name, g in gradients.items()}


@variant("clip_by_norm")
def clip_in_loops(gradients, c):
    """Sums of squares in a loop; the old dictionary where nothing is to be done; copies."""
    total = 0.0
    for g in gradients.values():
        for value in np.ravel(g).tolist():
            total += value * value
    if math.sqrt(total) < c:
        return gradients
    scaled = {}
    for name in sorted(gradients, reverse=True):
        scaled[name] = gradients[name].copy()
        scaled[name] *= c
        scaled[name] /= math.sqrt(total)
    return scaled


@variant("clip_by_norm")
def clip_by_torch(gradients, c):
    """clip_grad_norm_ itself, on copies."""
    leaves = {name: torch.zeros(np.shape(g), dtype=torch.float64) for name, g in gradients.items()}
    for name, leaf in leaves.items():
        leaf.grad = torch.tensor(gradients[name], dtype=torch.float64)
    torch.nn.utils.clip_grad_norm_(list(leaves.values()), c)
    return {name: leaf.grad for name, leaf in leaves.items()}


# Question 10


@variant("adam_averages")
def averages_in_place(m, v, g, beta_1, beta_2):
    """Writes into its arguments, as a step towards the new value."""
    m += (1 - beta_1) * (g - m)
    v *= beta_2
    v += (1 - beta_2) * np.square(g)
    return [m, v]


@variant("adam_averages")
def averages_by_torch(m, v, g, beta_1, beta_2):
    """Tensors, with torch's lerp_ and addcmul_."""
    m, v, g = (torch.tensor(part) for part in (m, v, g))
    return m.lerp_(g, 1 - beta_1), v.mul_(beta_2).addcmul_(g, g, value=1 - beta_2)


# Question 11


@variant("adam_step")
def adam_as_torch_does_it(part, m, v, t, alpha, beta_1, beta_2, eps):
    """The corrections moved into the step length and the root; in place."""
    root = np.sqrt(v) / math.sqrt(1 - beta_2**t) + eps
    part -= alpha / (1 - beta_1**t) * m / root
    return part


@variant("adam_step")
def adam_number_by_number(part, m, v, t, alpha, beta_1, beta_2, eps):
    """A loop over the numbers; the sum of the weights added up; float32."""
    weight_1 = sum((1 - beta_1) * beta_1**i for i in range(t))
    weight_2 = sum((1 - beta_2) * beta_2**i for i in range(t))
    new = np.empty(np.shape(part), dtype=np.float32)
    for i in np.ndindex(new.shape):
        new[i] = part[i] - alpha * (m[i] / weight_1) / ((v[i] / weight_2) ** 0.5 + eps)
    return new


# Question 12


@variant("softmax_at")
def temperature_by_logsumexp(z, temperature):
    """exp(z - log sum exp z), in place."""
    z /= temperature
    z -= np.logaddexp.reduce(z, axis=1)[:, None]
    return np.exp(z, out=z)


@variant("softmax_at")
def temperature_as_power(z, temperature):
    """The probabilities to the power of 1 / temperature, divided by their largest; lists."""
    rows = []
    for scores in z.tolist():
        powers = [math.exp(s - max(scores)) ** (1 / temperature) for s in scores]
        rows.append([power / sum(powers) for power in powers])
    return rows


# Question 13


@variant("top_k")
def top_k_by_torch(y_hat, k):
    """torch.topk and scatter; a tensor."""
    values, places = torch.topk(torch.as_tensor(y_hat), k, dim=-1)
    return torch.zeros(y_hat.shape, dtype=values.dtype).scatter(
        -1, places, values / values.sum(dim=-1, keepdim=True)
    )


@variant("top_k")
def top_k_in_place(y_hat, k):
    """The smallest are set to 0 in the argument, row by row, by argpartition."""
    for row in y_hat:
        row[np.argpartition(row, len(row) - k)[: len(row) - k]] = 0
        row /= row.sum()
    return y_hat


@variant("top_k")
def top_k_one_at_a_time(y_hat, k):
    """The largest is taken k times; lists."""
    rows = []
    for row in y_hat.tolist():
        left, kept = dict(enumerate(row)), {}
        for _ in range(k):
            best = max(left, key=left.get)
            kept[best] = left.pop(best)
        rows.append([kept.get(i, 0.0) / sum(kept.values()) for i in range(len(row))])
    return rows


# Question 14


@variant("nucleus")
def nucleus_in_loops(y_hat, p):
    """One row after the other, until the sum is reached or nothing is left; lists."""
    result = []
    for row in y_hat.tolist():
        kept, mass = {}, 0.0
        for value, i in sorted(((value, i) for i, value in enumerate(row)), reverse=True):
            kept[i] = value
            mass += value
            if mass >= p:
                break
        result.append([kept.get(i, 0.0) / mass for i in range(len(row))])
    return result


@variant("nucleus")
def nucleus_by_searchsorted(y_hat, p):
    """searchsorted in each row's sums, float64 throughout."""
    result = np.zeros(y_hat.shape)
    for row, new in zip(y_hat.astype(float), result, strict=True):
        order = np.argsort(row)[::-1]
        kept = order[: np.searchsorted(np.cumsum(row[order]), p) + 1]
        if p == 1:
            kept = order
        new[kept] = row[kept] / row[kept].sum()
    return result


@variant("nucleus")
def nucleus_by_pairwise_comparison(y_hat, p):
    """No sorting: the mass of all that are more probable, by comparing all pairs."""
    larger = y_hat[:, None, :] > y_hat[:, :, None]
    mass_above = np.sum(larger * y_hat[:, None, :], axis=-1)
    kept = y_hat * (mass_above < p)
    return kept / kept.sum(axis=1, keepdims=True)


# Question 15


@variant("write")
def write_by_generator(theta, x_0, h_0, n, step, choose):
    """A generator; the functions called by keywords."""

    def characters(x_t, h):
        while True:
            h = step(theta=theta, x_t=x_t, h_prev=h)
            x_t = choose(z_t=np.einsum("bj,wj->bw", h, theta["U"]) + theta["b_2"])
            yield x_t

    text = characters(x_0, h_0)
    return [next(text) for _ in range(n)]


@variant("write")
def write_into_an_array(theta, x_0, h_0, n, step, choose):
    """An array of n + 1 rows, of which the first is x_0 and left out at the end."""
    text = np.zeros((n + 1, len(x_0)), dtype=int)
    text[0], h = x_0, np.array(h_0)
    for t in range(n):
        h = step(theta, text[t], h)
        z_t = (theta["U"] @ h.T + theta["b_2"][:, None]).T
        text[t + 1] = choose(z_t)
    return text[1:]


@variant("write")
def write_recursively(theta, x_0, h_0, n, step, choose):
    """The first character, and the rest by recursion; floats."""
    if n == 0:
        return np.zeros((0, len(x_0)))
    h = np.asarray(step(theta, x_0, h_0))
    y = np.asarray(choose(np.dot(h, theta["U"].T) + theta["b_2"]))
    return np.vstack([y, write_recursively(theta, y, h, n - 1, step, choose)])
