"""A compiler gives the same values and gradients."""

import pytest
import torch

from tween.losses import census, laplacian, ssim_loss


@pytest.mark.long
@pytest.mark.parametrize("loss", [laplacian, census, ssim_loss])
def test_compiled_equals_eager(loss):
    torch.manual_seed(0)
    a, b = torch.rand(2, 3, 48, 64), torch.rand(2, 3, 48, 64)
    results = []
    for function in (loss, torch.compile(loss, fullgraph=True)):
        x = a.clone().requires_grad_(True)
        value = function(x, b)
        value.backward()
        results.append((value.detach(), x.grad))
    torch.testing.assert_close(results[0], results[1], atol=1e-6, rtol=1e-4)
