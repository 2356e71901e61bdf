"""Known mistakes in ps1_word2vec: each gives what a student gets who makes it.

The docstring is the hint that the student reads, so it names the mistake and not the answer. Every
function is deterministic. Never released.
"""

import math
from collections import Counter

import numpy as np
from scipy.special import expit as _sigmoid
from scipy.special import softmax as _softmax

from autograder.variants import variant

# Question 1


@variant("softmax")
def softmax_over_columns(x):
    """In a matrix your softmax runs down the columns, but each row is a list of scores."""
    exp_x = np.exp(x - np.max(x, axis=0, keepdims=True))
    return exp_x / np.sum(exp_x, axis=0, keepdims=True)


@variant("softmax")
def softmax_over_everything(x):
    """Your softmax makes one distribution of the whole matrix, but each row needs its own."""
    exp_x = np.exp(x - np.max(x))
    return exp_x / np.sum(exp_x)


@variant("softmax")
def softmax_without_shift(x):
    """Your softmax is right until exp overflows: nothing keeps the scores small before exp."""
    exp_x = np.exp(x)
    return exp_x / np.sum(exp_x, axis=-1, keepdims=True)


@variant("softmax")
def softmax_shifted_by_one_maximum(x):
    """You shift all rows by the same score, so a row that lies far below it vanishes in exp."""
    exp_x = np.exp(x - np.max(x))
    return exp_x / np.sum(exp_x, axis=-1, keepdims=True)


@variant("softmax")
def softmax_divided_by_raw_scores(x):
    """You divide by the sum of the scores themselves, so the result does not sum to 1."""
    return np.exp(x - np.max(x, axis=-1, keepdims=True)) / np.sum(x, axis=-1, keepdims=True)


@variant("softmax")
def softmax_shifted_above_the_line_only(x):
    """You shift the scores in the numerator, but not in the sum below it."""
    shifted = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return shifted / np.sum(np.exp(x), axis=-1, keepdims=True)


# Question 2


@variant("sigmoid")
def sigmoid_that_overflows(x):
    """Your formula divides infinity by infinity for a large score, which gives nan."""
    return np.exp(x) / (1 + np.exp(x))


@variant("sigmoid")
def sigmoid_of_numbers_only(x):
    """Functions of the module math, and a plain if, take one number; an array needs NumPy's."""
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    return math.exp(x) / (1 + math.exp(x))


@variant("sigmoid")
def sigmoid_without_the_minus(x):
    """A large score gives you nearly 0: look at the sign inside exp."""
    return 1 / (1 + np.exp(np.clip(x, -700, 700)))


@variant("sigmoid")
def sigmoid_as_its_derivative(x):
    """You return the slope of the sigmoid, not its value."""
    return _sigmoid(x) * (1 - _sigmoid(x))


# Question 3


def _naive(v_c, o, U):
    y_hat = _softmax(U @ v_c)
    delta = y_hat.copy()
    delta[o] -= 1
    return y_hat, delta


@variant("naive_softmax_loss_and_gradients")
def naive_gradient_of_prediction_only(v_c, o, U):
    """Your gradients use y_hat where y_hat - y belongs: was 1 subtracted from another copy?"""
    y_hat, _ = _naive(v_c, o, U)
    return -np.log(y_hat[o]), U.T @ y_hat, np.outer(y_hat, v_c)


@variant("naive_softmax_loss_and_gradients")
def naive_gradient_uphill(v_c, o, U):
    """Both gradients have the wrong sign: they point to a larger loss."""
    y_hat, delta = _naive(v_c, o, U)
    return -np.log(y_hat[o]), -U.T @ delta, -np.outer(delta, v_c)


@variant("naive_softmax_loss_and_gradients")
def naive_loss_without_minus(v_c, o, U):
    """Your loss is negative: a probability below 1 has a negative logarithm."""
    y_hat, delta = _naive(v_c, o, U)
    return np.log(y_hat[o]), U.T @ delta, np.outer(delta, v_c)


@variant("naive_softmax_loss_and_gradients")
def naive_loss_of_all_words(v_c, o, U):
    """Your loss adds up the surprise at every word of the vocabulary, but only one was seen."""
    y_hat, delta = _naive(v_c, o, U)
    return -np.sum(np.log(y_hat)), U.T @ delta, np.outer(delta, v_c)


@variant("naive_softmax_loss_and_gradients")
def naive_loss_as_probability(v_c, o, U):
    """Your loss is one minus the probability of the outside word, with no logarithm in it."""
    y_hat, delta = _naive(v_c, o, U)
    return 1 - y_hat[o], U.T @ delta, np.outer(delta, v_c)


