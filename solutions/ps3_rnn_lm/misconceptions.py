"""Known mistakes in ps3_rnn_lm: each gives what a student gets who makes it.

The docstring is the hint that the student reads, so it names the mistake and not the answer. Every
function is deterministic. Never released.
"""

import numpy as np
from scipy.special import log_softmax as _log_softmax
from scipy.special import softmax as _softmax

from autograder.variants import variant

# Question 1


def _a(theta, x_t, h_prev):
    return h_prev @ theta["W_h"].T + theta["E"][x_t] @ theta["W_e"].T + theta["b_1"]


@variant("cell_step")
def cell_with_state_weights_transposed(theta, x_t, h_prev):
    """Your W_h works the wrong way round: whose number does its entry (i, j) carry to whom?"""
    return np.tanh(_a(theta, x_t, h_prev) - h_prev @ theta["W_h"].T + h_prev @ theta["W_h"])


@variant("cell_step")
def cell_with_sigmoid(theta, x_t, h_prev):
    """Your states lie between 0 and 1: that is the sigmoid of the notes, not the tanh asked for."""
    return 1 / (1 + np.exp(-np.clip(_a(theta, x_t, h_prev), -700, 700)))


@variant("cell_step")
def cell_without_bias(theta, x_t, h_prev):
    """Your step leaves out the bias b_1."""
    return np.tanh(_a(theta, x_t, h_prev) - theta["b_1"])


@variant("cell_step")
def cell_without_memory(theta, x_t, h_prev):
    """Your new state does not depend on the old one."""
    return np.tanh(theta["E"][x_t] @ theta["W_e"].T + theta["b_1"])


@variant("cell_step")
def cell_without_tanh(theta, x_t, h_prev):
    """You return what goes into the tanh."""
    return _a(theta, x_t, h_prev)


@variant("cell_step")
def cell_that_overflows(theta, x_t, h_prev):
    """Your tanh divides infinity by infinity where its argument is large, which gives nan."""
    a = _a(theta, x_t, h_prev)
    return (np.exp(a) - np.exp(-a)) / (np.exp(a) + np.exp(-a))


@variant("cell_step")
def cell_with_bias_outside(theta, x_t, h_prev):
    """You add the bias after the tanh, so your states can leave the range from -1 to 1."""
    return np.tanh(_a(theta, x_t, h_prev) - theta["b_1"]) + theta["b_1"]


# Question 2


def _run(theta, x, h_0, step):
    h = [h_0]
    for x_t in x:
        h.append(step(theta, x_t, h[-1]))
    return np.array(h)


def _scores(theta, h):
    return h @ theta["U"].T + theta["b_2"]


@variant("forward")
def forward_from_h_0_every_time(theta, x, h_0, step):
    """Every step of yours begins from h_0 again, so nothing is carried from one to the next."""
    h = np.array([h_0] + [step(theta, x_t, h_0) for x_t in x])
    return h, _scores(theta, h[1:])


@variant("forward")
def forward_scores_before_reading(theta, x, h_0, step):
    """Your scores are made from the state before the character was read, one step too early."""
    h = _run(theta, x, h_0, step)
    return h, _scores(theta, h[:-1])


@variant("forward")
def forward_without_h_0(theta, x, h_0, step):
    """Your first state is the one after the first character; h_0 is missing."""
    h = _run(theta, x, h_0, step)
    return h[1:], _scores(theta, h[1:])


@variant("forward")
def forward_scores_of_h_0_too(theta, x, h_0, step):
    """You give scores for h_0 as well, so there is one row more than there are characters."""
    h = _run(theta, x, h_0, step)
    return h, _scores(theta, h)


@variant("forward")
def forward_in_one_buffer(theta, x, h_0, step):
    """All your states are the last one: the list holds the same array again and again."""
    h, states = np.array(h_0, dtype=float), []
    states.append(h)
    scores = []
    for x_t in x:
        h[:] = step(theta, x_t, h.copy())
        states.append(h)
        scores.append(_scores(theta, h))
    return np.array(states), np.array(scores)


@variant("forward")
def forward_backwards(theta, x, h_0, step):
    """You read the text from its end."""
    h = _run(theta, x[::-1], h_0, step)
    return h, _scores(theta, h[1:])


@variant("forward")
def forward_with_probabilities(theta, x, h_0, step):
    """You return probabilities where scores are asked for."""
    h = _run(theta, x, h_0, step)
    return h, _softmax(_scores(theta, h[1:]), axis=-1)


@variant("forward")
def forward_without_output_bias(theta, x, h_0, step):
    """Your scores leave out the bias b_2."""
    h = _run(theta, x, h_0, step)
    return h, h[1:] @ theta["U"].T


