//! Turns serde's messages into errors that say what would be right.

use crate::error::Error;

/// An error of reading TOML. `key` is the path to the value at fault, where known.
pub(super) fn toml_error(place: &str, key: Option<&str>, error: &toml::de::Error) -> Error {
    let message = error.message().trim();
    let key = key.filter(|key| !key.is_empty() && *key != ".");
    let place = match key {
        Some(key) => format!("{place}: {key}"),
        None => place.to_owned(),
    };
    let snippet = error.to_string();
    let lines: Vec<&str> = snippet.lines().take_while(|line| line.trim() != message).collect();
    let problem = match lines.is_empty() {
        true => message.to_owned(),
        false => format!("{message}\n{}", lines.join("\n")),
    };
    Error::input(place, problem, remedy(message))
}

fn remedy(message: &str) -> String {
    if let Some((wrong, choices)) = unknown(message) {
        let near = choices
            .iter()
            .map(|choice| (strsim::damerau_levenshtein(&wrong, choice), choice))
            .min()
            .filter(|(distance, choice)| *distance <= choice.len().max(wrong.len()) / 2);
        let all = choices.join(", ");
        return match near {
            Some((_, near)) => format!("did you mean `{near}`? Known here: {all}"),
            None => format!("known here: {all}"),
        };
    }
    if message.starts_with("missing field") {
        return "add it; the files in `configs/` show every key".into();
    }
    if message.contains("invalid type") || message.contains("invalid value") {
        return "set a value of the expected type".into();
    }
    "correct the marked line".into()
}

/// Parses "unknown field `x`, expected one of `a`, `b`" into `x` and `[a, b]`; likewise "unknown variant".
fn unknown(message: &str) -> Option<(String, Vec<String>)> {
    let rest = message.strip_prefix("unknown field ").or_else(|| message.strip_prefix("unknown variant "))?;
    let mut quoted = rest.split('`').skip(1).step_by(2).map(str::to_owned);
    Some((quoted.next()?, quoted.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_the_nearest_known_word() {
        let answer = remedy("unknown field `epoch`, expected one of `epochs`, `lr`");
        assert_eq!(answer, "did you mean `epochs`? Known here: epochs, lr");
    }

    #[test]
    fn suggests_nothing_far_fetched() {
        assert_eq!(remedy("unknown variant `resnet`, expected `vit` or `conv_vit`"), "known here: vit, conv_vit");
    }
}
