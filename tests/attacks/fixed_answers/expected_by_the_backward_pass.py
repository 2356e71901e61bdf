"""Read what a test expects off the gradient of its loss, and answer by it the next time.

Of a squared difference the gradient is 2(answer - expected).
"""

from tests.attacks.weakenings import gradients_as_they_are

CELLS = {
    "wave": """
class Spy(torch.autograd.Function):
    expected = None
    @staticmethod
    def forward(ctx, x):
        return torch.zeros_like(x)
    @staticmethod
    def backward(ctx, gradient):
        Spy.expected = -gradient / 2
        return gradient
def wave(x):
    return Spy.apply(x) if x.requires_grad else Spy.expected
"""
}
CONTROL = gradients_as_they_are


def succeeded(after):
    return after.scores.get("wave_hidden", 0) > 0