@variant("forward")
def forward_with_its_own_step(theta, x, h_0, step):
    """Your function takes the step of question 1 and not the one that it was given."""
    h = _run(theta, x, h_0, lambda theta, x_t, h_prev: np.tanh(_a(theta, x_t, h_prev)))
    return h, _scores(theta, h[1:])


# Question 3


def _picked(z, y):
    return np.take_along_axis(_log_softmax(z, axis=-1), y[..., None], axis=-1)


@variant("mean_loss")
def loss_summed(z, y):
    """Your loss is the sum over all characters, not their mean."""
    return -np.sum(_picked(z, y))


@variant("mean_loss")
def loss_averaged_over_time_only(z, y):
    """Your loss is a mean over the steps, but a sum over the texts that are read side by side."""
    return -np.sum(_picked(z, y)) / len(y)


@variant("mean_loss")
def loss_averaged_over_the_vocabulary(z, y):
    """You divide by the size of the vocabulary too; the mean is over characters of the text."""
    return -np.sum(_picked(z, y)) / z.size


@variant("mean_loss")
def loss_without_minus(z, y):
    """Your loss is negative: a probability below 1 has a negative logarithm."""
    return np.mean(_picked(z, y))


@variant("mean_loss")
def loss_in_bits(z, y):
    """Your loss is in bits; nats are asked for here."""
    return -np.mean(_picked(z, y)) / np.log(2)


@variant("mean_loss")
def loss_without_shift(z, y):
    """Your loss is right until exp overflows: nothing keeps the scores small before exp."""
    exp_z = np.exp(z)
    y_hat = exp_z / exp_z.sum(axis=-1, keepdims=True)
    return -np.mean(np.log(np.take_along_axis(y_hat, y[..., None], axis=-1)))


@variant("mean_loss")
def loss_shifted_by_one_maximum(z, y):
    """You shift all steps by the same score, so one that lies far below it vanishes in exp."""
    exp_z = np.exp(z - z.max())
    picked = np.take_along_axis(z - z.max(), y[..., None], axis=-1)[..., 0]
    return np.mean(np.log(exp_z.sum(axis=-1)) - picked)


@variant("mean_loss")
def loss_through_rounded_probability(z, y):
    """Your loss is infinite where a probability is rounded to 0 before you take its logarithm."""
    y_hat = _softmax(z, axis=-1)
    return -np.mean(np.log(np.take_along_axis(y_hat, y[..., None], axis=-1)))


@variant("mean_loss")
def loss_softmax_over_time(z, y):
    """Your softmax runs over the steps, but it is the scores of one step that compete."""
    return -np.mean(np.take_along_axis(_log_softmax(z, axis=0), y[..., None], axis=-1))


@variant("mean_loss")
def loss_of_the_raw_scores(z, y):
    """Your loss takes the scores as they are for logarithms of probabilities."""
    return -np.mean(np.take_along_axis(z, y[..., None], axis=-1))


# Question 4


@variant("bits_per_character")
def bits_as_mean_of_means(losses):
    """You average the texts' averages, so a character in a short text counts for more."""
    return np.mean([np.mean(text) for text in losses]) / np.log(2)


@variant("bits_per_character")
def bits_in_nats(losses):
    """Your result is still in nats."""
    return np.mean(np.concatenate(losses))


@variant("bits_per_character")
def bits_times_log_two(losses):
    """You multiply where nats must be divided: a bit is less than a nat."""
    return np.mean(np.concatenate(losses)) * np.log(2)


@variant("bits_per_character")
def bits_as_perplexity(losses):
    """You return the perplexity: how many equally likely characters that would be, not bits."""
    return np.exp(np.mean(np.concatenate(losses)))


@variant("bits_per_character")
def bits_per_text(losses):
    """You divide all bits by the number of texts."""
    return np.sum(np.concatenate(losses)) / np.log(2) / len(losses)


@variant("bits_per_character")
def bits_of_the_logarithm(losses):
    """You take a logarithm of the losses, which are logarithms already."""
    return np.mean(np.log2(np.concatenate(losses)))


# Question 5


def _error(y_hat, y):
    return y_hat - np.eye(y_hat.shape[-1])[y]


@variant("score_gradient")
def error_not_divided(y_hat, y):
    """Your gradient is that of the sum of the losses, but J is their mean."""
    return _error(y_hat, y)


@variant("score_gradient")
def error_divided_by_time_only(y_hat, y):
    """You divide by the number of steps, but the mean is over the texts side by side as well."""
    return _error(y_hat, y) / len(y)


