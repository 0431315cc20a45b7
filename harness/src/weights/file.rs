//! Reads safetensors files. The header is checked against the file's length before it is used, so that a damaged
//! or hostile file costs an error and no memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::Values;
use crate::error::{Error, Result};

/// The format allows six times as much. A header needs about ten times its length in memory. Models of many billions of parameters have
/// one of less than a megabyte.
const MAX_HEADER_BYTES: u64 = 16 << 20;

/// Bytes of the header's length, which comes first.
const LENGTH_BYTES: u64 = 8;

/// An open safetensors file, or the tensors in it whose names share a prefix.
#[derive(Debug, Clone)]
pub struct WeightsFile {
    path: PathBuf,
    file: Arc<File>,
    data_start: u64,
    metadata: BTreeMap<String, String>,
    /// The prefix of the names of `tensors` in the file.
    prefix: String,
    tensors: BTreeMap<String, TensorInfo>,
}

impl WeightsFile {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// If the file does not exist, is truncated, or is not a safetensors file.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Error::input(path.display(), "there is no such file", "give the path of a safetensors file")
            }
            _ => Error::io("open", path)(error),
        })?;
        let about = file.metadata().map_err(Error::io("read", path))?;
        if !about.is_file() {
            return Err(Error::input(path.display(), "it is not a file", "give the path of a safetensors file"));
        }
        let header = read_header(&file, about.len(), path)?;
        let data_start = LENGTH_BYTES + header.len() as u64;
        let header: Metadata = serde_json::from_slice(&header)
            .map_err(|error| unusable(path, format!("its header is not one of safetensors: {error}")))?;
        let data = about.len() - data_start;
        if header.data_len() as u64 != data {
            let problem = format!("it has {data} bytes of tensors where its header says {}", header.data_len());
            return Err(unusable(path, problem));
        }
        Ok(Self {
            path: path.to_owned(),
            file: Arc::new(file),
            data_start,
            metadata: header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect(),
            prefix: String::new(),
            tensors: header.tensors().into_iter().map(|(name, info)| (name, info.clone())).collect(),
        })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// An entry of the header's metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// The tensors whose names begin with `prefix`, without it.
    pub fn part(&self, prefix: &str) -> Self {
        let inside = |(name, info): (&String, &TensorInfo)| Some((name.strip_prefix(prefix)?.to_owned(), info.clone()));
        Self {
            prefix: format!("{}{prefix}", self.prefix),
            tensors: self.tensors.iter().filter_map(inside).collect(),
            ..self.clone()
        }
    }

    /// Names of the tensors, in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// A tensor's shape, if it is there.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|info| info.shape.as_slice())
    }

    /// The type of a tensor's values, if it is there.
    pub(super) fn dtype(&self, name: &str) -> Option<Dtype> {
        self.tensors.get(name).map(|info| info.dtype)
    }

    /// A tensor of floating-point values, as 32-bit ones.
    ///
    /// # Errors
    /// If it is not there, has values of another kind, or cannot be read.
    pub fn read(&self, name: &str) -> Result<Values> {
        let info = self.info(name)?;
        self.check_float(name)?;
        let bytes = self.bytes(info)?;
        let data = match info.dtype {
            Dtype::F16 => numbers(&bytes, |bytes| f16::from_le_bytes(bytes).to_f32()),
            Dtype::BF16 => numbers(&bytes, |bytes| bf16::from_le_bytes(bytes).to_f32()),
            Dtype::F64 => numbers(&bytes, |bytes| f64::from_le_bytes(bytes) as f32),
            _ => numbers(&bytes, f32::from_le_bytes),
        };
        Ok(Values::new(info.shape.clone(), data))
    }

    /// A tensor of 64-bit integers.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_integers(&self, name: &str) -> Result<Vec<i64>> {
        let info = self.info(name)?;
        if info.dtype != Dtype::I64 {
            return Err(self.wrong(name, format!("its values are {}", info.dtype), "store them as I64"));
        }
        Ok(numbers(&self.bytes(info)?, i64::from_le_bytes))
    }

    /// Errs unless a tensor that is there has floating-point values.
    pub(super) fn check_float(&self, name: &str) -> Result<()> {
        match self.info(name)?.dtype {
            Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64 => Ok(()),
            other => Err(self.wrong(name, format!("its values are {other}"), "store weights as F32, F16, BF16 or F64")),
        }
    }

    /// An error about one tensor of the file.
    pub fn wrong(&self, name: &str, problem: impl ToString, help: impl ToString) -> Error {
        Error::input(format!("{}: {}{name}", self.path.display(), self.prefix), problem, help)
    }

    fn info(&self, name: &str) -> Result<&TensorInfo> {
        self.tensors
            .get(name)
            .ok_or_else(|| self.wrong(name, "the file has no such tensor", "give a file that is whole"))
    }

    /// A tensor's bytes. Their range has been checked against the file's length.
    fn bytes(&self, info: &TensorInfo) -> Result<Vec<u8>> {
        let (begin, end) = info.data_offsets;
        let mut file = &*self.file;
        let mut bytes = vec![0; end - begin];
        file.seek(SeekFrom::Start(self.data_start + begin as u64)).map_err(Error::io("read", &self.path))?;
        file.read_exact(&mut bytes).map_err(Error::io("read", &self.path))?;
        Ok(bytes)
    }
}

fn read_header(mut file: &File, file_bytes: u64, path: &Path) -> Result<Vec<u8>> {
    if file_bytes < LENGTH_BYTES {
        return Err(unusable(path, format!("it has {file_bytes} bytes, too few for a header")));
    }
    let mut length = [0; LENGTH_BYTES as usize];
    file.read_exact(&mut length).map_err(Error::io("read", path))?;
    let length = u64::from_le_bytes(length);
    if length > file_bytes - LENGTH_BYTES {
        let problem = format!("it begins with a header of {length} bytes, but has {file_bytes} bytes in all");
        return Err(unusable(path, problem));
    }
    if length > MAX_HEADER_BYTES {
        return Err(unusable(path, format!("its header has {length} bytes; at most {MAX_HEADER_BYTES} are read")));
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).map_err(Error::io("read", path))?;
    Ok(header)
}

fn unusable(path: &Path, problem: impl ToString) -> Error {
    Error::damaged(
        path.display(),
        problem,
        "the file is cut off, damaged or no safetensors file; fetch or export it again",
    )
}

/// Values of `N` bytes each, converted one by one.
fn numbers<const N: usize, T>(bytes: &[u8], convert: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| convert(*chunk)).collect()
}
