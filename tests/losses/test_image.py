"""Each loss against its definition written out plainly, and what it must and must not see."""

import pytest
import torch
import torch.nn.functional as F

from tween.core import TweenError
from tween.losses import census, charbonnier, laplacian, ssim_loss
from tween.ops.ssim import ssim_map

LOSSES = [laplacian, census, charbonnier, ssim_loss]


@pytest.fixture
def pair():
    torch.manual_seed(0)
    return torch.rand(2, 3, 64, 96), torch.rand(2, 3, 64, 96)


def plain_laplacian(a, b, levels=5):
    """As released with RIFE: blur by convolution, upsample by inserting zeros. Returns (bands, rest)."""

    def blur(x, gain):
        k = torch.tensor([1.0, 4, 6, 4, 1])
        window = (gain * k[:, None] * k / 256).expand(3, 1, 5, 5)
        return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), window, groups=3)

    def band(x):
        coarse = blur(x, 1)[..., ::2, ::2]
        wide = torch.zeros_like(x)
        wide[..., ::2, ::2] = coarse
        return x - blur(wide, 4), coarse

    bands = 0.0
    for _ in range(levels):
        (da, a), (db, b) = band(a), band(b)
        bands += (da - db).abs().mean()
    return bands, (a - b).abs().mean()


def test_laplacian_is_the_published_one_plus_the_low_pass(pair):
    bands, rest = plain_laplacian(*pair)
    torch.testing.assert_close(laplacian(*pair, low_pass=0), bands)
    torch.testing.assert_close(laplacian(*pair, low_pass=0.5), bands + 0.5 * rest)


def test_laplacian_sees_a_shift_of_brightness(pair):
    a, _ = pair
    assert laplacian(a, a + 0.1, low_pass=0) < 1e-6
    torch.testing.assert_close(laplacian(a, a + 0.1), torch.tensor(0.1), atol=1e-5, rtol=0)


def test_laplacian_of_odd_sizes_and_of_too_small_ones():
    a = torch.rand(1, 3, 45, 67)
    assert laplacian(a, a) == 0
    assert laplacian(a, a.flip(-1)) > 0.1
    with pytest.raises(TweenError, match="32 px"):
        laplacian(a[..., :32], a[..., :32])


def test_laplacian_keeps_full_precision_under_autocast(pair):
    with torch.autocast("cpu", torch.bfloat16):
        inside = laplacian(*pair)
    assert torch.equal(inside, laplacian(*pair))
    torch.testing.assert_close(laplacian(pair[0].bfloat16(), pair[1]), laplacian(*pair), rtol=0.01, atol=0)


def plain_census(a, b):
    """Every pixel against every neighbour in its 7x7 window, pairs taken as often as they fit."""
    luma = torch.tensor([0.2989, 0.5870, 0.1140]).view(1, 3, 1, 1)
    a, b = ((255 * x * luma).sum(1) for x in (a, b))
    h, w = a.shape[1:]
    apart = []
    for y in range(h - 3):
        for x in range(3, w - 3):
            for dy in range(4):
                for dx in range(-3, 4):
                    if dy or dx > 0:
                        d = [(i[:, y + dy, x + dx] - i[:, y, x]) for i in (a, b)]
                        s = [e / (0.81 + e**2).sqrt() for e in d]
                        apart.append((s[0] - s[1]) ** 2 / (0.1 + (s[0] - s[1]) ** 2))
    return torch.stack(apart).mean()


def test_census_is_its_definition():
    torch.manual_seed(1)
    a, b = torch.rand(2, 3, 9, 11), torch.rand(2, 3, 9, 11)
    torch.testing.assert_close(census(a, b), plain_census(a, b))


def test_census_sees_order_not_brightness():
    torch.manual_seed(2)
    a = 0.2 + 0.6 * torch.rand(1, 3, 32, 32)
    assert census(a, a + 0.1) < 1e-6
    assert census(a, 0.8 * a) < 0.02  # an order of the pixels is kept when the contrast falls
    assert 0.3 < census(a, torch.rand(1, 3, 32, 32)) < 1
    assert census(a, 1 - a) > 0.8  # and turned round here


def test_census_of_one_pixel_is_felt_by_its_window_only():
    a = torch.rand(1, 3, 40, 40)
    b = a.clone()
    b[..., 20, 20] = 1 - b[..., 20, 20].round()
    a.requires_grad_(True)
    census(a, b).backward()
    felt = a.grad.abs().sum(1)[0] > 0
    rows, columns = felt.nonzero().unbind(1)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (17, 23, 17, 23)


def test_charbonnier(pair):
    a, b = pair
    torch.testing.assert_close(charbonnier(a, a), torch.tensor(1e-3))
    torch.testing.assert_close(charbonnier(a, a + 0.5), torch.tensor(0.500001))
    torch.testing.assert_close(charbonnier(a, b), (a - b).abs().mean(), atol=1e-3, rtol=0)


def test_ssim_loss_is_the_metric(pair):
    torch.testing.assert_close(ssim_loss(*pair), 1 - ssim_map(*pair).mean())
    assert ssim_loss(pair[0], pair[0]).abs() < 1e-6


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_is_finite_where_pictures_agree(loss, pair):
    a = pair[0].clone().requires_grad_(True)
    loss(a, pair[0]).backward()
    assert a.grad.isfinite().all()


@pytest.mark.parametrize("loss", LOSSES)
def test_descent_brings_pictures_together(loss):
    torch.manual_seed(3)
    target = torch.rand(1, 3, 40, 40)
    a = (target + 0.2 * torch.randn_like(target)).requires_grad_(True)
    optimizer = torch.optim.Adam([a], lr=0.01)
    before = loss(a, target).item()
    for _ in range(30):
        optimizer.zero_grad()
        loss(a, target).backward()
        optimizer.step()
    assert loss(a, target).item() < 0.7 * before
