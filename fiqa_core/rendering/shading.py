"""Light: from visible surface points to pixel colours."""
import torch
import torch.nn.functional as F

from fiqa_core.rendering.head import hill


def normals(points: torch.Tensor) -> torch.Tensor:
    """Unit normals (B, 3, H, W) of a grid surface (B, 3, H, W), pointing out of the head."""
    right = F.pad(points[..., 2:] - points[..., :-2], (1, 1, 0, 0), mode="replicate")
    down = F.pad(points[..., 2:, :] - points[..., :-2, :], (0, 0, 1, 1), mode="replicate")
    (a, b, c), (d, e, f) = right.unbind(1), down.unbind(1)
    normal = torch.stack([b * f - c * e, c * d - a * f, a * e - b * d], 1)
    return normal * torch.rsqrt((normal * normal).sum(1, keepdim=True) + 1e-12)


def light_direction(angle: torch.Tensor, height: torch.Tensor) -> torch.Tensor:
    """Unit vectors (B, 3) towards the light: angle in degrees to the right, height in degrees up."""
    a, h = torch.deg2rad(angle), torch.deg2rad(height)
    return torch.stack([a.sin() * h.cos(), -h.sin(), a.cos() * h.cos()], 1)


def illuminate(normal: torch.Tensor, light: torch.Tensor, ambient: torch.Tensor) -> torch.Tensor:
    """Diffuse and specular light (B, 2, H, W) on a surface.

    Lambert's cosine plus a highlight by Blinn (1977) with exponent 18, seen from the front. ambient (B,)
    is the share of light that comes from everywhere.
    """
    facing = (normal * light[:, :, None, None]).sum(1)
    half = F.normalize(light + torch.tensor([0.0, 0.0, 1.0], device=light.device), dim=1)
    shine = (normal * half[:, :, None, None]).sum(1).clamp(0.01, 1) ** 18
    share = ambient[:, None, None]
    sky = 0.85 - 0.15 * normal[:, 1]
    return torch.stack([share * sky + (1 - share) * 1.25 * facing.clamp(min=0), (1 - share) * shine], 1)


def skin_colours(texels: torch.Tensor, skin: torch.Tensor, eyes_closed: torch.Tensor, age: torch.Tensor,
                 greying: torch.Tensor):
    """Albedo (B, 3, H, W) and gloss (B, H, W) after closing the eyes and ageing.

    texels (B, len(CHANNELS), H, W); skin (B, 3), the colour of closed lids; eyes_closed (B,) in
    0..1; age (B,) in years, 20 adds nothing; greying (B,) how early hair turns grey.
    """
    rgb, (gloss, hair, lid, wrinkle) = texels[:, :3], texels[:, 3:].unbind(1)
    old = ((age - 20) / 60).clamp(0, 1)[:, None, None]
    closed = eyes_closed[:, None, None]
    lowered = torch.sigmoid((closed * 1.15 - lid) * 14) * (lid > -0.5) * (closed > 0)
    edge = hill(((lid - closed * 1.1) / 0.14) ** 2) * (closed > 0) * (lid > -0.5)
    skin = 0.85 * skin[:, :, None, None] * (1 - 0.7 * edge).unsqueeze(1)
    rgb = torch.lerp(rgb, skin.expand_as(rgb), lowered.unsqueeze(1).expand_as(rgb))
    grey = (0.95 * old.unsqueeze(1) * (rgb.mean(1, keepdim=True) + 0.01).sqrt()).expand_as(rgb)
    turned = ((old - 0.42 + 0.17 * greying[:, None, None]) * 2.6).clamp(0, 1) * hair
    rgb = torch.lerp(rgb, grey, turned.unsqueeze(1).expand_as(rgb))
    rgb = rgb * (1 - 0.55 * old * wrinkle * (1 - hair)).unsqueeze(1)
    return rgb, gloss


def to_display(linear: torch.Tensor) -> torch.Tensor:
    """Linear light to display values in 0..1: gamma 2 with a soft shoulder, so highlights do not clip."""
    return (linear / (1 + 0.18 * linear)).clamp(0, 1).sqrt()


def grade(images: torch.Tensor, contrast: torch.Tensor, colour: torch.Tensor) -> torch.Tensor:
    """What cameras and prints do to display values (B, 3, H, W): contrast and colour (B,) in 0..1 choose how
    much; one picture in twenty-five is black and white."""
    contrast, colour = (v[:, None, None, None] for v in (contrast, colour))
    grey = images.mean(1, keepdim=True)
    images = torch.lerp(grey.expand_as(images), images, (0.75 + 0.55 * colour) * (colour > 0.04))
    return ((images - 0.45) * (0.85 + 0.35 * contrast) + 0.45).clamp(0, 1)


def reflect(albedo: torch.Tensor, gloss: torch.Tensor, lit: torch.Tensor) -> torch.Tensor:
    """Linear light (B, 3, H, W) sent to the camera: albedo times diffuse light plus gloss times highlight."""
    return albedo * lit[:, :1] * 1.25 + (gloss * lit[:, 1] * 0.35).unsqueeze(1)
