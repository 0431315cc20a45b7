//! Reads files of text up to a maximum length, so that a hostile file cannot fill memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The content of a file of at most this many bytes.
///
/// # Errors
/// The system's errors, and [`io::ErrorKind::FileTooLarge`].
pub(crate) fn read(path: &Path, at_most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One more byte shows whether the file is longer.
    File::open(path)?.take(at_most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > at_most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {at_most} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_byte_that_may_be_read_is() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "12345").unwrap();
        assert_eq!(read(file.path(), 5).unwrap(), b"12345");
        let error = read(file.path(), 4).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (io::ErrorKind::FileTooLarge, "it has more than 4 bytes")
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_file_without_end_is_left_off() {
        assert_eq!(read(Path::new("/dev/zero"), 1000).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