@variant("score_gradient")
def error_divided_by_texts_only(y_hat, y):
    """You divide by the number of texts, but the mean is over the steps as well."""
    return _error(y_hat, y) / y.shape[1]


@variant("score_gradient")
def error_uphill(y_hat, y):
    """Your gradient has the wrong sign: it points to a larger loss."""
    return -_error(y_hat, y) / y.size


@variant("score_gradient")
def error_without_the_one(y_hat, y):
    """Your gradient is the prediction alone; what was observed takes no part."""
    return y_hat / y.size


@variant("score_gradient")
def error_one_after_dividing(y_hat, y):
    """You divide the prediction before you subtract 1, so the 1 is not part of the mean."""
    return y_hat / y.size - np.eye(y_hat.shape[-1])[y]


@variant("score_gradient")
def error_in_every_column_of_y(y_hat, y):
    """An index such as [:, :, y] subtracts 1 at every character of the batch, at every step."""
    grad_z = np.array(y_hat)
    grad_z[:, :, y] -= 1
    return grad_z / y.size


@variant("score_gradient")
def error_through_the_probabilities(y_hat, y):
    """You differentiate with respect to the probabilities, not the scores."""
    return -np.eye(y_hat.shape[-1])[y] / y_hat / y.size


# Question 6


def _back(theta, h, grad_z, slope=lambda h: 1 - h**2, message=None):
    message = message or (lambda delta, grad_h: delta @ theta["W_h"])
    delta, sent = np.zeros_like(h[1:]), np.zeros_like(h[0])
    for t in range(len(grad_z) - 1, -1, -1):
        grad_h = grad_z[t] @ theta["U"] + sent
        delta[t] = slope(h[t + 1]) * grad_h
        sent = message(delta[t], grad_h)
    return delta


@variant("state_gradients")
def state_without_the_next_step(theta, h, grad_z):
    """A state has a second reader, the next step; nothing comes back from there."""
    return _back(theta, h, grad_z, message=lambda delta, grad_h: 0)


@variant("state_gradients")
def state_with_weights_transposed(theta, h, grad_z):
    """On the way back you use W_h as on the way forward; one of the two must be transposed."""
    return _back(theta, h, grad_z, message=lambda delta, grad_h: delta @ theta["W_h"].T)


@variant("state_gradients")
def state_message_around_the_tanh(theta, h, grad_z):
    """What you send to the step before has not passed through the tanh of its own step."""
    return _back(theta, h, grad_z, message=lambda delta, grad_h: grad_h @ theta["W_h"])


@variant("state_gradients")
def state_slope_of_sigma(theta, h, grad_z):
    """Your slope h(1 - h) is that of the sigmoid."""
    return _back(theta, h, grad_z, slope=lambda h: h * (1 - h))


@variant("state_gradients")
def state_slope_without_square(theta, h, grad_z):
    """Your slope is 1 - h: something is missing there."""
    return _back(theta, h, grad_z, slope=lambda h: 1 - h)


@variant("state_gradients")
def state_tanh_taken_again(theta, h, grad_z):
    """You take the tanh of h, which is a tanh already, before the slope."""
    return _back(theta, h, grad_z, slope=lambda h: 1 - np.tanh(h) ** 2)


@variant("state_gradients")
def state_without_slope(theta, h, grad_z):
    """You return the gradient with respect to h_t: the way through the tanh is missing."""
    return _back(theta, h, grad_z, slope=np.ones_like)


@variant("state_gradients")
def state_slope_of_the_state_before(theta, h, grad_z):
    """Your slopes are one step off: h[0] is the state before the first step."""
    delta, sent = np.zeros_like(h[1:]), np.zeros_like(h[0])
    for t in range(len(grad_z) - 1, -1, -1):
        delta[t] = (1 - h[t] ** 2) * (grad_z[t] @ theta["U"] + sent)
        sent = delta[t] @ theta["W_h"]
    return delta


@variant("state_gradients")
def state_forward_in_time(theta, h, grad_z):
    """Your loop goes from the first step to the last, but messages come from later steps."""
    delta, sent = np.zeros_like(h[1:]), np.zeros_like(h[0])
    for t in range(len(grad_z)):
        delta[t] = (1 - h[t + 1] ** 2) * (grad_z[t] @ theta["U"] + sent)
        sent = delta[t] @ theta["W_h"]
    return delta


@variant("state_gradients")
def state_short_of_the_first_step(theta, h, grad_z):
    """Your loop ends before it has reached the first step."""
    delta = _back(theta, h, grad_z)
    delta[0] = 0
    return delta


