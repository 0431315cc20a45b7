//! Changes that break readers: bits, lengths, numbers, cuts, repetitions, and parts of other files.

use rand::{Rng, RngExt};

/// Inputs do not grow beyond this, in bytes.
const LONGEST: usize = 256 << 10;

/// Numbers at which sums and products overflow, signs change and limits lie.
const NUMBERS: [u64; 16] = [
    0,
    1,
    2,
    7,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0xffff,
    0x10_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    i64::MAX as u64,
    u64::MAX,
];

/// Words with which text means something else.
const WORDS: [&str; 20] = [
    "-1", "0", "1e400", "nan", "inf", "-0.0", "null", "true", "\"", "'''", "\\u0000", "[[[[[[[[", "{\"a\":", "{", "}",
    "=", "..", "/", "\n", ",",
];

/// `bytes` after one to six changes, some of which take parts of `other`.
pub(crate) fn mutated(bytes: &[u8], other: &[u8], rng: &mut impl Rng) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for _ in 0..rng.random_range(1..=6) {
        change(&mut out, other, rng);
    }
    out.truncate(LONGEST);
    out
}

fn change(out: &mut Vec<u8>, other: &[u8], rng: &mut impl Rng) {
    let (at, length) = (position(out.len(), rng), 1 << rng.random_range(0..9));
    let end = out.len().min(at + rng.random_range(0..=length));
    match rng.random_range(0..12) {
        0 => alter(out, at, |byte| *byte ^= 1 << rng.random_range(0..8)),
        1 => alter(out, at, |byte| *byte = rng.random_range(0..=255)),
        2 | 3 => write_number(out, at, rng),
        4 => out.truncate(at),
        5 => drop(out.drain(at..end)),
        6 => {
            let part = out[at..end].repeat(rng.random_range(1..20));
            insert(out, at, &part);
        }
        7 => {
            let part: Vec<u8> = (at..end).map(|_| rng.random_range(0..=255)).collect();
            insert(out, at, &part);
        }
        8 => {
            let part = out[at..end].to_vec();
            let to = position(out.len(), rng);
            overwrite(out, to, &part);
        }
        9 if !other.is_empty() => {
            let from = position(other.len(), rng);
            let part = &other[from..other.len().min(from + 2 * length)];
            if rng.random_bool(0.5) { insert(out, at, part) } else { overwrite(out, at, part) }
        }
        10 => replace_digits(out, at, rng),
        _ => insert(out, at, WORDS[rng.random_range(0..WORDS.len())].as_bytes()),
    }
}

/// Anywhere in a file, its end included.
fn position(length: usize, rng: &mut impl Rng) -> usize {
    rng.random_range(0..=length)
}

fn alter(out: &mut [u8], at: usize, change: impl FnOnce(&mut u8)) {
    out.get_mut(at).map(change);
}

fn insert(out: &mut Vec<u8>, at: usize, part: &[u8]) {
    if out.len() + part.len() <= LONGEST {
        drop(out.splice(at..at, part.iter().copied()));
    }
}

fn overwrite(out: &mut [u8], at: usize, part: &[u8]) {
    let length = part.len().min(out.len() - at);
    out[at..at + length].copy_from_slice(&part[..length]);
}

/// A number that is met in binary formats, of any width and order of bytes.
fn write_number(out: &mut [u8], at: usize, rng: &mut impl Rng) {
    let number = NUMBERS[rng.random_range(0..NUMBERS.len())].wrapping_add(rng.random_range(0..3)).wrapping_sub(1);
    let width = 1 << rng.random_range(0..4);
    let bytes = if rng.random_bool(0.5) { number.to_le_bytes() } else { (number << (64 - 8 * width)).to_be_bytes() };
    overwrite(out, at, &bytes[..width]);
}

/// Another number in the place of the one that stands there in digits, or of the next; as long as it, half of the time.
fn replace_digits(out: &mut Vec<u8>, at: usize, rng: &mut impl Rng) {
    let Some(start) = out[at..].iter().position(u8::is_ascii_digit).map(|offset| at + offset) else { return };
    let end = out[start..].iter().position(|byte| !byte.is_ascii_digit()).map_or(out.len(), |offset| start + offset);
    let number = NUMBERS[rng.random_range(0..NUMBERS.len())];
    let mut digits = if rng.random_bool(0.3) { format!("{number:o}") } else { number.to_string() };
    if rng.random_bool(0.5) {
        digits = format!("{digits:0>width$}", width = end - start);
        digits.truncate(end - start);
    }
    drop(out.splice(start..end, digits.into_bytes()));
}

#[cfg(test)]
mod tests {
    use layers::random::{Purpose, stream};

    use super::*;

    #[test]
    fn an_input_follows_from_the_random_numbers() {
        let input = |number| mutated(b"a file of 123 bytes", b"another", &mut stream(Purpose::Fuzzing, [0, 0, number]));
        assert_eq!(input(7), input(7));
        let different = (0..100).filter(|number| input(*number) != input(number + 1)).count();
        assert!(different > 90, "{different}");
    }

    #[test]
    fn nothing_is_too_short_to_be_changed() {
        for number in 0..2000 {
            mutated(b"", b"", &mut stream(Purpose::Fuzzing, [1, 0, number]));
            mutated(b"7", b"x", &mut stream(Purpose::Fuzzing, [2, 0, number]));
        }
    }
}