@variant("naive_softmax_loss_and_gradients")
def naive_gradient_in_one_row(v_c, o, U):
    """Your grad_U moves the outside word's row alone, but every word took part in the softmax."""
    y_hat, delta = _naive(v_c, o, U)
    grad_U = np.zeros_like(U)
    grad_U[o] = delta[o] * v_c
    return -np.log(y_hat[o]), U.T @ delta, grad_U


@variant("naive_softmax_loss_and_gradients")
def naive_gradient_transposed(v_c, o, U):
    """The two factors of your grad_U are in the wrong order: compare its shape with that of U."""
    y_hat, delta = _naive(v_c, o, U)
    return -np.log(y_hat[o]), U.T @ delta, np.outer(v_c, delta)


@variant("naive_softmax_loss_and_gradients")
def naive_center_sees_only_the_outside_word(v_c, o, U):
    """Your grad_v_c holds the outside word's term but not the expectation over all words."""
    y_hat, delta = _naive(v_c, o, U)
    return -np.log(y_hat[o]), delta[o] * U[o], np.outer(delta, v_c)


# Question 4


def _sampled(v_c, o, U, negatives):
    positive = _sigmoid(U[o] @ v_c)
    negative = _sigmoid(U[negatives] @ v_c)
    loss = -np.log(positive) - np.sum(np.log(1 - negative))
    grad_v_c = (positive - 1) * U[o] + negative @ U[negatives]
    grad_U = np.zeros_like(U)
    grad_U[o] = (positive - 1) * v_c
    np.add.at(grad_U, negatives, np.outer(negative, v_c))
    return positive, negative, loss, grad_v_c, grad_U


@variant("negative_sampling_loss_and_gradients")
def negatives_overwritten(v_c, o, U, negatives):
    """A word drawn twice gets one share in your grad_U: indexed += keeps only the last one."""
    _, negative, loss, grad_v_c, grad_U = _sampled(v_c, o, U, negatives)
    grad_U[negatives] = np.outer(negative, v_c)
    return loss, grad_v_c, grad_U


@variant("negative_sampling_loss_and_gradients")
def negatives_without_repeats(v_c, o, U, negatives):
    """You drop repeated negatives, but a word drawn twice is two terms of the sum."""
    return _sampled(v_c, o, U, np.unique(negatives))[2:]


@variant("negative_sampling_loss_and_gradients")
def negatives_counted_twice_over(v_c, o, U, negatives):
    """You add up the shares of a repeated negative and then multiply by its count once more."""
    _, _, loss, grad_v_c, grad_U = _sampled(v_c, o, U, negatives)
    for w, count in Counter(negatives).items():
        grad_U[w] *= count
    return loss, grad_v_c, grad_U


@variant("negative_sampling_loss_and_gradients")
def negatives_with_sigmoid_reversed(v_c, o, U, negatives):
    """For a negative your gradients use the probability that it was not there."""
    positive, negative, loss, grad_v_c, grad_U = _sampled(v_c, o, U, negatives)
    grad_v_c = (positive - 1) * U[o] + (1 - negative) @ U[negatives]
    grad_U = np.zeros_like(U)
    grad_U[o] = (positive - 1) * v_c
    np.add.at(grad_U, negatives, np.outer(1 - negative, v_c))
    return loss, grad_v_c, grad_U


@variant("negative_sampling_loss_and_gradients")
def positive_with_slipped_bracket(v_c, o, U, negatives):
    """A bracket slipped: your gradients take the 1 away inside the sigmoid."""
    _, negative, loss, _, grad_U = _sampled(v_c, o, U, negatives)
    slipped = _sigmoid(U[o] @ v_c - 1)
    grad_U[o] = slipped * v_c
    return loss, slipped * U[o] + negative @ U[negatives], grad_U


@variant("negative_sampling_loss_and_gradients")
def negatives_treated_as_positives(v_c, o, U, negatives):
    """Your loss rewards a large score of the negatives: their scores enter with a minus."""
    positive, negative, _, grad_v_c, grad_U = _sampled(v_c, o, U, negatives)
    return -np.log(positive) - np.sum(np.log(negative)), grad_v_c, grad_U


@variant("negative_sampling_loss_and_gradients")
def negatives_averaged(v_c, o, U, negatives):
    """You average over the negatives, but the loss adds them up."""
    positive, negative, *_ = _sampled(v_c, o, U, negatives)
    negative_loss = -np.mean(np.log(1 - negative))
    grad_U = np.zeros_like(U)
    grad_U[o] = (positive - 1) * v_c
    np.add.at(grad_U, negatives, np.outer(negative, v_c) / len(negatives))
    grad_v_c = (positive - 1) * U[o] + negative @ U[negatives] / len(negatives)
    return -np.log(positive) + negative_loss, grad_v_c, grad_U


