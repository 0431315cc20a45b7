//! A model's size and cost, as `done.json` records it.

use serde::{Deserialize, Serialize};

/// Size and cost of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RecordedSize")]
pub struct ModelSizeRecord {
    /// All trainable parameters.
    pub params: usize,
    /// The count of a counter that visits leaf modules only and so misses bare parameters (CLS token, positions, Linformer's
    /// projections).
    pub params_module_wise: usize,
    /// Tokens (or positions) of the first stage.
    pub tokens: usize,
    /// Multiply-accumulates of one image's forward pass, by part of the model as its architecture names them; 1 MAC = 2 FLOPs.
    pub macs_by_part: Vec<PartMacs>,
}

/// Multiply-accumulates of a part of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartMacs {
    /// Such as `attention` or `mlp`.
    pub part: String,
    /// Of one image's forward pass.
    pub macs: u64,
}

/// A [`ModelSizeRecord`] in a file: earlier versions wrote a field for each of five parts.
#[derive(Deserialize)]
struct RecordedSize {
    params: usize,
    params_module_wise: usize,
    tokens: usize,
    macs_by_part: Option<Vec<PartMacs>>,
    macs_patches: Option<u64>,
    macs_projections: Option<u64>,
    macs_attention: Option<u64>,
    macs_mlp: Option<u64>,
    macs_head: Option<u64>,
}

impl TryFrom<RecordedSize> for ModelSizeRecord {
    type Error = String;

    fn try_from(recorded: RecordedSize) -> Result<Self, String> {
        let RecordedSize { params, params_module_wise, tokens, .. } = recorded;
        let fields = [
            ("patches", recorded.macs_patches),
            ("projections", recorded.macs_projections),
            ("attention", recorded.macs_attention),
            ("mlp", recorded.macs_mlp),
            ("head", recorded.macs_head),
        ];
        let part = |(part, macs): (&str, Option<u64>)| Some(PartMacs { part: part.to_owned(), macs: macs? });
        let macs_by_part = match recorded.macs_by_part {
            Some(parts) => parts,
            None => fields.into_iter().map(part).collect::<Option<_>>().ok_or("missing field `macs_by_part`")?,
        };
        for (index, PartMacs { part, .. }) in macs_by_part.iter().enumerate() {
            // Tables have a column for each.
            let is_name =
                !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            if !is_name || macs_by_part[..index].iter().any(|other| other.part == *part) {
                return Err(format!("`{part}` is not the name of another part"));
            }
        }
        // FLOPs of a training step are six times as many.
        let sum = macs_by_part.iter().try_fold(0_u64, |sum, part| sum.checked_add(part.macs));
        if sum.is_none_or(|sum| sum > u64::MAX / 6) {
            return Err("more multiply-accumulates than can be counted".to_owned());
        }
        Ok(Self { params, params_module_wise, tokens, macs_by_part })
    }
}

impl ModelSizeRecord {
    /// Multiply-accumulates of all parts.
    pub fn macs(&self) -> u64 {
        self.macs_by_part.iter().map(|part| part.macs).sum()
    }

    /// Multiply-accumulates of a part; `None` if the model has no such part.
    pub fn macs_of(&self, part: &str) -> Option<u64> {
        self.macs_by_part.iter().find(|other| other.part == part).map(|part| part.macs)
    }

    /// The parts of several models, in the order in which they first appear.
    pub fn parts<'a>(sizes: impl IntoIterator<Item = &'a Self>) -> Vec<&'a str> {
        let mut parts = Vec::new();
        for part in sizes.into_iter().flat_map(|size| &size.macs_by_part) {
            if !parts.contains(&part.part.as_str()) {
                parts.push(part.part.as_str());
            }
        }
        parts
    }

    /// Floating-point operations of all parts: two for a multiply-accumulate.
    pub fn flops(&self) -> u64 {
        2 * self.macs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_models_come_in_the_order_of_first_appearance() {
        let size = |parts: &[&str]| ModelSizeRecord {
            params: 3,
            params_module_wise: 2,
            tokens: 1,
            macs_by_part: parts.iter().map(|part| PartMacs { part: (*part).to_owned(), macs: 5 }).collect(),
        };
        let (first, second) = (size(&["stem", "patches", "head"]), size(&["patches", "mlp", "head"]));
        assert_eq!(ModelSizeRecord::parts([&first, &second]), ["stem", "patches", "head", "mlp"]);
        assert_eq!((first.macs(), first.macs_of("stem"), second.macs_of("stem")), (15, Some(5), None));
        let text = serde_json::to_string(&first).unwrap();
        assert_eq!(serde_json::from_str::<ModelSizeRecord>(&text).unwrap(), first);
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for (macs, problem) in [
            (r#""macs_patches":1,"macs_mlp":2"#, "missing field `macs_by_part`"),
            (r#""macs_by_part":[{"part":"a","macs":1},{"part":"a","macs":2}]"#, "`a` is not the name of another part"),
            (r#""macs_by_part":[{"part":"=1+1","macs":1}]"#, "`=1+1` is not the name"),
            (r#""macs_by_part":[{"part":"a","macs":18446744073709551615},{"part":"b","macs":1}]"#, "more multiply-"),
        ] {
            let text = format!(r#"{{"params":3,"params_module_wise":2,"tokens":1,{macs}}}"#);
            let error = serde_json::from_str::<ModelSizeRecord>(&text).unwrap_err().to_string();
            assert!(error.contains(problem), "{macs}: {error}");
        }
    }
}
