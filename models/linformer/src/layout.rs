//! The layout of the reference implementation.

use layers::layout::{Entry, Form, Layout, Leeway};

use crate::LinformerConfig;

impl LinformerConfig {
    /// The layout of the `linformer` package's encoder inside the plain ViT wrapper of the Cats vs Dogs example.
    pub(crate) fn package_layout(&self) -> Layout {
        let d_model = self.d_model;
        let mut entries = vec![
            Entry::new("cls_token", [1, 1, d_model], "cls_token", Form::Same),
            Entry::new("positions", [1, self.tokens(), d_model], "pos_embedding", Form::Same)
                .with_leeway(Leeway::Positions { class_tokens: 1 }),
        ];
        let patches = [self.images.patch_values(self.patch_size), d_model];
        entries.extend(Entry::linear("patch_embedding", patches, "to_patch_embedding", Form::Linear));
        for block in 0..self.depth {
            entries.extend(self.block(&format!("blocks.{block}"), &format!("transformer.net.layers.{block}")));
        }
        entries.extend(Entry::layer_norm("norm", d_model, "norm"));
        let classifier = Entry::linear("classifier", [d_model, self.images.classes], "head", Form::Linear);
        entries.extend(classifier.map(|entry| entry.with_leeway(Leeway::Classifier)));
        Layout { name: "linformer-package", entries, unused: Vec::new() }
    }

    fn block(&self, ours: &str, theirs: &str) -> Vec<Entry> {
        let (d_model, d_ff) = (self.d_model, self.d_ff);
        let attention = |part: &str, shape: [usize; 2], name: &str, form| {
            Entry::new(format!("{ours}.attention.{part}"), shape, format!("{theirs}.0.fn.{name}"), form)
        };
        let mut entries = vec![
            attention("query.weight", [d_model, d_model], "to_q.weight", Form::Linear),
            attention("key.weight", [d_model, d_model], "to_k.weight", Form::Linear),
            attention("value.weight", [d_model, d_model], "to_v.weight", Form::Linear),
            attention("key_projection", [self.tokens(), self.k], "proj_k", Form::Same),
            attention("value_projection", [self.tokens(), self.k], "proj_v", Form::Same),
        ];
        for (part, name, sizes) in [
            ("attention.output", "0.fn.to_out", [d_model, d_model]),
            ("mlp.up", "1.fn.w1", [d_model, d_ff]),
            ("mlp.down", "1.fn.w2", [d_ff, d_model]),
        ] {
            entries.extend(Entry::linear(&format!("{ours}.{part}"), sizes, &format!("{theirs}.{name}"), Form::Linear));
        }
        for (part, name) in [("attention_norm", "0.norm"), ("mlp_norm", "1.norm")] {
            entries.extend(Entry::layer_norm(&format!("{ours}.{part}"), d_model, &format!("{theirs}.{name}")));
        }
        entries
    }
}
