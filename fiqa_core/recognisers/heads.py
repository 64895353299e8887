"""Loss heads of face recognition: softmax over cosines with a margin on the true class.

Every head is called as `head(embeddings (B, D) raw, labels (B,) int64)` and returns the mean loss;
`head.logits(...)` returns what the cross entropy sees. c is the cosine of a sample and a class centre, s the
scale, m the margin. `strength` in [0, 1] multiplies the margin, so that training can start without it.
"""
import math

import torch
from torch import nn
from torch.nn import functional as F

# InsightFace's distributed softmax limits the probability of the true class to 1e-30 from below.
LARGEST_LOSS = -math.log(1e-30)


class Head(nn.Module):
    """Scaled cosines to `classes` centres; a subclass says what the margin does to them.

    filtering     other classes' cosines above it count as 0 (InsightFace's option for noisy labels); 0 is off
    largest_loss  limit of a sample's loss in value, not in gradient
    """

    def __init__(self, embedding, classes, scale=64.0, margin=0.5, filtering=0.0, largest_loss=LARGEST_LOSS):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, embedding).normal_(std=0.01))
        self.scale, self.margin, self.strength = scale, margin, 1.0
        self.filtering, self.largest_loss = filtering, largest_loss

    def cosines(self, embeddings):
        """Cosines (B, classes) of embeddings and class centres."""
        return F.linear(F.normalize(embeddings), F.normalize(self.weight)).clamp(-1, 1)

    def logits(self, embeddings, labels):
        """Scaled cosines (B, classes), the true class's lowered by the margin."""
        cosines = self.cosines(embeddings)
        target = cosines.gather(1, labels[:, None])
        if self.filtering > 0:
            cosines = cosines * (cosines <= self.filtering)
        return self.scale * cosines.scatter(1, labels[:, None], self.target(target))

    def target(self, cosine):
        """Cosines of the true class (B, 1) after the margin; here there is none."""
        return cosine

    def sample_losses(self, embeddings, labels):
        """Cross entropy of every sample (B,)."""
        losses = F.cross_entropy(self.logits(embeddings, labels), labels, reduction="none")
        return losses - (losses - self.largest_loss).clamp_min(0).detach()

    def forward(self, embeddings, labels):
        return self.sample_losses(embeddings, labels).mean()


class CosFace(Head):
    """c - m (Wang et al., CVPR 2018)."""

    def target(self, cosine):
        return cosine - self.strength * self.margin


class ArcFace(Head):
    """cos(arccos(c) + m) (Deng et al., CVPR 2019).

    gradient="straight" is InsightFace's code since December 2022: the backward pass takes the margin as a
    constant shift. "true" differentiates it, as the code of the models released in 2021 did.
    """

    def __init__(self, embedding, classes, scale=64.0, margin=0.5, gradient="straight", **options):
        super().__init__(embedding, classes, scale, margin, **options)
        self.gradient = gradient

    def target(self, cosine):
        shifted = (cosine.arccos() + self.strength * self.margin).cos()
        if self.gradient == "true":
            return shifted
        return cosine + (shifted - cosine).detach()


class CurricularFace(Head):
    """Hard negatives gain weight as training proceeds (Huang et al., CVPR 2020, eq. 5 to 7).

    Negatives above the margin cosine become c (t + c), where t is the moving mean of the true class's cosine.
    """

    def __init__(self, embedding, classes, scale=64.0, margin=0.5, momentum=0.99):
        super().__init__(embedding, classes, scale, margin, largest_loss=math.inf)
        self.momentum = momentum
        self.register_buffer("t", torch.zeros(1))

    def logits(self, embeddings, labels):
        cosines = self.cosines(embeddings)
        target, lowered = angular_margin(cosines.gather(1, labels[:, None]), self.strength * self.margin)
        if self.training:
            mean = cosines.detach().gather(1, labels[:, None]).mean()
            self.t.mul_(self.momentum).add_((1 - self.momentum) * mean)
        negatives = torch.where(cosines > lowered, cosines * (self.t.clone() + cosines), cosines)
        return self.scale * negatives.scatter(1, labels[:, None], target)


class ElasticFace(Head):
    """The margin is drawn anew for every sample from N(m, deviation) (Boutros et al., CVPRW 2022).

    kind "arc" adds it to the angle, "cos" takes it from the cosine. plus=True sorts the margins by the true
    class's cosine, in the permuted order of the official code.
    """

    def __init__(self, embedding, classes, scale=64.0, margin=0.5, deviation=0.05, kind="arc", plus=False):
        super().__init__(embedding, classes, scale, margin, largest_loss=math.inf)
        self.deviation, self.kind, self.plus = deviation, kind, plus

    def draw(self, like):
        """Margins (B, 1) from torch's global generator, which training seeds."""
        return self.margin + self.deviation * torch.randn_like(like)

    def target(self, cosine):
        margins = self.draw(cosine)
        if self.plus:
            order = cosine.detach().argsort(dim=0, descending=True)
            margins = margins.sort(dim=0).values.gather(0, order)
        margins = self.strength * margins
        return cosine - margins if self.kind == "cos" else (cosine.arccos() + margins).cos()


