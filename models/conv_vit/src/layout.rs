//! The layout of the reference implementation.

use layers::layout::{Entry, Form, Layout, Leeway};

use crate::ConvVitConfig;

impl ConvVitConfig {
    /// The layout of the published PyTorch model, with convolutions and with queries, keys and values apart.
    pub(crate) fn pytorch_layout(&self) -> Layout {
        let d_model = self.d_model;
        let positions = Entry::new("positions", [1, self.tokens(), d_model], "position", Form::PositionMap);
        let mut entries = vec![positions.with_leeway(Leeway::Positions { class_tokens: 0 })];
        entries.extend(Entry::linear(
            "patch_embedding",
            [self.images.patch_values(self.patch_size), d_model],
            "patch",
            Form::PatchConvolution { patch_size: self.patch_size },
        ));
        for block in 0..self.depth {
            entries.extend(self.block(&format!("blocks.{block}")));
        }
        entries.extend(Entry::layer_norm("norm", d_model, "norm"));
        let classifier = Entry::linear("classifier", [d_model, self.images.classes], "head", Form::Linear);
        entries.extend(classifier.map(|entry| entry.with_leeway(Leeway::Classifier)));
        Layout { name: "pytorch", entries, unused: Vec::new() }
    }

    /// A block, which has the same place in both.
    fn block(&self, block: &str) -> Vec<Entry> {
        let (d_model, d_ff) = (self.d_model, self.d_ff);
        let attention = ["q", "k", "v"].map(|name| format!("{block}.attn.{name}"));
        let attention = attention.each_ref().map(String::as_str);
        let convolution = Form::PointwiseConvolution;
        let mut entries = Vec::new();
        for (part, names, sizes) in [
            ("attention.qkv", &attention[..], [d_model, 3 * d_model]),
            ("attention.unify_heads", &[&*format!("{block}.attn.unify_heads")], [d_model, d_model]),
            ("mlp.up", &[&*format!("{block}.fc1")], [d_model, d_ff]),
            ("mlp.down", &[&*format!("{block}.fc2")], [d_ff, d_model]),
        ] {
            entries.extend(Entry::fused_linear(&format!("{block}.{part}"), sizes, names, convolution));
        }
        for (part, name) in [("attention_norm", "attn_norm"), ("mlp_norm", "mlp_norm")] {
            entries.extend(Entry::layer_norm(&format!("{block}.{part}"), d_model, &format!("{block}.{name}")));
        }
        entries
    }
}