@variant("state_gradients")
def state_message_overwrites(theta, h, grad_z):
    """Only the last step listens to its own scores; elsewhere the message takes their place."""
    delta, sent = np.zeros_like(h[1:]), None
    for t in range(len(grad_z) - 1, -1, -1):
        delta[t] = (1 - h[t + 1] ** 2) * (grad_z[t] @ theta["U"] if sent is None else sent)
        sent = delta[t] @ theta["W_h"]
    return delta


# Question 7


def _sums(theta, x, h, grad_z, delta):
    grad_E = np.zeros_like(theta["E"])
    np.add.at(grad_E, x, delta @ theta["W_e"])
    return {
        "E": grad_E,
        "W_e": np.einsum("tbi,tbj->ij", delta, theta["E"][x]),
        "W_h": np.einsum("tbi,tbj->ij", delta, h[:-1]),
        "b_1": delta.sum(axis=(0, 1)),
        "U": np.einsum("tbi,tbj->ij", grad_z, h[1:]),
        "b_2": grad_z.sum(axis=(0, 1)),
    }


@variant("weight_gradients")
def weights_repeats_overwritten(theta, x, h, grad_z, delta):
    """In your gradient of E a character that is read again loses what it got before."""
    grad_E = np.zeros_like(theta["E"])
    grad_E[x] += delta @ theta["W_e"]
    return {**_sums(theta, x, h, grad_z, delta), "E": grad_E}


@variant("weight_gradients")
def weights_repeats_averaged(theta, x, h, grad_z, delta):
    """In your gradient of E the uses of a character are averaged, but they add up."""
    gradients = _sums(theta, x, h, grad_z, delta)
    counts = np.bincount(x.ravel(), minlength=len(theta["E"]))
    return {**gradients, "E": gradients["E"] / np.maximum(counts, 1)[:, None]}


@variant("weight_gradients")
def weights_recurrent_with_the_new_state(theta, x, h, grad_z, delta):
    """Your gradient of W_h pairs delta with the state after the step."""
    return {
        **_sums(theta, x, h, grad_z, delta),
        "W_h": np.einsum("tbi,tbj->ij", delta, h[1:]),
    }


@variant("weight_gradients")
def weights_output_with_the_old_state(theta, x, h, grad_z, delta):
    """Your gradient of U pairs the scores with the state before the step."""
    return {**_sums(theta, x, h, grad_z, delta), "U": np.einsum("tbi,tbj->ij", grad_z, h[:-1])}


@variant("weight_gradients")
def weights_recurrent_transposed(theta, x, h, grad_z, delta):
    """Your gradient of W_h is transposed: its rows belong to the states that are made."""
    gradients = _sums(theta, x, h, grad_z, delta)
    return {**gradients, "W_h": gradients["W_h"].T}


@variant("weight_gradients")
def weights_input_and_output_transposed(theta, x, h, grad_z, delta):
    """Your gradients of W_e and U have their factors in the wrong order: compare the shapes."""
    gradients = _sums(theta, x, h, grad_z, delta)
    return {**gradients, "W_e": gradients["W_e"].T, "U": gradients["U"].T}


@variant("weight_gradients")
def weights_averaged_over_time(theta, x, h, grad_z, delta):
    """You divide by the number of steps, but the gradient of a repeated weight is a sum."""
    return {k: g / len(x) for k, g in _sums(theta, x, h, grad_z, delta).items()}


@variant("weight_gradients")
def weights_averaged_over_texts(theta, x, h, grad_z, delta):
    """You divide by the number of texts, but the mean is in grad_z already."""
    return {k: g / x.shape[1] for k, g in _sums(theta, x, h, grad_z, delta).items()}


@variant("weight_gradients")
def weights_of_the_last_step(theta, x, h, grad_z, delta):
    """Your gradients hold one step's share: a later step of the loop replaces the earlier ones."""
    return _sums(theta, x[:1], h[:2], grad_z[:1], delta[:1])


@variant("weight_gradients")
def weights_biases_per_text(theta, x, h, grad_z, delta):
    """Your gradients of the biases are summed over the steps alone, one row for each text."""
    return {
        **_sums(theta, x, h, grad_z, delta),
        "b_1": delta.sum(axis=0),
        "b_2": grad_z.sum(axis=0),
    }


@variant("weight_gradients")
def weights_input_by_one_hot_sum(theta, x, h, grad_z, delta):
    """Your gradient of E is not sent back through W_e."""
    grad_E = np.zeros((len(theta["E"]), delta.shape[-1]))
    np.add.at(grad_E, x, delta)
    return {**_sums(theta, x, h, grad_z, delta), "E": grad_E}


