"""The mean of two networks' weights."""

import pytest
import torch
from bench.average import main
from safetensors.torch import load_file, save_file


def test_every_tensor_is_the_mean_of_two(tmp_path):
    a, b, out = (str(tmp_path / f"{name}.safetensors") for name in "abm")
    save_file({"w": torch.tensor([1.0, 2.0]).half(), "v": torch.zeros(1)}, a)
    save_file({"w": torch.tensor([3.0, -2.0]).half(), "v": torch.ones(1)}, b)
    main([a, b, out])
    mean = load_file(out)
    assert mean["w"].tolist() == [2.0, 0.0]
    assert mean["v"].tolist() == [0.5]
    assert mean["w"].dtype == torch.float16


def test_weights_of_another_network_are_refused(tmp_path, capsys):
    a, b, out = (str(tmp_path / f"{name}.safetensors") for name in "abm")
    save_file({"w": torch.zeros(1)}, a)
    save_file({"v": torch.zeros(1)}, b)
    with pytest.raises(SystemExit):
        main([a, b, out])
    assert "of one network" in capsys.readouterr().err
    assert not (tmp_path / "m.safetensors").exists()
