"""Layered synthetic motion: pieces of real pictures move on curves over one another. Frame, flow and occlusion are
exact at every t, and the supply never ends.

Layer k at time s maps its own coordinates m to the picture by x = c + p(s) + scale(s) R(angle(s)) m.
Rendering inverts this per pixel, so there is no splatting and no error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tween.data.clips import Triples, tint, uniform
from tween.data.store import FrameStore, sample
from tween.ops.warp import pixel_grid

LAYERS = 4  # the first is the background
DRAWN = 2  # counts up when other motion is drawn, so that results of before are not set beside those of after


class Course(NamedTuple):
    """Motion of every layer (`n k ...`): centre, velocity and acceleration over the unit interval, turn and growth."""

    centre: Tensor
    velocity: Tensor
    bend: Tensor
    turn: Tensor
    growth: Tensor

    def place(self, s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Centre `n k 2`, angle and scale `n k` at time `s` (`n`)."""
        s = s[:, None]
        swing = (s - 0.5).square()[..., None] - 0.25  # zero at both ends: the bend is all between
        centre = self.centre + self.velocity * (s - 0.5)[..., None] + self.bend * swing
        return centre, self.turn * (s - 0.5), torch.exp(self.growth * (s - 0.5))


def draw_course(n: int, size: tuple[int, int], g: torch.Generator) -> Course:
    """Speeds log-uniform up to a quarter of the crop for objects, half of that for the background."""

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g, device=g.device)

    most = torch.full((LAYERS,), 0.26 * min(size), device=g.device)
    most[0] *= 0.5
    speed = most * torch.exp(uniform(n * LAYERS, -4.0, 0.0, g)).view(n, LAYERS)
    direction = F.normalize(noise(n, LAYERS, 2), dim=-1)
    shared = speed[:, :1, None] * direction[:, :1] * (uniform(n, 0, 1, g) < 0.5).view(n, 1, 1)
    velocity = speed[..., None] * direction
    velocity = torch.cat((velocity[:, :1], velocity[:, 1:] + shared), 1)  # objects often follow the camera
    extent = torch.tensor((size[1], size[0]), device=g.device)
    centre = uniform(n * LAYERS * 2, 0.1, 0.9, g).view(n, LAYERS, 2) * extent
    centre[:, 0] = extent / 2
    return Course(
        centre,
        velocity,
        noise(n, LAYERS, 2) * speed[..., None] * 0.35,
        noise(n, LAYERS) * 0.08,
        noise(n, LAYERS) * 0.06,
    )


def calmed(course: Course, g: torch.Generator) -> Course:
    """Half of the samples slower, by up to e^6 = 403, and three backgrounds of ten at rest. Most of most videos moves
    by less than a pixel, but a layer as `draw_course` has it turns, grows, or goes two pixels."""
    n = len(course.turn)
    slower = torch.exp(uniform(n, -6.0, 0.0, g))
    share = torch.where(uniform(n, 0, 1, g) < 0.5, slower, 1.0)[:, None].repeat(1, LAYERS)
    share[:, 0] *= uniform(n, 0, 1, g) >= 0.3
    return course._replace(
        velocity=course.velocity * share[..., None],
        bend=course.bend * share[..., None],
        turn=course.turn * share,
        growth=course.growth * share,
    )


def to_layer(course: Course, s: Tensor, grid: Tensor) -> Tensor:
    """Picture positions `n 1|k h w 2` to layer coordinates `n k h w 2` at time `s`."""
    centre, angle, scale = course.place(s)
    x, y = ((grid - centre[..., None, None, :]) / scale[..., None, None, None]).unbind(-1)
    cos, sin = angle.cos()[..., None, None], angle.sin()[..., None, None]
    return torch.stack((cos * x + sin * y, cos * y - sin * x), -1)


def to_picture(course: Course, s: Tensor, m: Tensor) -> Tensor:
    """The inverse of `to_layer`."""
    centre, angle, scale = course.place(s)
    x, y = m.unbind(-1)
    cos, sin = angle.cos()[..., None, None], angle.sin()[..., None, None]
    turned = torch.stack((cos * x - sin * y, sin * x + cos * y), -1)
    return centre[..., None, None, :] + turned * scale[..., None, None, None]


class Look(NamedTuple):
    """What the layers look like: textures (frame, origin, zoom, angle) and outlines (noise, radius, softness)."""

    frame: Tensor
    origin: Tensor
    zoom: Tensor
    outline: Tensor
    radius: Tensor
    edge: Tensor


def draw_look(store: FrameStore, n: int, size: tuple[int, int], g: torch.Generator) -> Look:
    """Textures from any frame of the store; outlines from smooth noise inside an ellipse, some of them thin."""
    k = n * LAYERS
    frame = (uniform(k, 0, 1, g) * store.offset.shape[1]).long()
    height, width = store.size[0, frame].float().unbind(-1)
    origin = torch.stack((uniform(k, 0, 1, g) * width, uniform(k, 0, 1, g) * height), -1)
    radius = torch.exp(uniform(2 * k, -2.6, -0.7, g)).view(n, LAYERS, 2) * min(size)
    noise = torch.randn(k, 1, 6, 6, generator=g, device=g.device)
    outline = F.interpolate(noise, size=(48, 48), mode="bicubic", align_corners=True)
    axis = torch.linspace(-1, 1, 48, device=g.device)
    ellipse = 1 - (axis[:, None].square() + axis.square()).sqrt()
    return Look(
        frame.view(n, LAYERS),
        origin.view(n, LAYERS, 2),
        torch.exp(uniform(k, -0.8, 0.4, g)).view(n, LAYERS),
        outline * 0.25 + 1.2 * ellipse,
        radius,
        torch.exp(uniform(k, 1.5, 3.5, g)).view(n, LAYERS),
    )