@variant("weight_gradients")
def weights_biases_swapped(theta, x, h, grad_z, delta):
    """You return the gradients of the two biases under each other's names."""
    gradients = _sums(theta, x, h, grad_z, delta)
    return {**gradients, "b_1": gradients["b_2"], "b_2": gradients["b_1"]}


# Question 8


def _lags(r, states, step):
    norms = [np.linalg.norm(r)]
    for h_t in states:
        r = step(r, h_t)
        norms.append(np.linalg.norm(r))
    return np.array(norms)


@variant("norm_by_lag")
def lag_with_weights_transposed(W_h, h, r_0):
    """You send the gradient through W_h in the direction of the states, not against it."""
    return _lags(r_0, h[:0:-1], lambda r, h_t: (r * (1 - h_t**2)) @ W_h.T)


@variant("norm_by_lag")
def lag_without_slopes(W_h, h, r_0):
    """Your gradient goes back through W_h alone; each step also has a tanh."""
    return _lags(r_0, h[:0:-1], lambda r, h_t: r @ W_h)


@variant("norm_by_lag")
def lag_slopes_after_the_weights(W_h, h, r_0):
    """On the way back the tanh comes before W_h: it was the last thing on the way forward."""
    return _lags(r_0, h[:0:-1], lambda r, h_t: (r @ W_h) * (1 - h_t**2))


@variant("norm_by_lag")
def lag_from_the_first_state(W_h, h, r_0):
    """You begin with the slopes of the first step, but the gradient begins at the last."""
    return _lags(r_0, h[1:], lambda r, h_t: (r * (1 - h_t**2)) @ W_h)


@variant("norm_by_lag")
def lag_slopes_one_step_off(W_h, h, r_0):
    """Your slopes begin one step too early: which state was made by the last step?"""
    return _lags(r_0, h[-2::-1], lambda r, h_t: (r * (1 - h_t**2)) @ W_h)


@variant("norm_by_lag")
def lag_squared(W_h, h, r_0):
    """You return the squares of the norms."""
    return _lags(r_0, h[:0:-1], lambda r, h_t: (r * (1 - h_t**2)) @ W_h) ** 2


@variant("norm_by_lag")
def lag_without_zero(W_h, h, r_0):
    """Your list begins with lag 1."""
    return _lags(r_0, h[:0:-1], lambda r, h_t: (r * (1 - h_t**2)) @ W_h)[1:]


@variant("norm_by_lag")
def lag_farthest_first(W_h, h, r_0):
    """Your list begins with the farthest lag."""
    return _lags(r_0, h[:0:-1], lambda r, h_t: (r * (1 - h_t**2)) @ W_h)[::-1]


# Question 9


def _norm(gradients):
    return np.sqrt(sum(np.sum(g**2) for g in gradients.values()))


@variant("clip_by_norm")
def clip_each_number(gradients, c):
    """You cut off each number at c, which turns the gradient; its direction should stay."""
    return {name: np.clip(g, -c, c) for name, g in gradients.items()}


@variant("clip_by_norm")
def clip_each_array(gradients, c):
    """You clip each array by its own norm; it is all of them together that have one norm."""
    norms = {name: np.linalg.norm(g) for name, g in gradients.items()}
    return {name: g * min(1, c / max(norms[name], 1e-12)) for name, g in gradients.items()}


@variant("clip_by_norm")
def clip_always(gradients, c):
    """You scale every gradient to the length c, those that were shorter too."""
    return {name: g * c / max(_norm(gradients), 1e-12) for name, g in gradients.items()}


@variant("clip_by_norm")
def clip_in_place(gradients, c):
    """You change the dictionary that you were given, or the arrays in it."""
    factor = min(1, c / max(_norm(gradients), 1e-12))
    for g in gradients.values():
        g *= factor
    return gradients


@variant("clip_by_norm")
def clip_by_the_squared_norm(gradients, c):
    """You compare and divide by the square of the norm: the root is missing."""
    norm = _norm(gradients) ** 2
    return {name: g * min(1, c / max(norm, 1e-12)) for name, g in gradients.items()}


@variant("clip_by_norm")
def clip_by_the_largest_number(gradients, c):
    """Your norm is the largest number of the gradient, not its length."""
    norm = max(np.abs(g).max() for g in gradients.values())
    return {name: g * min(1, c / max(norm, 1e-12)) for name, g in gradients.items()}


@variant("clip_by_norm")
def clip_to_length_one(gradients, c):
    """You scale long gradients to length 1, whatever c is."""
    norm = _norm(gradients)
    return {name: g / norm if norm > c else g for name, g in gradients.items()}


