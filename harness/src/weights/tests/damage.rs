//! Files that are cut off, damaged, hostile, or not there: an error each, never a panic, never more memory than the file has.

use super::*;
use crate::error::{Error, Result};
use crate::weights::{check, save};

fn message(outcome: Result<impl std::fmt::Debug>) -> String {
    match outcome {
        Err(error @ (Error::Input { .. } | Error::Damaged { .. })) => error.to_string(),
        other => panic!("not refused as input: {other:?}"),
    }
}

/// A file with that header and those bytes of tensors.
fn with_header(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

#[test]
fn what_is_no_file_is_named() {
    let files = Files::new();
    let (config, _) = pytorch("conv_vit");
    let missing = message(check(&files.path("nothing.safetensors"), &config));
    assert!(missing.contains("nothing.safetensors: there is no such file"), "{missing}");
    let folder = message(check(files.0.path(), &config));
    assert!(folder.contains("it is not a file"), "{folder}");
}

#[test]
fn headers_are_not_believed() {
    let files = Files::new();
    let tensor = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#"{{"x":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    let huge = "[4294967296,4294967296,4294967296]";
    for (bytes, problem) in [
        (Vec::new(), "it has 0 bytes, too few for a header"),
        (vec![1; 7], "it has 7 bytes"),
        (u64::MAX.to_le_bytes().to_vec(), "a header of 18446744073709551615 bytes, but has 8 bytes in all"),
        ([&(99_u64 << 20).to_le_bytes()[..], &[b'{'; 100]].concat(), "a header of 103809024 bytes, but has 108"),
        (with_header(&" ".repeat(17 << 20), 0), "its header has 17825792 bytes; at most 16777216 are read"),
        (with_header("no JSON at all", 4), "its header is not one of safetensors"),
        (with_header("[1, 2]", 0), "its header is not one of safetensors"),
        (with_header(&"[".repeat(100_000), 0), "its header is not one of safetensors"),
        (with_header(&tensor("F32", huge, "[0,4]"), 4), "overflow"),
        (with_header(&tensor("F32", "[1]", "[0,8]"), 8), "invalid shape, data type, or offset"),
        (with_header(&tensor("F32", "[1]", "[4,0]"), 4), "invalid offset for tensor `x`"),
        (with_header(&tensor("F32", "[1]", "[0,18446744073709551615]"), 4), "invalid shape"),
        (with_header(&tensor("F32", "[1000000000000]", "[0,4000000000000]"), 4), "its header says 4000000000000"),
        (with_header(&tensor("F31", "[1]", "[0,4]"), 4), "unknown variant `F31`"),
        (with_header(&tensor("F32", "[1]", "[0,4]"), 5), "it has 5 bytes of tensors where its header says 4"),
    ] {
        let text = message(WeightsFile::open(&files.put_bytes(&bytes)));
        assert!(text.contains(problem) && text.contains("help: "), "{problem}: {text}");
    }
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_refused() {
    let files = Files::new();
    let (config, weights) = pytorch("conv_vit_one_head");
    let whole = encode::encode(&BTreeMap::new(), &weights);
    for length in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
        message(check(&files.put_bytes(&whole[..length]), &config));
    }
}

#[test]
fn a_damaged_header_is_refused_or_read_and_never_a_crash() {
    let files = Files::new();
    let (config, weights) = pytorch("conv_vit_one_head");
    let whole = encode::encode(&BTreeMap::new(), &weights);
    let header = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    for index in (0..8 + header).step_by(3) {
        let mut bytes = whole.clone();
        bytes[index] ^= 1;
        // Both outcomes are fine, since a space may become another kind of nothing; that there is one is what counts.
        let path = files.put_bytes(&bytes);
        if let Ok(file) = WeightsFile::open(&path) {
            let _ = check(&path, &config);
            for name in file.names() {
                let _ = file.read(name);
            }
        }
    }
}

#[test]
fn a_description_is_not_believed() {
    let files = Files::new();
    let (config, _) = pytorch("vit_cls");
    let path = files.path("model.safetensors");
    save(&path, &config, &model(&config)).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    // In the header the quotes of the description are escaped.
    let header = String::from_utf8(bytes[8..8 + length].to_vec()).unwrap();
    for (from, to, problem) in [
        (r#"\"depth\":2"#, r#"\"depth\":9999999999999"#, "depth: must be at most 1048576, got 9999999999999"),
        (r#"\"depth\":2"#, r#"\"depth\":9000"#, "a depth of 9000 needs more tensors than the file has"),
        (r#"\"depth\":2"#, r#"\"depth\":-2"#, "invalid value"),
        (r#"\"depth\":2"#, r#"\"depht\":2"#, "depht"),
        (r#"\"heads\":4"#, r#"\"heads\":5"#, "heads: 5 does not divide d_model = 32"),
        (r#"\"image_size\":16"#, r#"\"image_size\":true"#, "image_size must be a whole number"),
        (r#"\"architecture\":\"vit\""#, r#"\"architecture\":\"vlt\""#, "unknown variant `vlt`"),
        (r#""config""#, r#""confit""#, "the file does not describe its model"),
    ] {
        assert!(header.contains(from), "{header}");
        let mut edited = with_header(&header.replace(from, to), 0);
        edited.extend(&bytes[8 + length..]);
        let file = WeightsFile::open(&files.put_bytes(&edited)).unwrap();
        let text = message(described(&file));
        assert!(text.contains(problem), "{problem}: {text}");
    }
}
