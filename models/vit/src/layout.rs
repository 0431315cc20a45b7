//! The layouts of Hugging Face transformers.

use layers::layout::{Entry, Form, Layout, Leeway};

use crate::{Head, VitConfig};

/// What the generations of Hugging Face transformers call the parts of a block.
struct Names {
    layout: &'static str,
    blocks: &'static str,
    query: &'static str,
    key: &'static str,
    value: &'static str,
    output: &'static str,
    up: &'static str,
    down: &'static str,
}

/// Up to transformers 4, and the names of the published files, which later versions read as well.
const CLASSIC: Names = Names {
    layout: "huggingface",
    blocks: "encoder.layer",
    query: "attention.attention.query",
    key: "attention.attention.key",
    value: "attention.attention.value",
    output: "attention.output.dense",
    up: "intermediate.dense",
    down: "output.dense",
};

/// The modules of transformers 5.
const FIFTH: Names = Names {
    layout: "huggingface-5",
    blocks: "layers",
    query: "attention.q_proj",
    key: "attention.k_proj",
    value: "attention.v_proj",
    output: "attention.o_proj",
    up: "mlp.fc1",
    down: "mlp.fc2",
};

impl VitConfig {
    /// The layouts of Hugging Face transformers, the classic one first; each as a classification model has it (`vit.` before
    /// all but the classifier) and as a bare `ViTModel` has it.
    pub(crate) fn huggingface_layouts(&self) -> Vec<Layout> {
        [&CLASSIC, &FIFTH].iter().flat_map(|names| ["vit.", ""].map(|backbone| self.layout(names, backbone))).collect()
    }

    fn layout(&self, names: &Names, backbone: &str) -> Layout {
        let d_model = self.d_model;
        let embeddings = format!("{backbone}embeddings");
        let mut entries = vec![
            Entry::new("cls_token", [1, 1, d_model], format!("{embeddings}.cls_token"), Form::Same),
            Entry::new(
                "positions",
                [1, self.tokens(), d_model],
                format!("{embeddings}.position_embeddings"),
                Form::Same,
            )
            .with_leeway(Leeway::Positions { class_tokens: 1 }),
        ];
        entries.extend(Entry::linear(
            "patch_embedding",
            [self.images.patch_values(self.patch_size), d_model],
            &format!("{embeddings}.patch_embeddings.projection"),
            Form::PatchConvolution { patch_size: self.patch_size },
        ));
        for block in 0..self.depth {
            entries.extend(self.block(
                &format!("blocks.{block}"),
                &format!("{backbone}{}.{block}", names.blocks),
                names,
            ));
        }
        entries.extend(Entry::layer_norm("norm", d_model, &format!("{backbone}layernorm")));
        let classifier = Entry::linear("classifier", [d_model, self.images.classes], "classifier", Form::Linear);
        entries.extend(classifier.map(|entry| entry.with_leeway(Leeway::Classifier)));
        let pooler = Entry::linear("pooler", [d_model, d_model], &format!("{backbone}pooler.dense"), Form::Linear)
            .map(|entry| entry.with_leeway(Leeway::Pooler));
        let mut unused = Vec::new();
        match self.head {
            Head::Cls => unused.extend(pooler),
            Head::Pooler => entries.extend(pooler),
        }
        Layout { name: names.layout, entries, unused }
    }

    fn block(&self, ours: &str, theirs: &str, names: &Names) -> Vec<Entry> {
        let (d_model, d_ff) = (self.d_model, self.d_ff);
        let mut entries = Vec::new();
        for (part, name, sizes) in [
            ("attention.query", names.query, [d_model, d_model]),
            ("attention.key", names.key, [d_model, d_model]),
            ("attention.value", names.value, [d_model, d_model]),
            ("attention.output", names.output, [d_model, d_model]),
            ("mlp.up", names.up, [d_model, d_ff]),
            ("mlp.down", names.down, [d_ff, d_model]),
        ] {
            entries.extend(Entry::linear(&format!("{ours}.{part}"), sizes, &format!("{theirs}.{name}"), Form::Linear));
        }
        for (part, name) in [("attention_norm", "layernorm_before"), ("mlp_norm", "layernorm_after")] {
            entries.extend(Entry::layer_norm(&format!("{ours}.{part}"), d_model, &format!("{theirs}.{name}")));
        }
        entries
    }
}
