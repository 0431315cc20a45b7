/// A model configuration that describes no model: which key, what is wrong with it, and what would be right.
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

/// Errs unless `part` divides `whole`, naming the nearest values that would do.
pub fn check_divides(key: &'static str, part: usize, whole_name: &str, whole: usize) -> Result<(), InvalidConfig> {
    check_positive(key, part)?;
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

/// Errs if `value` is zero.
pub fn check_positive(key: &'static str, value: usize) -> Result<(), InvalidConfig> {
    if value > 0 {
        return Ok(());
    }
    Err(InvalidConfig { key, problem: "0 is too small".into(), remedy: "take 1 or more".into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_nearest_divisors() {
        assert_eq!(check_divides("patch_size", 4, "image_size", 32), Ok(()));
        let error = check_divides("patch_size", 5, "image_size", 32).unwrap_err();
        assert_eq!(error.to_string(), "patch_size: 5 does not divide image_size = 32; take 4 or 8");
        assert_eq!(check_divides("heads", 0, "d_model", 8).unwrap_err().problem, "0 is too small");
    }
}