@variant("negative_sampling_loss_and_gradients")
def negatives_ten_at_most(v_c, o, U, negatives):
    """The number of negatives is fixed in your code, but the list that is given has its own."""
    first = [negatives[k] for k in range(10)]
    return _sampled(v_c, o, U, np.array(first))[2:]


@variant("negative_sampling_loss_and_gradients")
def negatives_without_the_positive(v_c, o, U, negatives):
    """The row of the true outside word stays zero in your grad_U, but it takes part as well."""
    _, _, loss, grad_v_c, grad_U = _sampled(v_c, o, U, negatives)
    grad_U[o] = 0
    return loss, grad_v_c, grad_U


@variant("negative_sampling_loss_and_gradients")
def negatives_pulled_closer(v_c, o, U, negatives):
    """Your gradients pull the negatives closer to the center: the inner derivative has a sign."""
    positive, negative, loss, _, grad_U = _sampled(v_c, o, U, negatives)
    grad_U = -grad_U
    grad_U[o] = (positive - 1) * v_c
    return loss, (positive - 1) * U[o] - negative @ U[negatives], grad_U


# Question 5


@variant("context_windows")
def windows_with_negative_start(tokens, m):
    """Near the start of the text your slice begins at a negative index, counted from the end."""
    return [(c, tokens[i - m : i] + tokens[i + 1 : i + 1 + m]) for i, c in enumerate(tokens)]


@variant("context_windows")
def windows_short_on_the_right(tokens, m):
    """Your windows lack the last word on the right: the end of a slice is not part of it."""
    return [(c, tokens[max(0, i - m) : i] + tokens[i + 1 : i + m]) for i, c in enumerate(tokens)]


@variant("context_windows")
def windows_in_the_middle_only(tokens, m):
    """You leave out the words near the edges, but they have windows too, with fewer words."""
    return [
        (tokens[i], tokens[i - m : i] + tokens[i + 1 : i + 1 + m])
        for i in range(m, len(tokens) - m)
    ]


@variant("context_windows")
def windows_clamped_to_the_edges(tokens, m):
    """At the edges you repeat the first or last word to fill up the window."""
    last = len(tokens) - 1
    return [
        (c, [tokens[min(max(j, 0), last)] for j in range(i - m, i + m + 1) if j != i])
        for i, c in enumerate(tokens)
    ]


@variant("context_windows")
def windows_with_the_center(tokens, m):
    """Your windows contain the center itself among its outside words."""
    return [(c, tokens[max(0, i - m) : i + m + 1]) for i, c in enumerate(tokens)]


@variant("context_windows")
def windows_without_repeats_of_the_center(tokens, m):
    """You leave out the center by comparing words, so its repeats nearby are lost as well."""
    return [
        (c, [w for w in tokens[max(0, i - m) : i + m + 1] if w != c]) for i, c in enumerate(tokens)
    ]


@variant("context_windows")
def windows_of_the_past(tokens, m):
    """Your windows hold the words on the left only, but a window has two sides."""
    return [(c, tokens[max(0, i - m) : i]) for i, c in enumerate(tokens)]


@variant("skipgram_pairs")
def pairs_in_one_direction(tokens, m):
    """You pair each word with the ones on its right only, but a window has two sides."""
    return [(c, o) for i, c in enumerate(tokens) for o in tokens[i + 1 : i + 1 + m]]


@variant("skipgram_pairs")
def pairs_without_repeats(tokens, m):
    """You list each different pair once, but a pair that occurs often is to be learned often."""
    return sorted(set(_pairs(tokens, m)))


@variant("skipgram_pairs")
def pairs_of_neighbors_only(tokens, m):
    """You use one outside word per side, whatever m is."""
    return _pairs(tokens, 1)


@variant("skipgram_pairs")
def pairs_short_of_distance_m(tokens, m):
    """You lose the words at distance m: check where your range ends."""
    return _pairs(tokens, m - 1)


@variant("skipgram_pairs")
def pairs_with_the_center_itself(tokens, m):
    """You pair each center with itself."""
    return _pairs(tokens, m) + [(w, w) for w in tokens]


@variant("skipgram_pairs")
def pairs_of_different_words(tokens, m):
    """You leave out the center by comparing words, so two equal words nearby make no pair."""
    return [(c, o) for c, o in _pairs(tokens, m) if c != o]


def _pairs(tokens, m):
    n = len(tokens)
    return [
        (tokens[i], tokens[j])
        for i in range(n)
        for j in range(max(0, i - m), min(n, i + m + 1))
        if i != j
    ]


