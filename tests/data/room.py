"""A camera in a painted room, in numpy: a world of which every picture is exact."""

import numpy as np

from tween.data.episodes import DEGREES, Episodes

SIDE, HEIGHT, EYES, PACE = 3000.0, 200.0, 80.0, 16.0  # of a room; PACE in units a frame


def picture(x: float, y: float, yaw: float, h: int = 48, w: int = 64) -> np.ndarray:
    """`h w 3` uint8 seen from (x, y) by a camera 90 degrees wide; yaw in degrees, anticlockwise."""
    down, across = np.meshgrid(np.arange(h) - (h - 1) / 2, np.arange(w) - (w - 1) / 2, indexing="ij")
    turn, ahead = np.radians(yaw), w / 2
    ray = np.stack(
        (
            ahead * np.cos(turn) + across * np.sin(turn),
            ahead * np.sin(turn) - across * np.cos(turn),
            -down,
        )
    )
    eye = np.array((x, y, EYES))[:, None, None]
    far = np.where(ray > 0, np.array((SIDE, SIDE, HEIGHT))[:, None, None], 0.0)
    hit = eye + ray * ((far - eye) / np.where(ray == 0, 1e-9, ray)).min(0)
    waves = np.random.default_rng(0).normal(0, 0.02, (3, 12, 3))
    light = np.sin(np.einsum("cka,ahw->hwck", waves, hit)).mean(-1)
    return (127.5 * (1 + np.clip(2 * light, -1, 1))).round().astype(np.uint8)


def film(keys: np.ndarray, mouse: np.ndarray, h: int = 48, w: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Frames `f h w 3` and poses `f 5` of one who does keys `f 4` and mouse `f 2` (its vertical is left out)."""
    x, y, yaw, frames, poses = SIDE / 2, SIDE / 3, 90.0, [], []
    for (forward, back, left, right), (_, turn) in zip(keys.astype(float), mouse, strict=True):
        frames.append(picture(x, y, yaw, h, w))
        poses.append((x, y, 0.0, yaw % 360, 0.0))
        yaw -= DEGREES * float(turn)
        on, aside, at = PACE * (forward - back), PACE * (right - left), np.radians(yaw)
        x, y = x + on * np.cos(at) + aside * np.sin(at), y + on * np.sin(at) - aside * np.cos(at)
    return np.stack(frames), np.array(poses, np.float32)


def episode(orders: list[str], hold: int = 12, h: int = 48, w: int = 64) -> Episodes:
    """One episode of orders held for `hold` frames each; as `tween.evaluate.world.ORDERS`."""
    keys = np.zeros((hold * len(orders), 4), np.uint8)
    mouse = np.zeros((hold * len(orders), 2), np.float32)
    for i, order in enumerate(orders):
        span = slice(i * hold, (i + 1) * hold)
        keys[span, 0] = order == "walk"
        mouse[span, 1] = {"left": -0.1, "right": 0.1}.get(order, 0.0)
    frames, pose = film(keys, mouse, h, w)
    cuts = np.zeros((1, len(keys)), bool)
    cuts[0, 0] = True
    about = ({"world": "room", "size": (w, h), "rate": "35/2"},)
    return Episodes(
        frames=frames[None], keys=keys[None], mouse=mouse[None], pose=pose[None], cuts=cuts, about=about
    )