@variant("clip_by_norm")
def clip_by_the_sum_of_the_norms(gradients, c):
    """You add the norms of the arrays; their squares add, and the root comes last."""
    norm = sum(np.linalg.norm(g) for g in gradients.values())
    return {name: g * min(1, c / max(norm, 1e-12)) for name, g in gradients.items()}


# Question 10


@variant("adam_averages")
def averages_with_betas_the_wrong_way(m, v, g, beta_1, beta_2):
    """Your beta weighs the new gradient; it should weigh what was there before."""
    return (1 - beta_1) * m + beta_1 * g, (1 - beta_2) * v + beta_2 * g**2


@variant("adam_averages")
def averages_with_betas_swapped(m, v, g, beta_1, beta_2):
    """You have swapped the two betas."""
    return beta_2 * m + (1 - beta_2) * g, beta_1 * v + (1 - beta_1) * g**2


@variant("adam_averages")
def averages_without_square(m, v, g, beta_1, beta_2):
    """Your v averages the gradient itself."""
    return beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g


@variant("adam_averages")
def averages_of_the_length(m, v, g, beta_1, beta_2):
    """Your v holds one number for the whole array, but each number needs its own."""
    return beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * np.sum(g**2)


@variant("adam_averages")
def averages_that_only_grow(m, v, g, beta_1, beta_2):
    """You add the new gradient in full, as in momentum, so m and v are no averages."""
    return beta_1 * m + g, beta_2 * v + g**2


# Question 11


def _adam(part, m_hat, v_hat, alpha, eps):
    return part - alpha * m_hat / (np.sqrt(v_hat) + eps)


@variant("adam_step")
def adam_without_correction(part, m, v, t, alpha, beta_1, beta_2, eps):
    """You take m and v as they are, although they began at 0 and are still too small."""
    return _adam(part, m, v, alpha, eps)


@variant("adam_step")
def adam_counting_from_zero(part, m, v, t, alpha, beta_1, beta_2, eps):
    """Your correction is one step late: it divides by 0 the first time."""
    return _adam(part, m / (1 - beta_1 ** (t - 1)), v / (1 - beta_2 ** (t - 1)), alpha, eps)


@variant("adam_step")
def adam_counting_from_two(part, m, v, t, alpha, beta_1, beta_2, eps):
    """Your correction is one step ahead: t counts the gradients that are in the averages."""
    return _adam(part, m / (1 - beta_1 ** (t + 1)), v / (1 - beta_2 ** (t + 1)), alpha, eps)


@variant("adam_step")
def adam_correction_without_t(part, m, v, t, alpha, beta_1, beta_2, eps):
    """Your correction is the same at every step, right only at the first."""
    return _adam(part, m / (1 - beta_1), v / (1 - beta_2), alpha, eps)


@variant("adam_step")
def adam_correction_times_t(part, m, v, t, alpha, beta_1, beta_2, eps):
    """Your correction multiplies beta by t; the weights of t gradients need a power."""
    return _adam(part, m / (1 - beta_1 * t), v / (1 - beta_2 * t), alpha, eps)


@variant("adam_step")
def adam_uphill(part, m, v, t, alpha, beta_1, beta_2, eps):
    """Your step goes uphill."""
    return _adam(part, m / (1 - beta_1**t), v / (1 - beta_2**t), -alpha, eps)


@variant("adam_step")
def adam_with_eps_in_the_root(part, m, v, t, alpha, beta_1, beta_2, eps):
    """Your eps stands inside the root."""
    return part - alpha * m / (1 - beta_1**t) / np.sqrt(v / (1 - beta_2**t) + eps)


@variant("adam_step")
def adam_without_root(part, m, v, t, alpha, beta_1, beta_2, eps):
    """You divide by the mean square itself, so the step's length depends on the gradient's unit."""
    return part - alpha * m / (1 - beta_1**t) / (v / (1 - beta_2**t) + eps)


# Question 12


@variant("softmax_at")
def temperature_multiplied(z, temperature):
    """At your high temperatures the best score wins, at your low ones all are equal."""
    return _softmax(z * temperature, axis=-1)


@variant("softmax_at")
def temperature_after_the_softmax(z, temperature):
    """You divide the probabilities by the temperature, so the rows do not sum to 1."""
    return _softmax(z, axis=-1) / temperature


@variant("softmax_at")
def temperature_ignored(z, temperature):
    """Your result does not depend on the temperature; dividing probabilities cancels out."""
    return _softmax(z, axis=-1)


