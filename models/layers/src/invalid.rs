//! Sizes that describe no model, and the checks that find them.

/// A configuration that describes no valid model: which key, what is wrong with it, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}; {remedy}")]
pub struct InvalidConfig {
    /// The field at fault.
    pub key: &'static str,
    /// What is wrong, with the values.
    pub problem: String,
    /// What would be right.
    pub remedy: String,
}

/// The largest size that is accepted. Sizes are checked against it before they are multiplied.
const LARGEST: usize = 1 << 20;

/// The largest number of blocks that is accepted, because blocks are listed one by one.
const DEEPEST: usize = 10_000;

/// Errs unless `part` divides `whole`, and names the nearest values that do. Errs as well if `whole` is too large.
pub fn check_divides(
    key: &'static str,
    part: usize,
    whole_name: &'static str,
    whole: usize,
) -> Result<(), InvalidConfig> {
    check_positive(key, part)?;
    check_at_most(whole_name, whole, LARGEST)?;
    if whole.is_multiple_of(part) {
        return Ok(());
    }
    let divisors: Vec<usize> = (1..=whole).filter(|d| whole.is_multiple_of(*d)).collect();
    let below = divisors.iter().rev().find(|d| **d < part);
    let above = divisors.iter().find(|d| **d > part);
    let near: Vec<String> = below.into_iter().chain(above).map(usize::to_string).collect();
    Err(InvalidConfig {
        key,
        problem: format!("{part} does not divide {whole_name} = {whole}"),
        remedy: format!("take {}", near.join(" or ")),
    })
}

/// Errs if `value` is zero or too large.
pub fn check_positive(key: &'static str, value: usize) -> Result<(), InvalidConfig> {
    if value > 0 {
        return check_at_most(key, value, LARGEST);
    }
    Err(InvalidConfig { key, problem: "must be at least 1, got 0".into(), remedy: "set it to 1 or more".into() })
}

/// Errs if the number of blocks is zero or too large.
pub fn check_depth(depth: usize) -> Result<(), InvalidConfig> {
    check_positive("depth", depth)?;
    check_at_most("depth", depth, DEEPEST)
}

fn check_at_most(key: &'static str, value: usize, most: usize) -> Result<(), InvalidConfig> {
    if value <= most {
        return Ok(());
    }
    Err(InvalidConfig {
        key,
        problem: format!("must be at most {most}, got {value}"),
        remedy: "set it to a smaller number".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_nearest_divisors() {
        assert_eq!(check_divides("patch_size", 4, "image_size", 32), Ok(()));
        let error = check_divides("patch_size", 5, "image_size", 32).unwrap_err();
        assert_eq!(error.to_string(), "patch_size: 5 does not divide image_size = 32; take 4 or 8");
        assert_eq!(check_divides("heads", 0, "d_model", 8).unwrap_err().problem, "must be at least 1, got 0");
    }

    #[test]
    fn sizes_beyond_all_models_are_refused_at_once() {
        let error = check_divides("heads", 7, "d_model", usize::MAX).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("d_model: must be at most 1048576, got {}; set it to a smaller number", usize::MAX)
        );
        assert_eq!(check_positive("d_ff", LARGEST), Ok(()));
        assert_eq!(check_positive("d_ff", LARGEST + 1).unwrap_err().key, "d_ff");
        assert_eq!(check_depth(DEEPEST), Ok(()));
        assert_eq!(check_depth(DEEPEST + 1).unwrap_err().problem, "must be at most 10000, got 10001");
    }
}