# Question 6


def _skipgram(center, outside, V, U, loss_and_gradients):
    loss, grad_V, grad_U = 0.0, np.zeros_like(V), np.zeros_like(U)
    for o in outside:
        loss_o, grad_v_c, grad_U_o = loss_and_gradients(V[center], o, U)
        loss += loss_o
        grad_V[center] += grad_v_c
        grad_U += grad_U_o
    return loss, grad_V, grad_U


@variant("skipgram_loss_and_gradients")
def skipgram_averaged(center, outside, V, U, loss_and_gradients):
    """You average over the outside words, but the loss of a window adds them up."""
    results = _skipgram(center, outside, V, U, loss_and_gradients)
    return tuple(result / len(outside) for result in results)


@variant("skipgram_loss_and_gradients")
def skipgram_without_repeats(center, outside, V, U, loss_and_gradients):
    """You drop repeated outside words, but each occurrence is predicted on its own."""
    return _skipgram(center, sorted(set(outside)), V, U, loss_and_gradients)


@variant("skipgram_loss_and_gradients")
def skipgram_broadcast_to_every_row(center, outside, V, U, loss_and_gradients):
    """The center's gradient is added to every row of your grad_V, but one vector took part."""
    loss, grad_V, grad_U = _skipgram(center, outside, V, U, loss_and_gradients)
    return loss, np.zeros_like(V) + grad_V[center], grad_U


@variant("skipgram_loss_and_gradients")
def skipgram_keeps_the_last_only(center, outside, V, U, loss_and_gradients):
    """Your grad_V keeps the gradient of the last outside word and loses those before it."""
    loss, grad_V, grad_U = _skipgram(center, outside, V, U, loss_and_gradients)
    grad_V[center] = loss_and_gradients(V[center], outside[-1], U)[1]
    return loss, grad_V, grad_U


@variant("skipgram_loss_and_gradients")
def skipgram_updates_outside_rows(center, outside, V, U, loss_and_gradients):
    """Your grad_V changes the rows of the outside words, but their input vectors took no part."""
    loss, grad_V, grad_U = _skipgram(center, outside, V, U, loss_and_gradients)
    grad_V = np.zeros_like(V)
    for o in outside:
        grad_V[o] += loss_and_gradients(V[center], o, U)[1]
    return loss, grad_V, grad_U


@variant("skipgram_loss_and_gradients")
def skipgram_roles_swapped(center, outside, V, U, loss_and_gradients):
    """Each outside word predicts the center in your code, but here the center predicts them."""
    loss, grad_V, grad_U = 0.0, np.zeros_like(V), np.zeros_like(U)
    for o in outside:
        loss_o, grad_v_o, grad_U_o = loss_and_gradients(V[o], center, U)
        loss += loss_o
        grad_V[o] += grad_v_o
        grad_U += grad_U_o
    return loss, grad_V, grad_U


@variant("skipgram_loss_and_gradients")
def skipgram_four_words_always(center, outside, V, U, loss_and_gradients):
    """Your loop runs over a fixed number of outside words, but at an edge there are fewer."""
    return _skipgram(center, [outside[j] for j in range(4)], V, U, loss_and_gradients)


@variant("skipgram_loss_and_gradients")
def skipgram_with_its_own_loss(center, outside, V, U, loss_and_gradients):
    """You compute the naive-softmax loss yourself, but the loss to use is the one handed over."""

    def naive(v_c, o, U):
        y_hat, delta = _naive(v_c, o, U)
        return -np.log(y_hat[o]), U.T @ delta, np.outer(delta, v_c)

    return _skipgram(center, outside, V, U, naive)


def _cbow(center, outside, V, U, loss_and_gradients):
    v_hat = np.mean(V[outside], axis=0)
    loss, grad_v_hat, grad_U = loss_and_gradients(v_hat, center, U)
    grad_V = np.zeros_like(V)
    np.add.at(grad_V, outside, np.asarray(grad_v_hat) / len(outside))
    return loss, grad_v_hat, grad_V, grad_U


@variant("cbow_loss_and_gradients")
def cbow_summed(center, outside, V, U, loss_and_gradients):
    """You predict from the sum of the input vectors, but v_hat is their mean."""
    loss, grad_v_hat, grad_U = loss_and_gradients(np.sum(V[outside], axis=0), center, U)
    grad_V = np.zeros_like(V)
    np.add.at(grad_V, outside, grad_v_hat)
    return loss, grad_V, grad_U