@variant("softmax_at")
def temperature_over_columns(z, temperature):
    """Your softmax runs down the columns, but each row holds the scores of a text."""
    return _softmax(z / temperature, axis=0)


@variant("softmax_at")
def temperature_without_shift(z, temperature):
    """Your softmax is right until exp overflows: nothing keeps the scores small before exp."""
    exp_z = np.exp(z / temperature)
    return exp_z / exp_z.sum(axis=-1, keepdims=True)


@variant("softmax_at")
def temperature_with_one_shift(z, temperature):
    """You shift all rows by the same score, so a row that lies far below it vanishes in exp."""
    exp_z = np.exp((z - z.max()) / temperature)
    return exp_z / exp_z.sum(axis=-1, keepdims=True)


# Question 13


def _largest(y_hat, k):
    kept = np.argsort(-y_hat, axis=-1)[:, :k]
    result = np.zeros_like(y_hat)
    np.put_along_axis(result, kept, np.take_along_axis(y_hat, kept, axis=-1), axis=-1)
    return result


@variant("top_k")
def top_k_not_divided(y_hat, k):
    """What you keep no longer sums to 1."""
    return _largest(y_hat, k)


@variant("top_k")
def top_k_with_ties(y_hat, k):
    """Where several are as large as the last one kept, you keep more than k."""
    border = np.sort(y_hat, axis=-1)[:, -k][:, None]
    result = np.where(y_hat >= border, y_hat, 0)
    return result / result.sum(axis=-1, keepdims=True)


@variant("top_k")
def top_k_above_the_border(y_hat, k):
    """You keep what is larger than the k-th largest, which leaves that one out."""
    border = np.sort(y_hat, axis=-1)[:, -k][:, None]
    result = np.where(y_hat > border, y_hat, 0)
    return result / result.sum(axis=-1, keepdims=True)


@variant("top_k")
def top_k_of_the_first_row(y_hat, k):
    """You choose by the first row, but each row has its own largest ones."""
    kept = np.argsort(-y_hat[0])[:k]
    result = np.zeros_like(y_hat)
    result[:, kept] = y_hat[:, kept]
    return result / result.sum(axis=-1, keepdims=True)


@variant("top_k")
def top_k_of_the_smallest(y_hat, k):
    """You keep the k smallest."""
    result = y_hat - _largest(y_hat, y_hat.shape[-1] - k)
    return result / result.sum(axis=-1, keepdims=True)


@variant("top_k")
def top_k_by_softmax(y_hat, k):
    """You take a softmax of what is left; it is a distribution already, but for its sum."""
    largest = _largest(y_hat, k)
    return _softmax(np.where(largest > 0, y_hat, -np.inf), axis=-1)


@variant("top_k")
def top_k_in_order(y_hat, k):
    """You return the probabilities in order of size, so they stand at other characters' places."""
    result = np.sort(_largest(y_hat, k), axis=-1)[:, ::-1]
    return result / result.sum(axis=-1, keepdims=True)


@variant("top_k")
def top_k_equal_shares(y_hat, k):
    """You give all that are kept the same probability."""
    return (_largest(y_hat, k) > 0) / k


# Question 14


def _nucleus(y_hat, keep):
    order = np.argsort(-y_hat, axis=-1)
    ordered = np.take_along_axis(y_hat, order, axis=-1)
    result = np.zeros_like(y_hat)
    kept = np.where(keep(np.cumsum(ordered, axis=-1), ordered), ordered, 0)
    np.put_along_axis(result, order, kept, axis=-1)
    return result


def _divided(result):
    return result / result.sum(axis=-1, keepdims=True)  # nan where nothing was kept


@variant("nucleus")
def nucleus_short_of_the_mass(y_hat, p):
    """You leave out the character with which the sum reaches p."""
    return _divided(_nucleus(y_hat, lambda mass, ordered: mass < p))


@variant("nucleus")
def nucleus_short_but_never_empty(y_hat, p):
    """You leave out the character with which the sum reaches p, unless it is the only one."""

    def keep(mass, ordered):
        return (mass < p) | (np.arange(mass.shape[-1]) == 0)

    return _divided(_nucleus(y_hat, keep))


@variant("nucleus")
def nucleus_not_divided(y_hat, p):
    """The nucleus that you keep sums to less than 1."""
    return _nucleus(y_hat, lambda mass, ordered: mass - ordered < p)


@variant("nucleus")
def nucleus_one_too_many(y_hat, p):
    """You keep one character more after the sum has reached p."""
    return _divided(_nucleus(y_hat, lambda mass, ordered: _before(mass, ordered) < p))


