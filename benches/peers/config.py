"""The models of a config such as configs/speed.toml, for the peers. vitbench reads the same file."""

import tomllib

# Keys that the peers understand. They would ignore any other key, and vitbench would not, so other keys are refused.
SIZES = {
    "conv_vit": {"patch_size", "d_model", "depth", "head_channels", "d_ff"},
    "linformer": {"patch_size", "d_model", "depth", "heads", "d_ff", "k"},
    "vit": {"patch_size", "d_model", "depth", "heads", "d_ff", "head"},
}
COMMON = {"name", "architecture", "image_size", "classes", "batch_size"}
OPTIONAL = {"head"}


class UserError(Exception):
    """A mistake that the user can correct. It is printed without a traceback."""


def load(path, wanted=None):
    """The models by name, as the tables of their sizes, and AdamW's settings. `wanted` selects models by name."""
    try:
        with open(path, "rb") as file:
            config = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path}: {error}") from error
    if set(config) != {"train", "model"} or set(config["train"]) != {"optimizer"}:
        raise UserError(f"{path}: the comparison needs a config like configs/speed.toml: `train.optimizer` and models")
    optimizer = dict(config["train"]["optimizer"])
    if optimizer.pop("kind", None) != "adamw":
        raise UserError(f'{path}: train.optimizer.kind: the peers train with "adamw" only')
    models = {model.get("name"): checked(model, path) for model in config["model"]}
    for name in wanted or []:
        if name not in models:
            raise UserError(f"{path}: there is no model `{name}`; the models are {', '.join(models)}")
    return {name: models[name] for name in wanted or models}, optimizer


def checked(model, path):
    """The table of a model, if the peers can build it."""
    place = f"{path}: model `{model.get('name')}`"
    architecture = model.get("architecture")
    if architecture not in SIZES:
        raise UserError(f"{place}: the peers have no architecture `{architecture}`; they have {', '.join(SIZES)}")
    keys = COMMON | SIZES[architecture]
    missing, unknown = sorted(keys - OPTIONAL - set(model)), sorted(set(model) - keys)
    if missing or unknown:
        raise UserError(f"{place}: missing keys: {missing}; keys that the peers do not know: {unknown}")
    if architecture != "vit" and model["d_ff"] != 4 * model["d_model"]:
        raise UserError(f"{place}: d_ff: the peers' {architecture} has 4 * d_model, got {model['d_ff']}")
    return model


def forms(sizes):
    """The forms in which a model is timed: as published, and token-major for the convolutional ViT (see models.py)."""
    return ["", "token_major"] if sizes["architecture"] == "conv_vit" else [""]
