"""Small recognisers that an attack can be followed on; nothing else, so that a submission's process starts fast."""


class Linear:
    """A recogniser that is one matrix, so that its attack can be followed on paper."""

    def __init__(self, weight):
        self.weight = weight

    def __call__(self, x):
        return x.flatten(1) @ self.weight.T


class Recorder:
    """A recogniser that remembers the images that it was shown."""

    def __init__(self, recogniser):
        self.recogniser, self.seen = recogniser, []

    def __call__(self, x):
        self.seen.append(x.detach().clone())
        return self.recogniser(x)
