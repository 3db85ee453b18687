"""Train models with PyTorch 2.13 and save them; run by hand where it is installed.

``python -m tests.reference.make_weights`` from the root writes, for each of models.py, a file of
weights/ and a line of weights.json: its names and shapes, and outputs in float64. It also takes the
way back, for which the tests have no PyTorch: each module must take what our model gives, and then
compute what it computed before.
"""

import json
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_model
from torch import nn

import micrograd_np as mg
from tests.reference.models import MODELS, Model

FOLDER = Path(__file__).with_name("weights")


def trained(model: Model, x: Any) -> Any:
    """Return the module in evaluation mode, with numbers of every kind in parameters and state."""
    module = model.make(nn).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
        for _ in range(3):
            module(x)
    return module.to(getattr(torch, model.dtype)).eval()


def check_the_way_back(model: Model, state: Any, x: Any, outputs: Any) -> None:
    ours, fresh = model.make(mg), model.make(nn).double().eval()
    mg.from_torch_state_dict(ours, state)
    given = {name: torch.from_numpy(array) for name, array in mg.to_torch_state_dict(ours).items()}
    with tempfile.TemporaryDirectory() as folder:
        mg.save(f"{folder}/model.safetensors", ours)
        written = load_file(f"{folder}/model.safetensors")
    for taken in (given, written):
        for parameter in fresh.parameters():
            torch.nn.init.zeros_(parameter)
        fresh.load_state_dict(taken, strict=True)
        assert torch.equal(fresh(x), outputs)


def computed(name: str, model: Model) -> dict[str, Any]:
    """Write a model's file and return what PyTorch makes of it."""
    seed = zlib.crc32(name.encode())
    torch.manual_seed(seed)
    x, path = model.x, FOLDER / f"{name}.safetensors"
    if isinstance(x, tuple):
        x = np.random.default_rng(seed).uniform(-2, 2, x).round(3)
    x = torch.tensor(x)
    module = trained(model, x)
    save_model(module, str(path))  # what two names share it writes once
    state, kept = module.state_dict(), load_file(path)
    shared = {
        left_out: next(k for k in kept if state[k].data_ptr() == tensor.data_ptr())
        for left_out, tensor in state.items()
        if left_out not in kept
    }
    outputs = module.double()(x)
    check_the_way_back(model, module.state_dict(), x, outputs)
    return {
        "model": name,
        "state": {place: list(tensor.shape) for place, tensor in state.items()},
        "shared": shared,
        "input": x.tolist(),
        "outputs": outputs.tolist(),
    }


def main() -> None:
    header = {
        "made by": "python -m tests.reference.make_weights",
        "with": f"PyTorch {torch.__version__}",
        "shared": "names that the file leaves out, with the one that it has for them",
    }
    FOLDER.mkdir(exist_ok=True)
    records = [computed(name, model) for name, model in MODELS.items()]
    lines = ",\n".join(json.dumps(record, separators=(",", ":")) for record in records)
    text = f'{{"header": {json.dumps(header)},\n"models": [\n{lines}\n]}}\n'
    Path(__file__).with_name("weights.json").write_text(text)


if __name__ == "__main__":
    main()
