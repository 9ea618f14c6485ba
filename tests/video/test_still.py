"""Single pictures: exact where they fit, cut to shape where they do not, a sentence about what is none."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from tween.core import TweenError
from tween.video.still import jpeg, picture, png

RGB = (torch.rand(3, 24, 40, generator=torch.Generator().manual_seed(0)) * 255).round() / 255


def saved(pixels, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def test_a_png_of_the_size_comes_back_as_it_was(tmp_path):
    assert torch.equal(picture(png(RGB), (24, 40)), RGB)
    (tmp_path / "a.png").write_bytes(png(RGB))
    assert torch.equal(picture(tmp_path / "a.png", (24, 40)), RGB)


def test_pillow_reads_what_is_written():
    with Image.open(io.BytesIO(png(RGB))) as file:
        assert (file.format, file.mode, file.size) == ("PNG", "RGB", (40, 24))
        assert np.array_equal(np.array(file), (RGB * 255).permute(1, 2, 0).numpy())
    smooth = torch.linspace(0, 1, 40).expand(3, 24, 40)
    with Image.open(io.BytesIO(jpeg(smooth))) as file:
        assert file.format == "JPEG"
        assert np.abs(np.array(file) / 255 - smooth.permute(1, 2, 0).numpy()).max() < 0.03


@pytest.mark.parametrize("shape", [(30, 90), (90, 30)])
def test_the_middle_is_cut_to_the_shape(shape):
    pixels = np.zeros((*shape, 3), np.uint8)
    middle = [slice(side // 2 - 15, side // 2 + 15) for side in shape]
    pixels[middle[0], middle[1]] = (255, 0, 0)
    found = picture(saved(pixels), (32, 32))
    assert found.shape == (3, 32, 32)
    assert found[0].min() > 0.97
    assert not found[1:].any()
    assert torch.equal(found * 255, (found * 255).round())


def test_grey_alpha_palettes_and_turned_photos():
    grey = np.tile(np.arange(40, dtype=np.uint8), (24, 1))
    assert torch.equal(picture(saved(grey), (24, 40))[1], torch.from_numpy(grey) / 255)
    alpha = np.dstack([np.full((24, 40, 3), 90, np.uint8), np.full((24, 40), 3, np.uint8)])
    assert (picture(saved(alpha), (24, 40)) == 90 / 255).all()
    exif = Image.Exif()
    exif[274] = 6  # to be turned clockwise
    lit = np.zeros((40, 24, 3), np.uint8)
    lit[:20] = 255
    turned = picture(saved(lit, "JPEG", exif=exif, quality=95), (24, 40))
    assert turned[:, :, 24:].mean() > 0.95
    assert turned[:, :, :16].mean() < 0.05


def test_no_picture(tmp_path):
    (tmp_path / "a.png").write_bytes(png(RGB)[:60])
    for source in (b"", b"W A S D", png(RGB)[:100], tmp_path / "a.png", tmp_path / "absent.png", tmp_path):
        with pytest.raises(TweenError, match="expected a picture") as error:
            picture(source, (24, 40))
        assert "\n" not in str(error.value)


def test_a_small_file_of_a_giant_picture_is_not_decoded():
    giant = io.BytesIO()
    Image.new("1", (10_000, 6_000)).save(giant, "PNG")
    assert len(giant.getvalue()) < 20_000
    with pytest.raises(TweenError, match="at most 50 megapixels"):
        picture(giant.getvalue(), (24, 40))
