//! Writing safetensors files. Names are in order, so the same weights give the same bytes.

use std::collections::BTreeMap;

use safetensors::Dtype;
use safetensors::tensor::TensorInfo;
use serde::Serialize;

use super::Values;

#[derive(Serialize)]
struct Header<'a> {
    #[serde(rename = "__metadata__")]
    metadata: &'a BTreeMap<&'a str, String>,
    #[serde(flatten)]
    tensors: BTreeMap<&'a str, TensorInfo>,
}

/// The file's bytes.
pub(super) fn encode(metadata: &BTreeMap<&str, String>, tensors: &BTreeMap<String, Values>) -> Vec<u8> {
    let mut infos = BTreeMap::new();
    let mut end = 0;
    for (name, values) in tensors {
        let begin = end;
        end += size_of_val(values.data.as_slice());
        let info = TensorInfo { dtype: Dtype::F32, shape: values.shape.clone(), data_offsets: (begin, end) };
        infos.insert(name.as_str(), info);
    }
    let header = Header { metadata, tensors: infos };
    let mut header = serde_json::to_vec(&header).expect("names and numbers are JSON");
    // Readers that map the file into memory want the tensors aligned.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut bytes = Vec::with_capacity(8 + header.len() + end);
    bytes.extend((header.len() as u64).to_le_bytes());
    bytes.extend(header);
    for values in tensors.values() {
        bytes.extend(values.data.iter().flat_map(|value| value.to_le_bytes()));
    }
    bytes
}