@variant("cbow_loss_and_gradients")
def cbow_without_the_share(center, outside, V, U, loss_and_gradients):
    """Each input vector gets the whole gradient of v_hat in your grad_V, but it holds a share."""
    loss, _, grad_V, grad_U = _cbow(center, outside, V, U, loss_and_gradients)
    return loss, grad_V * len(outside), grad_U


@variant("cbow_loss_and_gradients")
def cbow_overwrites_repeats(center, outside, V, U, loss_and_gradients):
    """A word that stands twice in the window gets one share in your grad_V, but it holds two."""
    loss, grad_v_hat, grad_V, grad_U = _cbow(center, outside, V, U, loss_and_gradients)
    grad_V[outside] = np.asarray(grad_v_hat) / len(outside)
    return loss, grad_V, grad_U


@variant("cbow_loss_and_gradients")
def cbow_without_repeats(center, outside, V, U, loss_and_gradients):
    """You drop repeated words from the window before you average, but each occurrence counts."""
    loss, _, grad_V, grad_U = _cbow(center, sorted(set(outside)), V, U, loss_and_gradients)
    return loss, grad_V, grad_U


@variant("cbow_loss_and_gradients")
def cbow_divided_by_a_full_window(center, outside, V, U, loss_and_gradients):
    """You divide by the size of a full window, but at an edge there are fewer words in it."""
    v_hat = np.sum(V[outside], axis=0) / 4
    loss, grad_v_hat, grad_U = loss_and_gradients(v_hat, center, U)
    grad_V = np.zeros_like(V)
    np.add.at(grad_V, outside, np.asarray(grad_v_hat) / 4)
    return loss, grad_V, grad_U


@variant("cbow_loss_and_gradients")
def cbow_updates_the_center(center, outside, V, U, loss_and_gradients):
    """Your grad_V changes the center's row, but the center's input vector took no part."""
    loss, grad_v_hat, grad_V, grad_U = _cbow(center, outside, V, U, loss_and_gradients)
    grad_V = np.zeros_like(V)
    grad_V[center] = grad_v_hat
    return loss, grad_V, grad_U


@variant("cbow_loss_and_gradients")
def cbow_as_skipgram(center, outside, V, U, loss_and_gradients):
    """The center predicts the outside words in your code: that is skip-gram."""
    return _skipgram(center, outside, V, U, loss_and_gradients)


# Question 7


@variant("sgd_step")
def sgd_uphill(loss_and_gradient, theta, alpha):
    """Your step goes along the gradient, which is uphill."""
    return theta + alpha * loss_and_gradient(theta)[1]


@variant("sgd_step")
def sgd_in_place(loss_and_gradient, theta, alpha):
    """Your step is right, but it changes the array that you were given."""
    theta -= alpha * loss_and_gradient(theta)[1]
    return theta


@variant("sgd_step")
def sgd_without_step_length(loss_and_gradient, theta, alpha):
    """Your step takes the whole gradient away and ignores alpha."""
    return theta - loss_and_gradient(theta)[1]


@variant("sgd_step")
def sgd_by_the_loss(loss_and_gradient, theta, alpha):
    """You take away the loss, the first of the two results, in place of the gradient."""
    return theta - alpha * loss_and_gradient(theta)[0]


# Question 8


def _nearest(w, scores, k):
    return [int(i) for i in np.argsort(-scores) if i != w][:k]


@variant("nearest_neighbors")
def neighbors_by_scalar_product(w, vectors, k):
    """You compare scalar products, so long vectors win whatever their direction."""
    return _nearest(w, vectors @ vectors[w], k)


@variant("nearest_neighbors")
def neighbors_by_distance(w, vectors, k):
    """You compare the distance between the points, which depends on the lengths of the vectors."""
    return _nearest(w, -np.linalg.norm(vectors - vectors[w], axis=1), k)


@variant("nearest_neighbors")
def neighbors_with_itself(w, vectors, k):
    """Each word comes out as its own nearest neighbor in your list."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.argsort(-(unit @ unit[w]))[:k]


@variant("nearest_neighbors")
def neighbors_from_the_far_end(w, vectors, k):
    """Your list starts at the least similar words: argsort sorts upwards."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return _nearest(w, -(unit @ unit[w]), k)


@variant("nearest_neighbors")
def neighbors_least_similar_first(w, vectors, k):
    """You found the right words and list them in the reverse order."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return _nearest(w, unit @ unit[w], k)[::-1]


@variant("nearest_neighbors")
def neighbors_with_columns_normalized(w, vectors, k):
    """You scale each column to length 1, but a word's vector is a row."""
    unit = vectors / np.linalg.norm(vectors, axis=0, keepdims=True)
    return _nearest(w, unit @ unit[w], k)