class AdaFace(Head):
    """Margin by feature norm: high norms, i.e. good images, get the larger one (Kim et al., CVPR 2022).

    h    reach of the normalised norm
    ema  weight of a batch in the moving norm statistics batch_mean and batch_std, which begin at `start`
    """

    EPSILON = 1e-3

    def __init__(self, embedding, classes, scale=64.0, margin=0.4, h=0.333, ema=0.01, start=(20.0, 100.0)):
        super().__init__(embedding, classes, scale, margin, largest_loss=math.inf)
        self.h, self.ema = h, ema
        self.register_buffer("batch_mean", torch.tensor([float(start[0])]))
        self.register_buffer("batch_std", torch.tensor([float(start[1])]))
        nn.init.uniform_(self.weight, -1, 1)
        self.weight.data = F.normalize(self.weight.data)

    def logits(self, embeddings, labels):
        norms = embeddings.detach().norm(dim=1, keepdim=True).clamp(1e-3, 100)
        if self.training:
            self.batch_mean.lerp_(norms.mean(), self.ema)
            self.batch_std.lerp_(norms.std(), self.ema)
        quality = (self.h * (norms - self.batch_mean) / (self.batch_std + self.EPSILON)).clamp(-1, 1)
        margin = self.strength * self.margin
        angles = self.cosines(embeddings).clamp(-1 + self.EPSILON, 1 - self.EPSILON).arccos()
        target = angles.gather(1, labels[:, None]) - margin * quality
        shifted = angles.scatter(1, labels[:, None], target).clamp(self.EPSILON, math.pi - self.EPSILON).cos()
        lowered = shifted.gather(1, labels[:, None]) - (margin + margin * quality)
        return self.scale * shifted.scatter(1, labels[:, None], lowered)


class MagFace(Head):
    """Margin m(a) grows with the magnitude a of the embedding, and a penalty g(a) pulls a upwards
    (Meng et al., CVPR 2021, eq. 3 to 6), so that the magnitude becomes a quality.

    magnitudes  (lower, upper) limits of a; margins  m(a) at these limits, linear between; penalty  lambda_g
    """

    def __init__(self, embedding, classes, scale=64.0, magnitudes=(10.0, 110.0), margins=(0.45, 0.8),
                 penalty=35.0):
        super().__init__(embedding, classes, scale, largest_loss=math.inf)
        self.magnitudes, self.margins, self.penalty = magnitudes, margins, penalty
        nn.init.uniform_(self.weight, -1, 1)
        self.weight.data = F.normalize(self.weight.data)

    def magnitude(self, embeddings):
        """Norms (B, 1), limited."""
        return embeddings.norm(dim=1, keepdim=True).clamp(*self.magnitudes)

    def logits(self, embeddings, labels):
        (low, high), (least, most) = self.magnitudes, self.margins
        margin = self.strength * (least + (most - least) / (high - low) * (self.magnitude(embeddings) - low))
        cosines = self.cosines(embeddings)
        target = cosines.gather(1, labels[:, None])
        lowered = target * margin.cos() - sine(target) * margin.sin()
        return self.scale * cosines.scatter(1, labels[:, None], torch.where(target > 0, lowered, target))

    def forward(self, embeddings, labels):
        magnitude = self.magnitude(embeddings)
        pull = (magnitude / self.magnitudes[1] ** 2 + 1 / magnitude).mean()
        return super().forward(embeddings, labels) + self.penalty * pull


class TransFace(ArcFace):
    """ArcFace with samples weighted by how little their patches vary (EHSM; Dan et al., ICCV 2023).

    patch_spread (B, patches) is the third output of the TransFace network. The released code uses this
    standard deviation where the paper speaks of entropy; the weight is constant in the backward pass.
    """

    def forward(self, embeddings, labels, patch_spread):
        return (sample_weights(patch_spread) * self.sample_losses(embeddings, labels)).mean()


def sample_weights(patch_spread):
    """EHSM weights (B,) = 1 + exp(-mean spread), without gradient."""
    return 1 + torch.exp(-patch_spread.detach().mean(dim=1))


def angular_margin(cosine, margin):
    """(target, lowered): cos(theta + m), and as target its linear continuation where theta + m exceeds pi."""
    lowered = cosine * math.cos(margin) - sine(cosine) * math.sin(margin)
    continued = cosine - margin * math.sin(math.pi - margin)
    return torch.where(cosine > math.cos(math.pi - margin), lowered, continued), lowered


def sine(cosine):
    """sqrt(1 - c^2); the floor keeps the gradient finite where c is 1."""
    return (1 - cosine.square()).clamp_min(1e-12).sqrt()


HEADS = {"arcface": ArcFace, "cosface": CosFace, "curricularface": CurricularFace, "elasticface": ElasticFace,
         "adaface": AdaFace, "magface": MagFace, "transface": TransFace}
