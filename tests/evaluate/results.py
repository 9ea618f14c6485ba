"""Results as `tween eval --json` and `tween bench time --json` write them."""

import json


def result(model, dataset, rows, protocol="paper protocol: 8-bit"):
    """Means of `rows`, name -> (psnr, ssim, ie)."""
    keys = ("psnr", "ssim", "ie")
    means = {k: sum(v[i] for v in rows.values()) / len(rows) for i, k in enumerate(keys)}
    listed = [{"name": n, **dict(zip(keys, v, strict=True))} for n, v in rows.items()]
    return {"model": model, "dataset": dataset, "protocol": protocol, **means, "rows": listed}


def times(**ms):
    """model__size -> ms."""
    rows = [dict(zip(("model", "size"), k.split("__"), strict=True)) | {"ms": v} for k, v in ms.items()]
    return {"bench": "time", "machine": "toy", "rows": rows}


def written(path, record):
    path.write_text(json.dumps(record))
    return path