class View(NamedTuple):
    """The picture `n 3 h w`, the layer seen at each pixel `n h w`, layer coordinates of every layer `n k h w 2`."""

    picture: Tensor
    seen: Tensor
    place: Tensor


def render(store: FrameStore, course: Course, look: Look, s: Tensor, size: tuple[int, int]) -> View:
    """The picture of `size` (h, w) at time `s` (`n`)."""
    n = len(s)
    grid = pixel_grid(*size, s.device).permute(0, 2, 3, 1)[:, None]
    m = to_layer(course, s, grid)
    where = look.origin[..., None, None, :] + m / look.zoom[..., None, None, None]
    colour = sample(store, look.frame, where, look.zoom)
    alpha = cover(look, m)
    picture = colour[:, 0]
    seen = torch.zeros(n, *size, dtype=torch.long, device=s.device)
    for k in range(1, LAYERS):
        a = alpha[:, k]
        picture = picture + a[:, None] * (colour[:, k] - picture)
        seen = torch.where(a > 0.5, k, seen)
    return View(picture, seen, m)


def cover(look: Look, m: Tensor) -> Tensor:
    """How much each layer covers at its coordinates `n k h w 2`: `n k h w` in [0, 1], all of it by the background."""
    local = (m / look.radius[..., None, None, :]).flatten(0, 1)
    height = F.grid_sample(look.outline, local, padding_mode="border", align_corners=True).view(m.shape[:-1])
    outside = (local.abs().amax(-1) > 1).view_as(height)
    alpha = torch.sigmoid(height * look.edge[..., None, None] * 4).masked_fill(outside, 0)
    alpha[:, 0] = 1
    return alpha


def layer_triples(
    store: FrameStore,
    n: int,
    size: tuple[int, int],
    g: torch.Generator,
    *,
    render: Callable[..., View] = render,
    halfway: bool = False,
) -> Triples:
    """`n` synthetic triples with exact flow from t into both frames. `render` may be a compiled one; `halfway` draws
    t = 1/2 alone, otherwise half of them are there."""
    course, look = calmed(draw_course(n, size, g), g), draw_look(store, n, size, g)
    t = torch.where((uniform(n, 0, 1, g) < 0.5) | halfway, 0.5, uniform(n, 0.05, 0.95, g))
    zero, one = torch.zeros_like(t), torch.ones_like(t)
    view0, view1, view = (render(store, course, look, s, size) for s in (zero, one, t))

    def flow(source: View, *times: Tensor) -> Tensor:
        return torch.cat([displacement(course, source, s) for s in times], 1)

    frames = torch.stack((view0.picture, view.picture, view1.picture), 1)
    return Triples(
        frames=tint(soften(frames, g), g),
        t=t,
        flow=flow(view, zero, one),
        between=torch.cat((flow(view0, one), flow(view1, zero)), 1),
        known=one,
    )


def displacement(course: Course, view: View, s: Tensor) -> Tensor:
    """Where what is seen in `view` lies at time `s`, minus where it is: flow `n 2 h w`."""
    _, seen, m = view
    there = to_picture(course, s, m).gather(1, seen[:, None, ..., None].expand(-1, 1, -1, -1, 2))[:, 0]
    return there.permute(0, 3, 1, 2) - pixel_grid(*seen.shape[1:], s.device)


def hidden(course: Course, look: Look, view: View, s: Tensor) -> Tensor:
    """Where what is seen in `view` lies behind another layer, or outside the picture, at time `s`: `n h w` bool."""
    h, w = view.seen.shape[1:]
    there = pixel_grid(h, w, s.device) + displacement(course, view, s)
    alpha = cover(look, to_layer(course, s, there.permute(0, 2, 3, 1)[:, None]))
    above = torch.arange(LAYERS, device=s.device)[:, None, None] > view.seen[:, None]
    x, y = there.unbind(1)
    slack = 0.01  # px: a place at the border is within it, however it was rounded
    outside = (x < -slack) | (y < -slack) | (x > w - 1 + slack) | (y > h - 1 + slack)
    return outside | ((alpha > 0.5) & above).any(1)


def soften(frames: Tensor, g: torch.Generator) -> Tensor:
    """A random slight blur, the same for all frames of a sample: real lenses are not as sharp as a cut-out."""
    n = len(frames)
    kernel = torch.tensor([0.25, 0.5, 0.25], device=frames.device)
    flat = frames.flatten(0, 2)[:, None]
    blurred = F.conv2d(F.pad(flat, (1, 1, 1, 1), mode="replicate"), (kernel[:, None] * kernel)[None, None])
    share = uniform(n, -0.5, 1, g).clamp_min(0).view(n, 1, 1, 1, 1)
    return frames + share * (blurred.view_as(frames) - frames)