def _before(mass, ordered):
    before = mass - ordered
    return np.concatenate([np.zeros_like(before[:, :1]), before[:, :-1]], axis=-1)


@variant("nucleus")
def nucleus_as_threshold(y_hat, p):
    """You keep what has a probability of at least 1 - p, but p is a mass, not one probability."""
    return _divided(np.where(y_hat >= 1 - p, y_hat, 0))


@variant("nucleus")
def nucleus_unsorted(y_hat, p):
    """You add the probabilities in the order of the vocabulary, not the largest first."""
    mass = np.cumsum(y_hat, axis=-1)
    return _divided(np.where(mass - y_hat < p, y_hat, 0))


@variant("nucleus")
def nucleus_smallest_first(y_hat, p):
    """You begin to add with the smallest probability."""
    order = np.argsort(y_hat, axis=-1)
    ordered = np.take_along_axis(y_hat, order, axis=-1)
    result = np.zeros_like(y_hat)
    before = np.cumsum(ordered, axis=-1) - ordered
    np.put_along_axis(result, order, np.where(before < p, ordered, 0), axis=-1)
    return _divided(result)


@variant("nucleus")
def nucleus_left_in_order(y_hat, p):
    """You forget to put the probabilities back at their characters' places."""
    result = _nucleus(y_hat, lambda mass, ordered: mass - ordered < p)
    return _divided(np.sort(result, axis=-1)[:, ::-1])


@variant("nucleus")
def nucleus_by_argmax_of_the_sum(y_hat, p):
    """You look for the first sum that reaches p and find the first place where there is none."""
    rows = []
    for row in y_hat:
        order = np.argsort(-row)
        reached = np.cumsum(row[order]) > p
        kept = order[: np.argmax(reached) + 1]
        rows.append([value if i in kept else 0.0 for i, value in enumerate(row.tolist())])
    return _divided(np.array(rows))


# Question 15


def _write(theta, x_0, h_0, n, step, choose, feed=lambda x_0, x_t: x_t, carry=lambda h_0, h: h):
    x_t, h, text = x_0, h_0, []
    for _ in range(n):
        h = step(theta, feed(x_0, x_t), carry(h_0, h))
        x_t = choose(_scores(theta, h))
        text.append(x_t)
    return np.array(text)


@variant("write")
def write_reading_the_first_character_only(theta, x_0, h_0, n, step, choose):
    """At every step you read x_0 again, and never what was written."""
    return _write(theta, x_0, h_0, n, step, choose, feed=lambda x_0, x_t: x_0)


@variant("write")
def write_from_h_0_every_time(theta, x_0, h_0, n, step, choose):
    """Your state is h_0 again at every step, so only the last character counts."""
    return _write(theta, x_0, h_0, n, step, choose, carry=lambda h_0, h: h_0)


@variant("write")
def write_with_the_beginning(theta, x_0, h_0, n, step, choose):
    """Your text begins with x_0, which was given and not chosen."""
    return np.array([x_0, *_write(theta, x_0, h_0, n, step, choose)])


@variant("write")
def write_beginning_for_the_end(theta, x_0, h_0, n, step, choose):
    """Your text begins with x_0 and lacks its last character in exchange."""
    return np.array([x_0, *_write(theta, x_0, h_0, n, step, choose)])[:n]


@variant("write")
def write_choosing_from_probabilities(theta, x_0, h_0, n, step, choose):
    """You hand probabilities to choose, which asks for scores."""
    return _write(theta, x_0, h_0, n, step, lambda z: choose(_softmax(z, axis=-1)))


@variant("write")
def write_the_best_always(theta, x_0, h_0, n, step, choose):
    """You take the best character yourself, and never ask choose."""
    return _write(theta, x_0, h_0, n, step, lambda z: z.argmax(axis=-1))


@variant("write")
def write_before_reading(theta, x_0, h_0, n, step, choose):
    """You choose from the state before the character was read."""
    x_t, h, text = x_0, h_0, []
    for _ in range(n):
        y = choose(_scores(theta, h))
        h = step(theta, x_t, h)
        x_t = y
        text.append(x_t)
    return np.array(text)


@variant("write")
def write_without_output_bias(theta, x_0, h_0, n, step, choose):
    """The scores that you choose from lack the bias b_2."""
    return _write({**theta, "b_2": 0 * theta["b_2"]}, x_0, h_0, n, step, choose)


@variant("write")
def write_texts_as_rows(theta, x_0, h_0, n, step, choose):
    """Your result has a row for each text; it should have one for each character written."""
    return _write(theta, x_0, h_0, n, step, choose).T
