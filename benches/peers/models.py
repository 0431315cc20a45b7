"""The models of a config in PyTorch: as published, and the convolutional ViT in a second form."""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from transformers import ViTConfig

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "harness/tests/fixtures"))
from reference_models import ConvViT, LinformerViT, ViTClsHead, ViTWithPooler  # noqa: E402


def published(sizes):
    """A model of the parity tests, with the weights that PyTorch draws from seed 0."""
    torch.manual_seed(0)
    image, patch, classes = sizes["image_size"], sizes["patch_size"], sizes["classes"]
    dim, depth = sizes["d_model"], sizes["depth"]
    match sizes["architecture"]:
        case "conv_vit":
            return ConvViT(image, patch, dim, depth, sizes["head_channels"], classes)
        case "linformer":
            return LinformerViT(image, patch, dim, depth, sizes["heads"], sizes["k"], classes)
        case "vit":
            config = ViTConfig(image_size=image, patch_size=patch, hidden_size=dim, num_hidden_layers=depth,
                               num_attention_heads=sizes["heads"], intermediate_size=sizes["d_ff"],
                               num_labels=classes)
            return (ViTWithPooler if sizes.get("head") == "pooler" else ViTClsHead)(config)


def build(sizes, form=""):
    """The model in one of `config.forms`. They have the same weights and outputs."""
    model = published(sizes)
    return TokenMajorConvViT.of(model) if form == "token_major" else model


def count(model):
    """The number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def some_images(sizes):
    """A batch of random images."""
    image = sizes["image_size"]
    return torch.randn(sizes["batch_size"], 3, image, image, generator=torch.Generator().manual_seed(0))


def some_labels(sizes):
    return torch.arange(sizes["batch_size"]) % sizes["classes"]


class TokenMajorAttention(nn.Module):
    """MhSelfAttention over [batch, positions, channels], with one linear layer for queries, keys and values."""

    def __init__(self, dim, head_channels):
        super().__init__()
        self.heads, self.head_channels = dim // head_channels, head_channels
        self.qkv = nn.Linear(dim, 3 * dim)
        self.unify_heads = nn.Linear(dim, dim)

    def forward(self, x):
        b, n, c = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, self.head_channels).unbind(2)
        scores = q.permute(0, 2, 3, 1) @ k.transpose(1, 2) * self.head_channels**-0.5
        weights = F.softmax(scores, dim=-2)
        mixed = v.transpose(1, 2) @ weights.transpose(-2, -1)
        return self.unify_heads(mixed.transpose(1, 2).reshape(b, n, c))


class TokenMajorBlock(nn.Module):
    def __init__(self, dim, head_channels):
        super().__init__()
        self.attn_norm, self.attn = nn.LayerNorm(dim), TokenMajorAttention(dim, head_channels)
        self.mlp_norm, self.fc1, self.fc2 = nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x):
        x = x + self.attn(self.attn_norm(x))
        return x + self.fc2(F.gelu(self.fc1(self.mlp_norm(x))))


class TokenMajorConvViT(nn.Module):
    """The same function as ConvViT, computed as vitbench does: linear layers over [batch, positions, channels].

    ConvViT permutes the whole activation at every norm. Timing only that form would handicap PyTorch.
    """

    def __init__(self, image, patch, dim, depth, head_channels, classes, channels=3):
        super().__init__()
        self.patch_size = patch
        self.patch = nn.Linear(channels * patch * patch, dim)
        self.position = nn.Parameter(torch.empty(1, (image // patch) ** 2, dim))
        self.blocks = nn.ModuleList(TokenMajorBlock(dim, head_channels) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes)

    @classmethod
    def of(cls, model):
        """With the weights of a ConvViT."""
        _, dim, grid, _ = model.position.shape
        patch, attention = model.patch.kernel_size[0], model.blocks[0].attn
        copy = cls(grid * patch, patch, dim, len(model.blocks), attention.head_channels, model.head.out_features,
                   model.patch.in_channels)
        weights = {}
        for name, weight in model.state_dict().items():
            if name == "position":
                weight = weight.flatten(2).transpose(1, 2)
            elif weight.dim() == 4:
                # The kernel of a convolution whose windows do not overlap is the matrix of a linear layer.
                weight = weight.flatten(1)
            weights[name] = weight
        for block in range(len(model.blocks)):
            for kind in ("weight", "bias"):
                parts = [weights.pop(f"blocks.{block}.attn.{part}.{kind}") for part in "qkv"]
                weights[f"blocks.{block}.attn.qkv.{kind}"] = torch.cat(parts)
        copy.load_state_dict(weights)
        return copy

    def forward(self, images):
        b, c, h, w = images.shape
        p = self.patch_size
        x = images.reshape(b, c, h // p, p, w // p, p).permute(0, 2, 4, 1, 3, 5).reshape(b, -1, c * p * p)
        x = self.patch(x) + self.position
        for block in self.blocks:
            x = block(x)
        return self.head(F.gelu(self.norm(x)).mean(1))

